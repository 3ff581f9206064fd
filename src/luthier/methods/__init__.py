"""How a model may change: one file a method, all of them in `AnyMethod`, the recipe's [method] section."""

from typing import TypeAlias

from luthier.methods.full import Full
from luthier.methods.lora import LoRA
from luthier.methods.protocol import TuningMethod

AnyMethod: TypeAlias = Full | LoRA

__all__ = ["AnyMethod", "Full", "LoRA", "TuningMethod"]
