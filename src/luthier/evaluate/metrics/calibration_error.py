"""How far a classifier's confidence is from how often it is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.metrics.metric import Floats, ratio

N_BINS = 15
EDGES = np.linspace(0.0, 1.0, N_BINS + 1)


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

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """Per row, confidence − right in the column of its bin and 1 in the last; unjudged where the answer has no probability."""
        found = np.zeros((len(gold), N_BINS + 1))
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            confidence = None if said.text is None or said.probabilities is None else said.probabilities.get(said.text)
            if confidence is None or not math.isfinite(confidence):
                found[i] = np.nan
                continue
            found[i, bin_of(confidence)] = confidence - (said.text == row.text)
            found[i, N_BINS] = 1.0
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row wrong with full confidence."""
        found = np.zeros((len(gold), N_BINS + 1))
        found[:, -2:] = 1.0
        return found

    def values(self, sums: Floats) -> Floats:
        """The bins' distances, summed and divided by the rows."""
        return ratio(np.abs(sums[..., :N_BINS]).sum(axis=-1), sums[..., N_BINS])
