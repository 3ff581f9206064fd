"""Which rows a step sees: a pure function of (seed, step), so that resuming is starting at another step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from luthier.core.draws import permutation
from luthier.text.rows import Row


class Stream(Protocol):
    """Gives the rows of any step, whichever was asked for before."""

    @property
    def n_steps(self) -> int:
        """How many steps there are."""
        ...

    def rows(self, step: int) -> Sequence[Row]:
        """The rows of step 0 ≤ `step` < `n_steps`."""
        ...


@dataclass(frozen=True)
class EpochStream:
    """Passes over fixed rows, each in an order of its own drawn from (seed, epoch).

    A *unit* is a list of rows that belong together (the rows of one example); a step takes `batch_units` of them. The
    passes are laid end to end, so that a step may take the last units of one epoch and the first of the next; only the
    very last step may be smaller.
    """

    units: Sequence[Sequence[Row]]
    batch_units: int
    epochs: float
    seed: int

    @property
    def n_steps(self) -> int:
        """How many steps all the passes take."""
        return math.ceil(self._n_drawn / self.batch_units)

    @property
    def _n_drawn(self) -> int:
        return max(1, round(self.epochs * len(self.units)))

    def rows(self, step: int) -> list[Row]:
        """The rows of one step."""
        assert 0 <= step < self.n_steps, f"step {step} of {self.n_steps}"
        drawn = range(step * self.batch_units, min((step + 1) * self.batch_units, self._n_drawn))
        orders = {epoch: permutation(len(self.units), self.seed, "epoch", epoch) for epoch in {i // len(self.units) for i in drawn}}
        return [row for i in drawn for row in self.units[orders[i // len(self.units)][i % len(self.units)]]]
