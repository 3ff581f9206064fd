"""What a tuning method is: it changes which tensors of a network are trained, and can undo, merge, save and load that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch

from luthier.models.network import Network

MERGE_TOLERANCE: Mapping[torch.dtype, float] = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.15}
"""How far, relatively, outputs may move when a method is merged into a base of this type: what its rounding explains."""


class TuningMethod(Protocol):
    """How a model may change. What a method declares about itself is held by the contract tests."""

    @property
    def starts_as_identity(self) -> bool:
        """Whether a freshly attached method leaves every output as it was."""
        ...

    @property
    def moves_base(self) -> bool:
        """Whether the base's own tensors change."""
        ...

    @property
    def mergeable(self) -> bool:
        """Whether what was learnt can be folded into weights of the base's own shape."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether the forward pass draws random numbers in training; rows are then packed without sharing."""
        ...

    def attach(self, network: Network, seed: int) -> None:
        """Prepare the network: freeze what stays, add what is trained (`requires_grad` says which is which)."""
        ...

    def merge(self, network: Network) -> None:
        """Fold what was learnt into the base's weights and take the additions away."""
        ...

    def save(self, network: Network, folder: Path) -> None:
        """Write what was learnt in the ecosystem's own format."""
        ...

    def load(self, network: Network, folder: Path) -> None:
        """Read into an attached network what `save` (or the reference library) wrote."""
        ...
