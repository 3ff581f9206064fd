"""At length: intervals hold the truth as often as they say, and equal systems are not called different.

Each cell is a kind of score set that is drawn again and again; the truth is known because we wrote the distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from luthier.evaluate.answers import Answer, Gold, System
from luthier.evaluate.compare import compare
from luthier.evaluate.intervals import bca_interval, estimate
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.metrics.metric import Floats, ratio
from luthier.evaluate.resampling import Clusters

pytestmark = pytest.mark.prove

N_SETS = 5_000
SLACK = 3 * math.sqrt(0.95 * 0.05 / N_SETS)
"""Three standard errors of a coverage that was itself only measured."""


@dataclass(frozen=True)
class Scores:
    """A distribution of (sum, count) per unit, the truth about its ratio, and the limits of the metric."""

    draw: Callable[[np.random.Generator, int], Floats]
    truth: float
    limits: tuple[float, float]


def of_rows(draw: Callable[[np.random.Generator, int], Floats], truth: float, limits: tuple[float, float]) -> Scores:
    return Scores(lambda rng, n: np.stack([draw(rng, n), np.ones(n)], axis=1), truth, limits)


def of_groups(share: float, likeness: float) -> Scores:
    """Proportions in groups of one to many rows; `likeness` is the correlation within a group."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        sizes = 1 + rng.geometric(0.3, n)
        within = rng.beta(share * (1 / likeness - 1), (1 - share) * (1 / likeness - 1), n)
        return np.stack([rng.binomial(sizes, within), sizes], axis=1).astype(np.float64)

    return Scores(draw, share, (0.0, 1.0))


def tokens(rng: np.random.Generator, n: int) -> Floats:
    """Nats and tokens per row: long rows have a lower loss per token, so a mean of ratios would be another number."""
    count = 1 + rng.geometric(0.05, n)
    return np.stack([rng.gamma(count * 2.0, 1.0) + 5.0, count], axis=1).astype(np.float64)


SETS = {
    "normal": of_rows(lambda rng, n: rng.normal(5.0, 1.0, n), 5.0, (-math.inf, math.inf)),
    "exponential": of_rows(lambda rng, n: rng.exponential(1.0, n), 1.0, (0.0, math.inf)),
    "lognormal": of_rows(lambda rng, n: rng.lognormal(0.0, 1.0, n), math.exp(0.5), (0.0, math.inf)),
    "u-shaped": of_rows(lambda rng, n: rng.beta(0.5, 0.5, n), 0.5, (0.0, 1.0)),
    "near the top": of_rows(lambda rng, n: rng.beta(4.0, 0.5, n), 4 / 4.5, (0.0, 1.0)),
    "paired, seldom differing": of_rows(lambda rng, n: rng.choice([0.0, 1.0, -1.0], n, p=[0.9, 0.07, 0.03]), 0.04, (-1.0, 1.0)),
    "loss per token": Scores(tokens, 2.0 + 5.0 / 21.0, (0.0, math.inf)),
}
GROUPS = {
    f"groups, {share:g} right, likeness {likeness:g}": of_groups(share, likeness) for share in (0.5, 0.8, 0.95) for likeness in (0.05, 0.4)
}


def coverage(scores: Scores, n: int, n_sets: int, *, grouped: bool) -> float:
    held = 0
    for seed in range(n_sets):
        sums = scores.draw(np.random.default_rng([seed, n]), n)
        n_rows = sums[:, 1].astype(np.int64) if grouped else np.ones(n, dtype=np.int64)
        interval = bca_interval(_mean, Clusters(sums, n_rows), scores.limits, np.random.default_rng([seed, n, 1]))
        held += interval[0] <= scores.truth <= interval[1]
    return held / n_sets


def _mean(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 1])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("n", [100, 300])
def test_intervals_over_a_hundred_rows_or_more_hold_the_truth_93_to_97_times_in_100(name: str, n: int) -> None:
    assert 0.93 - SLACK <= coverage(SETS[name], n, N_SETS, grouped=False) <= 0.97 + SLACK


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("n", [30, 60])
def test_intervals_over_thirty_groups_or_more_hold_the_truth_93_to_97_times_in_100(name: str, n: int) -> None:
    assert 0.93 - SLACK <= coverage(GROUPS[name], n, N_SETS, grouped=True) <= 0.97 + SLACK


@pytest.mark.parametrize("name", {**SETS, **GROUPS})
@pytest.mark.parametrize("n", [20, 50])
def test_intervals_over_fewer_hold_the_truth_90_times_in_100(name: str, n: int) -> None:
    n = n // 2 if name in GROUPS else n
    assert coverage({**SETS, **GROUPS}[name], n, N_SETS, grouped=name in GROUPS) >= 0.90 - SLACK


@pytest.mark.parametrize("n", [100, 400])
def test_intervals_of_macro_f1_hold_the_truth_93_to_97_times_in_100(n: int) -> None:
    """Four labels, the rarest a tenth of the rows; the truth is macro-F1 of the whole table of chances."""
    labels, shares = "abcd", np.array([0.4, 0.3, 0.2, 0.1])
    said = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    joint = shares[:, None] * said
    truth = float(np.mean(2 * np.diag(joint) / (joint.sum(0) + joint.sum(1))))
    metric, held = metric_named("macro_f1", labels), 0
    for seed in range(N_SETS):
        drawn = np.random.default_rng([seed, n]).choice(16, size=n, p=joint.ravel())
        gold = [Gold(str(i), labels[cell // 4]) for i, cell in enumerate(drawn)]
        found = estimate(metric, gold, [Answer(str(i), labels[cell % 4]) for i, cell in enumerate(drawn)], seed=seed)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert 0.93 - SLACK <= held / N_SETS <= 0.97 + SLACK


def test_wilsons_intervals_hold_the_truth_93_to_97_times_in_100() -> None:
    """Over shares drawn evenly between 0 and 1; at a single share a proportion's coverage jumps with n."""
    metric, held = metric_named("accuracy"), 0
    for seed in range(N_SETS):
        rng = np.random.default_rng(seed)
        share = rng.random()
        gold = [Gold(str(i), "a") for i in range(100)]
        found = estimate(metric, gold, [Answer(row.id, "a" if rng.random() < share else "b") for row in gold])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= share <= found.high
    assert 0.93 - SLACK <= held / N_SETS <= 0.97 + SLACK


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


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss_nats"])
@pytest.mark.parametrize(("kind", "n"), [("rows", 12), ("rows", 50), ("rows", 200), ("groups", 200), ("rows", 500)])
def test_equal_systems_are_called_different_at_most_as_often_as_said(metric: str, kind: str, n: int) -> None:
    """At p < 0.05: at most 5.7 times in 100, and for 200 rows or more not so seldom that the test would be blunt."""
    n_called = 0
    for seed in range(N_SETS):
        gold, a, b = equal_systems(kind, n, seed)
        p = compare(metric_named(metric, "abc"), gold, a, b, seed=seed).p
        n_called += p is not None and p < 0.05
    assert n_called / N_SETS <= 0.057
    if n >= 200:
        assert n_called / N_SETS >= 0.035
