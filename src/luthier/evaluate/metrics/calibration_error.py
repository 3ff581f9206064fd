"""How far a classifier's confidence is from how often it is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio

N_BINS = 15
EDGES = np.linspace(0.0, 1.0, N_BINS + 1)


def columns_of(confidence: Floats, right: NDArray[np.bool_]) -> Floats:
    """What is summed, rows × 3 · 15: in the column of a row's bin its confidence − right, its confidence, and 1."""
    rows, bins = np.arange(len(confidence)), np.searchsorted(EDGES[1:-1], confidence, side="left")
    found = np.zeros((len(confidence), 3, N_BINS))
    found[rows, 0, bins] = confidence - right
    found[rows, 1, bins] = confidence
    found[rows, 2, bins] = 1.0
    return found.reshape(-1, 3 * N_BINS)


def bin_of(confidence: float) -> int:
    """The bin that a confidence falls in: bin b reaches from `EDGES[b]`, which it leaves out, to `EDGES[b + 1]`."""
    return int(np.searchsorted(EDGES[1:-1], confidence, side="left"))


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error of the answer's probability, in 15 bins of equal width (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    Over bins, the share of the rows in a bin times the distance between their mean confidence and their accuracy: that
    is |Σ (confidence − right)| of each bin, summed and divided by the rows. The bins are fixed because then the error is
    a function of sums; bins that follow the rows (adaptive ones) would be others in each resample.

    With few rows it is too high: chance alone parts confidence from accuracy in each bin, so a perfectly calibrated
    system with evenly spread confidences gets about 0.04 on 1,000 rows and 0.12 on 100. Compare systems on the same rows.
    """

    name: ClassVar[str] = "calibration_error"
    about: ClassVar[str] = "mean distance between confidence and accuracy, in 15 bins"
    higher_is_better: ClassVar[bool | None] = False
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """Per row the `columns_of` its answer's probability; unjudged where the answer has no probability."""
        said = [None if one.text is None or one.probabilities is None else one.probabilities.get(one.text) for one in answers]
        confidence = np.array([math.nan if one is None else one for one in said], dtype=np.float64)
        known = np.isfinite(confidence)
        right = np.array([one.text == row.text for row, one in zip(gold, answers, strict=True)], dtype=np.bool_)
        return np.where(known[:, None], columns_of(np.where(known, confidence, 0.0), right), math.nan)

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row wrong with full confidence."""
        return columns_of(np.ones(len(gold)), np.zeros(len(gold), dtype=np.bool_))

    def values(self, sums: Floats) -> Floats:
        """The bins' distances, summed and divided by the rows."""
        return ratio(np.abs(sums[..., :N_BINS]).sum(axis=-1), sums[..., 2 * N_BINS :].sum(axis=-1))
