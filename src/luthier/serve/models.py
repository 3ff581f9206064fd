"""The models that a server answers for: bundles and bases, with one network for all that share a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from luthier.core.errors import LuthierError
from luthier.core.files import read_json
from luthier.core.jsonvalue import Json
from luthier.core.loading import loads
from luthier.data.decisions import KeyStep, RowStep, SetStep
from luthier.data.pipeline import Prepare
from luthier.generate.adapters import Adapters
from luthier.generate.decoder import Decoder
from luthier.models.heads import RowHead, load_head
from luthier.models.load import Base, base_hash, load, load_tokenizer
from luthier.models.network import Network
from luthier.models.probe import probe
from luthier.models.tokenizer import LoadedTokenizer
from luthier.serve.bundle import Card, read_card, unchanged_base
from luthier.serve.limits import Limits
from luthier.text.renderer import Renderer
from luthier.train.precision import type_for_use

Key: TypeAlias = tuple[str, str, torch.dtype]
"""What networks that can be shared have in common: the content of their files, their layout and their number type."""


@dataclass(frozen=True, eq=False)
class Served:
    """One model of the server.

    `decoder` is shared by all models on its base, and `adapter` is this model's number there. `steps` tidy what is asked
    as the training rows were tidied. `verdict` is that of the report, None without one.
    """

    id: str
    tokenizer: LoadedTokenizer
    decoder: Decoder
    context: int
    card: Card | None = None
    adapter: int = 0
    head: RowHead | None = None
    steps: tuple[RowStep | KeyStep | SetStep, ...] = ()
    verdict: str | None = None
    created: int = 0
    renderer: Renderer = field(init=False)
    stop_ids: frozenset[int] = field(init=False)
    hidden_ids: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        renderer = Renderer(self.tokenizer)
        object.__setattr__(self, "renderer", renderer)
        object.__setattr__(self, "stop_ids", frozenset({renderer.stop_id, self.tokenizer.eos_id}))
        object.__setattr__(self, "hidden_ids", renderer.hidden_ids)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a classifier, none for others."""
        return self.card.labels if self.card is not None else ()

    @property
    def task(self) -> str | None:
        """What it was tuned to do; None for a base."""
        return None if self.card is None else self.card.task

    def as_json(self) -> dict[str, Json]:
        """The entry of `/v1/models`; what the interface has no field for stands under `luthier`."""
        own: dict[str, Json] = {"context_tokens": self.context, "task": self.task}
        if self.card is not None:
            own |= {
                "base": self.card.base, "method": self.card.method, "about": self.card.about, "labels": list(self.card.labels),
                "verdict": self.verdict, "served_without_report": self.verdict is None, "max_reply_tokens": self.card.max_reply_tokens,
            }  # fmt: skip
        return {"id": self.id, "object": "model", "created": self.created, "owned_by": "luthier", "luthier": own}


@dataclass(eq=False)
class Opening:
    """Loads models one after another; what shares a base shares its network, its cache and its batches."""

    limits: Limits
    device: str = "cpu"
    without_report: bool = False
    decoders: dict[Key, Decoder] = field(default_factory=dict)
    models: dict[str, Served] = field(default_factory=dict)

    def bundle(self, folder: Path) -> Served:
        """Open a bundle.

        Raises:
            LuthierError: it is incomplete, its base has changed, it has no report, or its name is taken.

        """
        card = read_card(folder)
        verdict = _verdict(folder)
        if verdict is None and not self.without_report:
            raise LuthierError(
                str(folder), "it has no report, so nobody knows how good it is", "evaluate it with `luthier run`, or say --without-report"
            )
        dtype = type_for_use(card.held, torch.device(self.device))
        if card.method == "full":
            decoder = self._decoder((str(folder.resolve()), "", dtype), load(str(folder), dtype, self.device), card.layout)
            adapter = 0
        else:
            key = (card.base_hash, card.layout, dtype)
            decoder = self.decoders.get(key) or self._decoder(key, unchanged_base(card, folder, dtype, self.device), card.layout)
            adapter = decoder.adapters.add(folder)
        head = None
        if card.labels:
            head = load_head(folder / "head.safetensors", "last" if card.pooling == "last" else "mean").to(self.device)
        steps, created = loads(Prepare, card.prepare, "bundle.json").steps, int((folder / "bundle.json").stat().st_mtime)
        tokenizer = load_tokenizer(str(folder))
        return self._add(Served(card.name, tokenizer, decoder, card.max_tokens, card, adapter, head, steps, verdict, created))

    def base(self, source: str) -> Served:
        """Open a base model as it is.

        Raises:
            LuthierError: it cannot be loaded, or its name is taken.

        """
        base = load(source, torch.float32, self.device)
        layout = probe(base.network).layout
        key = (base_hash(source), layout, torch.float32)
        decoder = self.decoders.get(key) or self._decoder(key, base, layout)
        name = source if base.folder is None or source == "sprout" else base.folder.resolve().name
        return self._add(Served(name, base.tokenizer, decoder, base.context))

    def _decoder(self, key: Key, base: Base, layout: Literal["forest", "padded"]) -> Decoder:
        network = base.network
        if layout == "padded":
            probe(network)  # a family that our attention does not fit is given its own again, as it had it in training
        network.eval().requires_grad_(False)
        n_places = self.limits.cache_mib * 2**20 // _bytes_of_a_place(network)
        decoder = Decoder(Adapters(network), layout, self.limits.concurrent, n_places, shelf_tokens=n_places // 8)
        self.decoders[key] = decoder
        return decoder

    def _add(self, served: Served) -> Served:
        if served.id in self.models:
            raise LuthierError(served.id, "two of the models have this name", "serve one of them alone, or give its run another name")
        self.models[served.id] = served
        return served


def open_models(
    folders: Sequence[Path], bases: Sequence[str], limits: Limits, device: str = "cpu", without_report: bool = False
) -> Mapping[str, Served]:
    """The models of a server by name: bundles in `folders`, then bases by their sources.

    Raises:
        LuthierError: one of them cannot be served.

    """
    opening = Opening(limits, device, without_report)
    for folder in folders:
        opening.bundle(folder)
    for source in bases:
        opening.base(source)
    return opening.models


def _verdict(folder: Path) -> str | None:
    """The verdict of a bundle's report, None where there is no report."""
    try:
        report = read_json(folder / "report.json")
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LuthierError(str(folder / "report.json"), f"it is no report: {error}", "evaluate the run again") from error
    return str(report["verdict"]) if isinstance(report, Mapping) and report.get("verdict") else None


def _bytes_of_a_place(network: Network) -> int:
    """How much memory the keys and values of one token take."""
    config = network.decoder.config.get_text_config()
    n_heads = int(config.num_attention_heads)
    n_groups = int(getattr(config, "num_key_value_heads", None) or n_heads)
    depth = int(getattr(config, "head_dim", None) or config.hidden_size // n_heads)
    element = int(next(network.decoder.parameters()).element_size())
    return 2 * int(config.num_hidden_layers) * n_groups * depth * element
