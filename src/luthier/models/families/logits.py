"""How a family turns the output layer's product into logits. The probe at load checks it against the model itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LogitRule:
    """logits = cap · tanh(factor · product / cap); a cap of None leaves the curve out."""

    factor: float = 1.0
    cap: float | None = None

    def __call__(self, product: Tensor) -> Tensor:
        """Apply the rule to a product of any shape."""
        if self.factor != 1.0:
            product = product * self.factor
        return product if self.cap is None else torch.tanh(product / self.cap) * self.cap


def logit_rule(config: object) -> LogitRule:
    """The rule that a configuration's fields spell: Gemma's soft cap, Granite's divisor, Cohere's factor."""
    divisor = getattr(config, "logits_scaling", None)
    factor = getattr(config, "logit_scale", None)
    cap = getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)
    return LogitRule((1.0 / divisor if divisor else 1.0) * (factor or 1.0), cap)
