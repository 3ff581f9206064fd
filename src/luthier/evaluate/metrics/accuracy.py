"""The share of rows whose label is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, all_wrong, marks, ratio


@dataclass(frozen=True)
class Accuracy:
    """Right labels divided by judged rows."""

    name: ClassVar[str] = "accuracy"
    about: ClassVar[str] = "share of rows with the right label"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = True
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(right, 1) per row."""
        return marks(gold, [None if said.text is None else said.text == row.text for row, said in zip(gold, answers, strict=True)])

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row wrong."""
        return all_wrong(gold)

    def values(self, sums: Floats) -> Floats:
        """Right divided by judged."""
        return ratio(sums[..., 0], sums[..., 1])
