"""Brier's score: how far the probabilities are from what turned out to be true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio


@dataclass(frozen=True)
class Brier:
    """The mean over rows of Σ over labels (probability − 1 if true else 0)², 0 to 2 (Brier 1950, Mon. Weather Rev. 78, p. 1).

    A proper score: nothing is gained by saying other probabilities than one believes. It is not halved, whatever the
    number of labels; with two labels it is twice the score of the one. A true label without a probability counts as 0.
    """

    name: ClassVar[str] = "brier"
    about: ClassVar[str] = "squared distance of the probabilities from the truth, 0 to 2"
    higher_is_better: ClassVar[bool | None] = False
    range: ClassVar[tuple[float, float]] = (0.0, 2.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(distance, 1) per row; unjudged where there is no answer, or not the probabilities of all labels, which sum to 1."""
        found = np.full((len(gold), 2), np.nan)
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None and said.probabilities is not None and _whole(said.probabilities):
                found[i] = (_distance(said.probabilities, row.text), 1.0)
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """All probability on one wrong label, in each row."""
        return np.tile(np.array([2.0, 1.0]), (len(gold), 1))

    def values(self, sums: Floats) -> Floats:
        """Distances divided by judged rows."""
        return ratio(sums[..., 0], sums[..., 1])


def _whole(probabilities: Mapping[str, float]) -> bool:
    return math.isclose(math.fsum(probabilities.values()), 1.0, abs_tol=1e-6)


def _distance(probabilities: Mapping[str, float], true: str) -> float:
    others = math.fsum(p * p for label, p in probabilities.items() if label != true)
    # Probabilities sum to 1 up to their last bits, and so must not leave the range.
    return min(2.0, others + (1.0 - probabilities.get(true, 0.0)) ** 2)
