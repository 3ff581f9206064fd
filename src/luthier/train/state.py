"""The one mutable object of training."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from luthier.models.network import Network
from luthier.train.allocator import Keeper
from luthier.train.optim import AnyOptimizer


@dataclass
class TrainState:
    """Everything that a step changes.

    `step` steps are taken and `units` rows learnt from; `fingerprint` names what is being trained on what, so that no
    checkpoint is taken for another's. `seed` is where the draws of a random forward pass come from, None for a network
    that draws nothing. `keeper` looks after the memory that the process holds; without it, nobody does.
    """

    network: Network
    optimizers: tuple[torch.optim.Optimizer, ...]
    fingerprint: str
    seed: int | None = None
    step: int = 0
    units: int = 0
    keeper: Keeper | None = None


def begin(network: Network, optimizer: AnyOptimizer, fingerprint: str, seed: int | None = None) -> TrainState:
    """The state before the first step of a network to which its method is attached."""
    return TrainState(network, optimizer.over(network), fingerprint, seed)
