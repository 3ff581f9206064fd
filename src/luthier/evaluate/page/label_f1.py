"""F1 of one label, as a metric: so that it has an interval and can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio


@dataclass(frozen=True)
class LabelF1:
    """2·tp / (2·tp + fp + fn) of `label`; rows that neither have it nor were answered with it count nothing."""

    label: str

    name: ClassVar[str] = "f1"
    about: ClassVar[str] = "F1 of one label"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """Per row: 1 where the label is both true and said, then how often it is true or said (0, 1, 2)."""
        found = np.zeros((len(gold), 2))
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            is_true, is_said = row.text == self.label, said.text == self.label
            found[i] = np.nan if said.text is None else (float(is_true and is_said), float(is_true + is_said))
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row with the label missed."""
        return np.array([[0.0, float(row.text == self.label)] for row in gold]).reshape(len(gold), 2)

    def values(self, sums: Floats) -> Floats:
        """F1 of the sums; NaN where nobody has or said the label."""
        return ratio(2 * sums[..., 0], sums[..., 1])
