"""What an objective is: it says which rows an example gives, how much they count, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from torch import Tensor

from luthier.core.examples import AnyExample
from luthier.models.outputs import Outputs
from luthier.text.batching import Batch
from luthier.text.renderer import Renderer
from luthier.text.rows import Row

Scope: TypeAlias = Literal["row", "group", "batch"]


@dataclass(frozen=True)
class LossSum:
    """Sums over a micro-batch, never means: the loop divides each term once, by its count over the whole step.

    `totals` are differentiable scalars by term; `metrics` are numbers worth watching, summed likewise.
    """

    totals: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """What a model is told. Its loss is additive over any cut of a batch that keeps its scope whole."""

    @property
    def scope(self) -> Scope:
        """What no cut may part."""
        ...

    @property
    def n_scores(self) -> int:
        """The scores that it reads off a head for each row; 0 for an objective that reads token probabilities."""
        ...

    def rows(self, example: AnyExample, renderer: Renderer) -> tuple[Row, ...]:
        """The rows of one example. Rows of one example stay together in a step."""
        ...

    def count(self, batch: Batch) -> dict[str, float]:
        """By term, what its total is divided by; known before the forward pass."""
        ...

    def loss(self, outputs: Outputs, batch: Batch) -> LossSum:
        """The batch's sums."""
        ...
