"""Adapters on the disk in the format of Hugging Face's PEFT: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from luthier.core.errors import LuthierError
from luthier.core.files import write_bytes, write_json
from luthier.core.jsonvalue import Json

_CONFIG, _TENSORS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
# What PEFT may write that changes the arithmetic and that we do not have, with the values that leave it unchanged.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "use_dora": (None, False), "use_rslora": (None, False), "bias": (None, "none"), "lora_bias": (None, False),
    "modules_to_save": (None, []), "rank_pattern": (None, {}), "alpha_pattern": (None, {}), "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []), "alora_invocation_tokens": (None, []), "use_qalora": (None, False),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PeftFiles:
    """A LoRA adapter: its settings, and its tensors by `<layer>.lora_A.weight` and `<layer>.lora_B.weight`."""

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    fan_in_fan_out: bool
    base: str
    tensors: Mapping[str, Tensor]


def write_peft(files: PeftFiles, folder: Path) -> None:
    """Write an adapter as PEFT does."""
    tensors = {_PREFIX + name: tensor.cpu().contiguous() for name, tensor in files.tensors.items()}
    write_bytes(folder / _TENSORS, save(tensors, metadata={"format": "pt"}))
    config: dict[str, Json] = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": files.base, "inference_mode": True,
        "r": files.rank, "lora_alpha": int(files.alpha) if files.alpha.is_integer() else files.alpha, "lora_dropout": files.dropout,
        "target_modules": list(files.targets), "bias": "none", "fan_in_fan_out": files.fan_in_fan_out,
        "init_lora_weights": True, "use_rslora": False, "use_dora": False, "modules_to_save": None,
    }  # fmt: skip
    write_json(folder / _CONFIG, config)


def read_peft(folder: Path) -> PeftFiles:
    """Read an adapter that we or PEFT wrote.

    Raises:
        LuthierError: a file is missing or broken, or the adapter uses something that would change its outputs here.

    """
    try:
        config: dict[str, Any] = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / _TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        fix = f"name a folder with {_CONFIG} and {_TENSORS}"
        raise LuthierError(str(folder), f"it holds no adapter that can be read: {error}", fix) from error
    if config.get("peft_type") != "LORA":
        raise LuthierError(str(folder / _CONFIG), f"its peft_type is {config.get('peft_type')}", "name a LoRA adapter")
    for name, neutral in _NEUTRAL.items():
        if config.get(name) not in neutral:
            problem = f"{name} is {config[name]!r}, which Luthier's LoRA does not have"
            raise LuthierError(str(folder / _CONFIG), problem, "merge it into its base with PEFT")
    targets = config.get("target_modules") or ()
    return PeftFiles(
        int(config["r"]), float(config["lora_alpha"]), float(config.get("lora_dropout") or 0.0),
        (targets,) if isinstance(targets, str) else tuple(targets), bool(config.get("fan_in_fan_out")),
        str(config.get("base_model_name_or_path") or ""), {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()},
    )  # fmt: skip
