"""Score sets whose truth is known because we wrote the distribution, and how to measure one interval or one test on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.stats import beta, norm

from luthier.evaluate.answers import Answer, Gold, System
from luthier.evaluate.bca import bca_interval
from luthier.evaluate.calibration_interval import calibration_interval
from luthier.evaluate.compare import compare
from luthier.evaluate.estimates import FEW_ROWS, few
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.metrics.bleu import Bleu
from luthier.evaluate.metrics.calibration_error import EDGES, CalibrationError, columns_of
from luthier.evaluate.metrics.metric import Floats, Metric, ratio
from luthier.evaluate.resampling import Clusters
from luthier.evaluate.shares import grouped_share_interval

Draw: TypeAlias = Callable[[np.random.Generator, int], Floats]
Ends: TypeAlias = Callable[[Clusters, np.random.Generator], tuple[float, float]]

SURE = (4.0, 1.5)
"""The parameters of the beta distribution that confidences are drawn from."""


@dataclass(frozen=True)
class Found:
    """What one set showed: whether it counts, how wide its interval was, and whether it is marked as few rows."""

    counts: bool
    width: float
    few: bool


@dataclass(frozen=True)
class Scores:
    """A distribution of sums per unit, rows × k, the true value of what is measured of them, and the interval that is tried."""

    draw: Draw
    truth: float
    ends: Ends
    grouped: bool = False
    few_below: int = FEW_ROWS

    def interval(self, n: int, seed: int) -> Found:
        """Whether the interval over n units holds the truth; the number of rows is the last column where there are groups."""
        sums = self.draw(np.random.default_rng([seed, n]), n)
        n_rows = sums[:, -1].astype(np.int64) if self.grouped else np.ones(n, dtype=np.int64)
        low, high = self.ends(Clusters(sums, n_rows), np.random.default_rng([seed, n, 1]))
        marked = n_rows.sum() < self.few_below or few(int(n_rows.sum()), n if self.grouped else None)
        return Found(low <= self.truth <= high, high - low, bool(marked))


def bootstrapped(values: Callable[[Floats], Floats], limits: tuple[float, float]) -> Ends:
    return lambda clusters, rng: bca_interval(values, clusters, limits, rng)


def mean(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 1])


def of_rows(draw: Draw, truth: float, limits: tuple[float, float]) -> Scores:
    return Scores(lambda rng, n: np.stack([draw(rng, n), np.ones(n)], axis=1), truth, bootstrapped(mean, limits))


def of_groups(share: float, likeness: float) -> Scores:
    """Proportions in groups of one to many rows; `likeness` is the correlation within a group."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        sizes = 1 + rng.geometric(0.3, n)
        within = rng.beta(share * (1 / likeness - 1), (1 - share) * (1 / likeness - 1), n)
        return np.stack([rng.binomial(sizes, within), sizes], axis=1).astype(np.float64)

    return Scores(draw, share, lambda clusters, _: grouped_share_interval(clusters), grouped=True)


def tokens(rng: np.random.Generator, n: int) -> Floats:
    """Nats and tokens per row: long rows have a lower loss per token, so a mean of ratios would be another number."""
    count = 1 + rng.geometric(0.05, n)
    return np.stack([rng.gamma(count * 2.0, 1.0) + 5.0, count], axis=1).astype(np.float64)


MATCHED = (0.7, 0.5, 0.4, 0.3)
"""The share of one- to four-grams of an answer that its reference holds too."""


def ngrams(rng: np.random.Generator, n: int) -> Floats:
    """BLEU's sums for answers of 8 to 40 words: matches of one- to four-grams, their counts, both lengths, 1.

    Rows differ in how good they are, so that matches of all orders rise and fall together.
    """
    said = rng.integers(8, 41, n)
    wanted = np.maximum(4, said + rng.integers(-2, 5, n))
    ease = rng.beta(8, 2, n) / 0.8
    counts = [said - order for order in range(len(MATCHED))]
    hits = [rng.binomial(count, np.minimum(1.0, share * ease)) for share, count in zip(MATCHED, counts, strict=True)]
    return np.stack([*hits, *counts, said, wanted, np.ones(n)], axis=1).astype(np.float64)


def calibration(chance: Callable[[Floats], Floats]) -> Scores:
    """The calibration error of rows that are right with `chance` of their confidence."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        said = rng.beta(*SURE, n)
        return columns_of(said, rng.random(n) < chance(said))

    # By the midpoint rule: gaps of a million confidences, as likely as the density says.
    said = (np.arange(1_000_000) + 0.5) / 1_000_000
    gaps = (said - chance(said)) * beta.pdf(said, *SURE) / len(said)
    truth = np.abs(np.bincount(np.searchsorted(EDGES[1:-1], said), gaps)).sum()
    return Scores(draw, float(truth), calibration_interval, few_below=CalibrationError.few_rows)


def of_corpus(metric: Metric, draw: Draw) -> Scores:
    """The truth is the value of so many rows that what is left of chance is far below any interval's width."""
    rng = np.random.default_rng(12345)
    whole: Floats = sum((draw(rng, 500_000).sum(axis=0) for _ in range(8)), start=np.zeros(1))
    return Scores(draw, float(metric.values(whole)), bootstrapped(metric.values, metric.range))


ROWS = {
    "normal": of_rows(lambda rng, n: rng.normal(5.0, 1.0, n), 5.0, (-math.inf, math.inf)),
    "exponential": of_rows(lambda rng, n: rng.exponential(1.0, n), 1.0, (0.0, math.inf)),
    "lognormal": of_rows(lambda rng, n: rng.lognormal(0.0, 1.0, n), math.exp(0.5), (0.0, math.inf)),
    "u-shaped": of_rows(lambda rng, n: rng.beta(0.5, 0.5, n), 0.5, (0.0, 1.0)),
    "near the top": of_rows(lambda rng, n: rng.beta(4.0, 0.5, n), 4 / 4.5, (0.0, 1.0)),
    "paired, seldom differing": of_rows(lambda rng, n: rng.choice([0.0, 1.0, -1.0], n, p=[0.9, 0.07, 0.03]), 0.04, (-1.0, 1.0)),
    "loss per token": Scores(tokens, 2.0 + 5.0 / 21.0, bootstrapped(mean, (0.0, math.inf))),
}
GROUPS = {f"{share:g} right in groups, likeness {like:g}": of_groups(share, like) for share in (0.5, 0.8, 0.95) for like in (0.05, 0.4)}
CORPUS = {"BLEU": of_corpus(Bleu(), ngrams)}
CALIBRATION = {
    "calibration error, calibrated": calibration(lambda said: said),
    "calibration error, slightly overconfident": calibration(lambda said: said**1.3),
    "calibration error, overconfident": calibration(lambda said: said**2),
    "calibration error, wrong in one bin": calibration(lambda said: np.where(np.abs(said - 0.9) < 1 / 30, said - 0.25, said)),
}


def macro_f1_interval(n: int, seed: int) -> Found:
    """Four labels, the rarest a tenth of the rows; the truth is macro-F1 of the whole table of chances."""
    labels, shares = "abcd", np.array([0.4, 0.3, 0.2, 0.1])
    joint = shares[:, None] * (np.full((4, 4), 0.1) + 0.6 * np.eye(4))
    truth = float(np.mean(2 * np.diag(joint) / (joint.sum(0) + joint.sum(1))))
    drawn = np.random.default_rng([seed, n]).choice(16, size=n, p=joint.ravel())
    gold = [Gold(str(i), labels[cell // 4]) for i, cell in enumerate(drawn)]
    found = estimate(metric_named("macro_f1", labels), gold, [Answer(str(i), labels[cell % 4]) for i, cell in enumerate(drawn)], seed=seed)
    assert found.low is not None and found.high is not None
    return Found(found.low <= truth <= found.high, found.high - found.low, found.few)


def accuracy_interval(share: float | None) -> Callable[[int, int], Found]:
    """Of rows that are right with chance `share`; None draws the share evenly between 0 and 1 for each set."""

    def interval(n: int, seed: int) -> Found:
        rng = np.random.default_rng([seed, n])
        truth = float(rng.random()) if share is None else share
        gold = [Gold(str(i), "a") for i in range(n)]
        said = [Answer(row.id, "a" if right else "b") for row, right in zip(gold, rng.random(n) < truth, strict=True)]
        found = estimate(metric_named("accuracy"), gold, said)
        assert found.low is not None and found.high is not None
        return Found(found.low <= truth <= found.high, found.high - found.low, found.few)

    return interval


def equal_systems(kind: str, n: int, seed: int) -> tuple[list[Gold], System, System]:
    """Two systems that are as good as each other: alike in distribution, not in what they say."""
    rng = np.random.default_rng([seed, n])
    gold = [Gold(f"{i:05}", "abc"[rng.integers(3)], f"g{i // 4}" if kind == "groups" else None) for i in range(n)]
    hard = np.repeat(rng.beta(2, 1, -(-n // 4)), 4)[:n] if kind == "groups" else rng.beta(2, 1, n)
    systems = []
    for name in ("a", "b"):
        shift = np.repeat(rng.normal(0, 0.3, -(-n // 4)), 4)[:n] if kind == "groups" else np.zeros(n)
        right = rng.random(n) < hard + shift
        loss = rng.gamma(2.0, 1.0, n)
        texts = [row.text if ok else "abc"[rng.integers(3)] for row, ok in zip(gold, right, strict=True)]
        systems.append(System(name, tuple(Answer(row.id, text, None, float(x), 1) for row, text, x in zip(gold, texts, loss, strict=True))))
    return gold, systems[0], systems[1]


def called_different(metric: str, kind: str) -> Callable[[int, int], Found]:
    """Whether the paired test calls two equal systems different at 0.05, and the interval of their difference."""

    def test(n: int, seed: int) -> Found:
        gold, a, b = equal_systems(kind, n, seed)
        found = compare(metric_named(metric, "abc"), gold, a, b, seed=seed)
        assert found.p is not None and found.low is not None and found.high is not None
        return Found(found.p < 0.05, found.high - found.low, found.few)

    return test


def three_errors(share: float, n_sets: int) -> float:
    """Three standard errors of a share that was itself only measured on `n_sets` sets (two-sided, 99.7 %)."""
    return float(norm.ppf(0.99865)) * math.sqrt(share * (1 - share) / n_sets)
