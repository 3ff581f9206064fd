"""Can its confidence be trusted? How often it is right when it says how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.core.draws import seed_of
from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.bca import bca_interval
from luthier.evaluate.estimates import few
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.metrics.calibration_error import EDGES, N_BINS, bin_of
from luthier.evaluate.metrics.metric import Floats, ratio
from luthier.evaluate.page.material import TUNED, Material
from luthier.evaluate.page.mistakes import subset
from luthier.evaluate.page.words import Number, number_of
from luthier.evaluate.resampling import clusters_of


@dataclass(frozen=True)
class Bin:
    """Rows whose answers have a probability above `low` and up to `high`: how sure on average, and how often right."""

    low: float
    high: float
    sure: Number
    right: Number


@dataclass(frozen=True)
class Confidence:
    """How sure a system is and how often it is right, over all rows and in the bins of `calibration_error`.

    Bins without rows are left out. `gap` is the mean of sure − right: above 0 it is too sure of itself. `sure` is the mean
    probability of its answers.
    """

    sure: Number
    right: Number
    gap: Number
    bins: tuple[Bin, ...]

    @property
    def in_words(self) -> str:
        """What that comes to."""
        said = f"Its answers have a mean probability of {self.sure.whole}; {self.right.whole} of them are right"
        if self.gap.low is not None and self.gap.low > 0:
            return f"It is too sure of itself. {said}. The gap is {self.gap.whole}. Do not read its probabilities as chances."
        if self.gap.high is not None and self.gap.high < 0:
            return f"It is less sure than it could be. {said}. The gap is {self.gap.whole}."
        return f"On the whole it is as sure as it may be. {said}. The gap is {self.gap.whole}, which may be none."


def confidence_of(material: Material, system: str = TUNED) -> Confidence | None:
    """How far the probabilities of a system's labels can be trusted; None where its answers have none."""
    sure = [row["systems"].get(system, {}).get("probability") for row in material.scores]
    if material.task != "classify" or all(one is None for one in sure):
        return None
    gold, said = subset(material.gold, material.system(system).answers, [one is not None for one in sure])
    known = np.array([one for one in sure if one is not None], dtype=np.float64)
    place = np.array([bin_of(one) for one in known])
    bins = tuple(_bin(gold, said, known, place == i, i, material.seed) for i in range(N_BINS) if (place == i).any())
    right = np.array([one.text == row.text for row, one in zip(gold, said, strict=True)], dtype=np.float64)
    return Confidence(
        _mean(gold, known, (0.0, 1.0), material.seed, "sure"),
        number_of(estimate(Accuracy(), gold, said, seed=material.seed)),
        _mean(gold, known - right, (-1.0, 1.0), material.seed, "gap"),
        bins,
    )


def _bin(gold: Sequence[Gold], said: Sequence[Answer], sure: Floats, inside: NDArray[np.bool_], i: int, seed: int) -> Bin:
    rows, answers = subset(gold, said, list(inside))
    low, high = float(EDGES[i]), float(EDGES[i + 1])
    mean = _mean(rows, sure[inside], (low, high), seed, f"sure {i}")
    return Bin(low, high, mean, number_of(estimate(Accuracy(), rows, answers, seed=seed)))


def _mean(gold: Sequence[Gold], values: Floats, limits: tuple[float, float], seed: int, name: str) -> Number:
    """The mean of a value per row, with its interval over rows or whole groups."""
    clusters = clusters_of(gold, np.column_stack([values, np.ones(len(values))]))
    rng = np.random.default_rng(seed_of(seed, "interval", "page", name))
    low, high = bca_interval(lambda sums: ratio(sums[..., 0], sums[..., 1]), clusters, limits, rng)
    n_groups = clusters.n_units if clusters.grouped else None
    return Number(float(values.mean()), low, high, len(values), 3, few(len(values), n_groups), signed=limits[0] < 0)
