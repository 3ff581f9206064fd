"""Shares over groups of rows: the design effect, how well it is known, and the interval made of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters
from luthier.evaluate.shares import LEAST_EFFECT, design_effect, grouped_share_interval, wilson_interval


def clusters(right: list[int] | Floats, rows: list[int] | Floats) -> Clusters:
    return Clusters(np.stack([right, rows], axis=1).astype(np.float64), np.asarray(rows).astype(np.int64))


def drawn(rng: np.random.Generator, share: float, likeness: float, n: int) -> Clusters:
    sizes = 1 + rng.geometric(0.3, n)
    within = rng.beta(share * (1 / likeness - 1), (1 - share) * (1 / likeness - 1), n)
    return clusters(rng.binomial(sizes, within).astype(np.float64), sizes.astype(np.float64))


def test_groups_that_go_wholly_alike_have_an_effect_of_their_size() -> None:
    """Of 40 groups of nine, 24 are right: the jackknife's variance is p (1 − p) / 39, that of 360 rows p (1 − p) / 360."""
    effect, _ = design_effect(clusters([9] * 24 + [0] * 16, [9] * 40))
    assert effect == pytest.approx(9 * 40 / 39)


def test_groups_of_one_row_have_the_effect_that_an_unbiased_variance_has() -> None:
    assert design_effect(clusters([1] * 7 + [0] * 3, [1] * 10))[0] == pytest.approx(10 / 9)


def test_where_all_rows_are_right_groups_are_taken_to_go_wholly_alike() -> None:
    """Σ rows² / Σ rows = (4 · 1 + 2 · 16) / 12 = 3."""
    assert design_effect(clusters([1, 1, 1, 1, 4, 4], [1, 1, 1, 1, 4, 4])) == (pytest.approx(3), math.inf)


def test_groups_that_balance_themselves_out_count_at_most_twice() -> None:
    """One of each pair is right: the shares of groups do not differ at all, and the interval still has a width."""
    pairs = clusters([1] * 30, [2] * 30)
    assert design_effect(pairs) == (LEAST_EFFECT, math.inf)
    low, high = grouped_share_interval(pairs)
    p = student.ppf(0.975, 29) ** 2
    assert (low, high) == (pytest.approx(0.5 - 0.5 * math.sqrt(p / (120 + p))), pytest.approx(0.5 + 0.5 * math.sqrt(p / (120 + p))))


@pytest.mark.parametrize("seed", range(5))
def test_the_effect_is_as_well_known_as_leaving_each_group_out_says(seed: int) -> None:
    found = drawn(np.random.default_rng(seed), 0.7, 0.2, 12)
    right, rows = found.sums.T

    def effect(right: Floats, rows: Floats) -> float:
        share = right.sum() / rows.sum()
        return float(((right - share * rows) ** 2).sum() / (share * (1 - share) * rows.sum()))

    logs = np.log([effect(np.delete(right, i), np.delete(rows, i)) for i in range(12)])
    shares = np.array([np.delete(right, i).sum() / np.delete(rows, i).sum() for i in range(12)])
    share = right.sum() / rows.sum()
    wanted = 11 * shares.var() * rows.sum() / (share * (1 - share))
    assert design_effect(found) == (pytest.approx(wanted), pytest.approx(2 / (11 * logs.var())))


def test_a_group_without_which_all_rows_are_alike_is_left_out_of_the_jackknife() -> None:
    """One wrong row of 60. Without its group all are right, and there is no effect; without any other there is nearly the same."""
    effect, freedom = design_effect(clusters([2] * 29 + [1], [2] * 30))
    assert effect == pytest.approx(29 * np.var([1.0] + [57 / 58] * 29) * 60 / (59 / 60 / 60))
    assert freedom > 100


@pytest.mark.parametrize(("share", "likeness", "seed"), [(0.6, 0.3, 0), (0.9, 0.1, 1), (0.95, 0.4, 2)])
def test_the_ends_solve_wilsons_equation_at_the_effective_number_of_rows(share: float, likeness: float, seed: int) -> None:
    found = drawn(np.random.default_rng(seed), share, likeness, 40)
    effect, freedom = design_effect(found)
    right, rows = found.sums.sum(axis=0)
    t = student.ppf(0.975, min(freedom, found.n_effective - 1))
    for p in grouped_share_interval(found):
        assert (right / rows - p) ** 2 == pytest.approx(t * t * p * (1 - p) * effect / rows, rel=1e-9)


def test_wrong_is_the_mirror_of_right() -> None:
    found = drawn(np.random.default_rng(3), 0.8, 0.2, 35)
    wrong = clusters(found.sums[:, 1] - found.sums[:, 0], found.sums[:, 1])
    low, high = grouped_share_interval(found)
    assert grouped_share_interval(wrong) == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_all_right_in_twenty_groups_of_five_is_as_sure_as_twenty_rows() -> None:
    """Wilson's low end of n of n is n / (n + t²), with t = 2.093 of 19 degrees of freedom."""
    low, high = grouped_share_interval(clusters([5] * 20, [5] * 20))
    assert (low, high) == (pytest.approx(20 / (20 + 2.093024**2), abs=1e-6), 1.0)
    assert low < wilson_interval(1.0, 20)[0] < wilson_interval(1.0, 100)[0]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
def test_an_interval_over_groups_has_a_width_and_holds_its_share(share: float) -> None:
    for seed in range(100):
        found = drawn(np.random.default_rng(seed), share, 0.3, 1 + seed % 40)
        low, high = grouped_share_interval(found)
        right, rows = found.sums.sum(axis=0)
        assert 0 <= low <= right / rows <= high <= 1
        assert high - low > 0.005


@pytest.mark.parametrize(("share", "likeness"), [(0.95, 0.05), (0.95, 0.4), (0.8, 0.2)])
def test_most_intervals_over_groups_hold_the_share(share: float, likeness: float) -> None:
    """A quick look at what `make prove` shows at length: 1,000 sets of 60 groups, 95 % intervals."""
    ends = np.array([grouped_share_interval(drawn(np.random.default_rng(seed), share, likeness, 60)) for seed in range(1000)])
    assert 0.925 <= ((ends[:, 0] <= share) & (share <= ends[:, 1])).mean() <= 0.975
