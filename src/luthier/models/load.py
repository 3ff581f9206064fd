"""Decoders from a folder, from the hub, or from inside the package; only safetensors, and never a model's own code."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from luthier.core.errors import LuthierError
from luthier.core.files import expanded, file_hash
from luthier.models.attention import SEAM, install
from luthier.models.network import Network
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.renderer import Renderer

SPROUT = Path(__file__).parent / "sprout"
Weights = Literal["load", "random"]


@dataclass(frozen=True, eq=False)
class Base:
    """A loaded base model: the network, its tokenizer, and what is known of both."""

    name: str
    folder: Path | None
    network: Network
    tokenizer: LoadedTokenizer

    @property
    def renderer(self) -> Renderer:
        """Conversations to tokens, in the model's own template."""
        return Renderer(self.tokenizer)

    @property
    def context(self) -> int:
        """The most tokens that the model was made to read."""
        return context_of(self.network.decoder.config)

    @property
    def n_parameters(self) -> int:
        """Parameters of the base, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.network.decoder.parameters())


def context_of(config: Any) -> int:
    """The most positions that a configuration allows."""
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or 2048)


def locate(source: str) -> Path | None:
    """The folder that `source` names, or None where it is a hub id.

    Raises:
        LuthierError: it looks like a folder but holds no model.

    """
    folder = SPROUT if source == "sprout" else expanded(source)
    if (folder / "config.json").is_file():
        return folder
    if folder.exists() or source.startswith((".", "/", "~")) or source.count("/") != 1:
        problem = "this folder holds no model (no config.json)" if folder.is_dir() else "there is no model here"
        raise LuthierError(
            f"[model] base = {source!r}", problem, 'give a folder with config.json, a hub id such as "Qwen/Qwen3-0.6B", or "sprout"'
        )
    return None


def load_tokenizer(source: str) -> LoadedTokenizer:
    """A model's tokenizer alone, without its weights; a folder that holds nothing else will do."""
    folder = Path(source) if (Path(source) / "tokenizer_config.json").is_file() else locate(source)
    with quiet(source, "tokenizer"):
        inner = AutoTokenizer.from_pretrained(str(folder or source), trust_remote_code=False)
    if inner.eos_token_id is None:
        raise LuthierError(
            f"[model] base = {source!r}", "its tokenizer has no end-of-text token", "set eos_token in its tokenizer_config.json"
        )
    inner.model_max_length = 10**30  # Luthier counts truncation itself; the library's own warning would only repeat it
    return LoadedTokenizer(inner)


def load_config(source: str) -> Any:
    """A model's configuration alone.

    Raises:
        LuthierError: it is not a decoder.

    """
    folder = locate(source)
    with quiet(source, "configuration"):
        config = AutoConfig.from_pretrained(str(folder or source), trust_remote_code=False)
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or getattr(config, "is_encoder_decoder", False):
        raise LuthierError(
            f"[model] base = {source!r}",
            f"a {config.model_type} model is no decoder",
            "choose a decoder (GPT, Llama, Qwen, Gemma and the like)",
        )
    return config


def load(source: str, dtype: torch.dtype = torch.float32, device: str = "cpu", weights: Weights = "load", seed: int = 0) -> Base:
    """Load a base model in `dtype` onto `device`; `weights="random"` takes only its shape and draws weights from `seed`.

    The model's own dropout is set to 0: dropout is the recipe's to choose.
    """
    install()
    folder = locate(source)
    config = load_config(source)
    tokenizer = load_tokenizer(source)
    _silence_dropout(config)
    with quiet(source, "model"):
        if weights == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                decoder = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
        else:
            decoder = AutoModelForCausalLM.from_pretrained(
                str(folder or source), config=config, dtype=dtype, trust_remote_code=False, use_safetensors=True
            )
    network = Network(prepare(decoder).to(device))
    return Base(source, folder, network.eval(), tokenizer)


def prepare(decoder: nn.Module) -> Any:
    """A decoder whose attention goes through the seam, without dropout, in evaluation mode."""
    install()
    prepared: Any = decoder
    for module in prepared.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    prepared.set_attn_implementation(SEAM)
    return prepared.eval()


def base_hash(source: str) -> str:
    """SHA-256 over the model's files, by name; for a hub id, over the id."""
    folder = locate(source)
    if folder is None:
        return hashlib.sha256(source.encode()).hexdigest()
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".json", ".jinja", ".model", ".txt") and path.is_file():
            total.update(f"{path.name} {file_hash(path)}\n".encode())
    return total.hexdigest()


class quiet:  # noqa: N801 - a context manager that reads as a word
    """Silences `transformers`' own notes, and turns its failures into ours."""

    def __init__(self, source: str, part: str) -> None:
        self.source, self.part = source, part

    def __enter__(self) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self.before = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        transformers_logging.set_verbosity(self.before)
        if isinstance(error, OSError | ValueError | KeyError | RuntimeError | SafetensorError) and not isinstance(error, LuthierError):
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            fix = (
                "check the name, and that the hub can be reached"
                if locate(self.source) is None
                else "check that the folder is complete and its weights are safetensors"
            )
            raise LuthierError(f"[model] base = {self.source!r}", f"its {self.part} could not be loaded: {first}", fix) from error


def _silence_dropout(config: Any) -> None:
    for part in {id(config): config, id(config.get_text_config()): config.get_text_config()}.values():
        for name in ("attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout", "activation_dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
