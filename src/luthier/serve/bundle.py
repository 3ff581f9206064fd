"""A bundle: everything that it takes to answer exactly as the model was trained, in one folder.

bundle.json                       what it is: base, method, task, labels, layout, lengths
adapter_model.safetensors …       what was learnt (PEFT's format), or model.safetensors for full tuning
head.safetensors                  a classifier's head
tokenizer.json …                  the tokenizer and its chat template, as they were in training
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json
from luthier.core.jsonvalue import Json
from luthier.generate.engine import Engine
from luthier.methods import AnyMethod, Full, LoRA
from luthier.models.heads import RowHead, load_head, save_head
from luthier.models.load import Base, base_hash, load, load_tokenizer
from luthier.models.network import Network
from luthier.models.probe import probe
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.batching import CutPlan
from luthier.text.renderer import Renderer
from luthier.train.precision import type_for_use

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """`bundle.json`: what a bundle is, apart from its tensors.

    `base` names the base model and `base_hash` its content; `layout` is what the probe settled; `max_tokens` is the
    longest row that was trained, and prompts are cut to it in the same way. `about` is the goal in words. `rows_layout`
    and `rows_fields` are what the training rows were recognised as, so that rows to answer are read in the same way;
    `prepare` is the recipe's section of that name as TOML, so that they are tidied in the same way. `system` is the system
    prompt that every trained conversation begins with, '' where there is none. `training` names the training that the
    tensors came from. `held` is the number type that the base's weights were held in while it was tuned, `computed` the one
    in which products were taken, '' where an older version did not write it down.
    """

    name: str
    task: str
    base: str
    base_hash: str
    method: str
    layout: Literal["forest", "padded"]
    max_tokens: int
    max_reply_tokens: int
    labels: tuple[str, ...] = ()
    pooling: str | None = None
    about: str = ""
    rows_layout: str = ""
    rows_fields: Mapping[str, str] = field(default_factory=dict)
    rows_format: str = "auto"
    prepare: str = ""
    system: str = ""
    training: str = ""
    held: str = "float32"
    computed: str = ""

    @property
    def trained_in(self) -> str:
        """The number type in which products were taken while it was tuned."""
        return self.computed or self.held

    def as_json(self) -> dict[str, Json]:
        """The card as it stands in the file."""
        return {"format": FORMAT, **{name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}}


@dataclass(frozen=True, eq=False)
class Tuned:
    """A loaded bundle."""

    card: Card
    network: Network
    tokenizer: LoadedTokenizer

    @property
    def renderer(self) -> Renderer:
        """Conversations to tokens, as in training."""
        return Renderer(self.tokenizer)

    @property
    def engine(self) -> Engine:
        """Its generator."""
        return engine_for(self.network, self.tokenizer, self.card.layout, self.card.max_tokens)

    def plan(self, max_nodes: int) -> CutPlan:
        """How rows to be read are cut."""
        return CutPlan(self.card.layout, max_nodes, self.tokenizer.pad_id)


def engine_for(network: Network, tokenizer: LoadedTokenizer, layout: Literal["forest", "padded"], context: int) -> Engine:
    """The generator of any network: replies end at the template's stop token or the end of text."""
    stops = frozenset({Renderer(tokenizer).stop_id, tokenizer.eos_id})
    return Engine(network, tokenizer, stops, context, layout)


def save(card: Card, method: AnyMethod, network: Network, tokenizer: LoadedTokenizer, folder: Path) -> None:
    """Write the tensors, the tokenizer and, last, `bundle.json`, whose presence says that the rest is there.

    An earlier bundle in the folder goes first, so that nothing of another method or task stays behind.

    Raises:
        LuthierError: the disk is full.

    """
    (folder / "bundle.json").unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True)
        method.save(network, folder)
        if network.head is not None:
            save_head(network.head, folder / "head.safetensors")
        tokenizer.inner.save_pretrained(folder)
    except Exception as error:
        # The tokenizers library has no class of its own for what the disk refuses, only these words.
        if not isinstance(error, OSError | SafetensorError) and "os error" not in str(error):
            raise
        raise LuthierError(str(folder), f"it could not be written: {error}", "free space, then give the same command again") from error
    write_json(folder / "bundle.json", card.as_json())


def read_card(folder: Path) -> Card:
    """The card of a bundle.

    Raises:
        LuthierError: the folder holds no bundle, or one of a later format.

    """
    path = folder / "bundle.json"
    if not path.is_file():
        raise LuthierError(str(folder), "it holds no finished bundle (no bundle.json)", "run `luthier run` on the recipe first")
    value = read_json(path)
    assert isinstance(value, Mapping), "bundle.json holds an object"
    if value.get("format") != FORMAT:
        raise LuthierError(
            str(path), f"its format is {value.get('format')}, and this version reads {FORMAT}", "use the version of Luthier that wrote it"
        )
    fields = {name: item for name, item in value.items() if name != "format"}
    labels = fields.pop("labels", [])
    assert isinstance(labels, list), "labels are written as a list"
    return Card(**fields, labels=tuple(str(label) for label in labels))  # type: ignore[arg-type]


def open_bundle(folder: Path, dtype: torch.dtype | None = None, device: str = "cpu") -> Tuned:
    """Load a bundle, in the number type that it was tuned in unless `dtype` says another.

    Raises:
        LuthierError: it is incomplete, or its base is gone or has changed.

    """
    card = read_card(folder)
    dtype = dtype or type_for_use(card.held, torch.device(device))
    if card.method == "full":
        base = load(str(folder), dtype, device)
    else:
        base = unchanged_base(card, folder, dtype, device)
        method = LoRA.of(folder)
        method.attach(base.network, 0)
        method.load(base.network, folder)
    if card.labels:
        base.network.head = load_head(folder / "head.safetensors", "last" if card.pooling == "last" else "mean").to(device)
    if card.layout == "padded":
        probe(base.network)  # gives a family that our attention does not fit its own again, as it had it in training
    base.network.eval().requires_grad_(False)
    return Tuned(card, base.network, load_tokenizer(str(folder)))


def unchanged_base(card: Card, folder: Path, dtype: torch.dtype, device: str) -> Base:
    """The base that a bundle was tuned on.

    Raises:
        LuthierError: it is gone, or its files differ from those that were tuned.

    """
    found = base_hash(card.base)
    if found != card.base_hash:
        raise LuthierError(
            str(folder / "bundle.json"),
            f"the base model {card.base!r} is not the one that was tuned (its files differ)",
            "put the original base back, or tune again",
        )
    return load(card.base, dtype, device)


def new_head(network: Network, n_labels: int, pooling: Literal["last", "mean"]) -> None:
    """Give a network the head of a classifier."""
    network.head = RowHead(network.width, n_labels, pooling).to(network.device)


__all__ = ["AnyMethod", "Card", "Full", "Tuned", "engine_for", "new_head", "open_bundle", "read_card", "save", "unchanged_base"]
