"""The calibration error's interval: its two ways to spread an error, its noise, and what it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from luthier.evaluate.calibration_interval import (
    Bins,
    _drawn,
    _ends,
    _margins,
    _steps,
    calibration_interval,
    even_gaps,
    likeliest_gaps,
    likeness,
)
from luthier.evaluate.metrics.calibration_error import CalibrationError, columns_of
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters

TWO = Bins(np.array([0.2, -0.1]), np.array([0.5, 0.5]), np.array([10.0, 10.0]))


def rows(said: Floats, right: Floats | NDArray[np.bool_]) -> Clusters:
    return Clusters(columns_of(said, right.astype(np.bool_)), np.ones(len(said), dtype=np.int64))


def drawn(seed: int, n: int, honesty: float) -> Clusters:
    rng = np.random.default_rng(seed)
    said = rng.beta(4, 1.5, n)
    return rows(said, rng.random(n) < said**honesty)


def test_a_rows_columns_are_its_gap_its_confidence_and_one_in_its_bin() -> None:
    """0.95 is in the last of 15 bins, 0.6 in that which ends there."""
    found = columns_of(np.array([0.95, 0.6]), np.array([True, False])).reshape(2, 3, 15)
    assert found[0, :, 14] == pytest.approx([-0.05, 0.95, 1])
    assert found[1, :, 8] == pytest.approx([0.6, 0.6, 1])
    assert np.count_nonzero(found) == 6


def test_even_gaps_are_the_same_in_each_bin_to_the_side_that_was_seen() -> None:
    assert even_gaps(TWO, np.array([0.0, 0.3])).tolist() == [[0.0, 0.0], [0.3, -0.3]]
    assert TWO.value == pytest.approx(0.15)


def test_where_the_side_that_was_seen_has_no_room_an_even_gap_is_on_the_other() -> None:
    """Rows of confidence 0.95 that were all right can at most be 0.05 too modest, but any amount too sure."""
    bins = Bins(np.array([-0.05]), np.array([0.95]), np.array([10.0]))
    assert even_gaps(bins, np.array([0.04, 0.3])) == pytest.approx(np.array([[-0.04], [0.3]]))


def test_the_likeliest_gaps_shrink_by_the_same_amount_where_rows_vary_alike() -> None:
    """Both bins' rows vary by 0.25: errors 0.05, 0.1 and 0.2 are reached from (0.2, −0.1) at λ = 0.4, 0.2 and −0.2."""
    found = likeliest_gaps(TWO, np.array([0.0, 0.05, 0.1, 0.2]))
    assert found == pytest.approx(np.array([[0, 0], [0.1, 0], [0.15, -0.05], [0.25, -0.15]]), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_gaps_of_the_same_error_are_likelier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins = Bins(rng.normal(0, 0.1, 4), rng.uniform(0.4, 0.6, 4), rng.integers(20, 60, 4).astype(np.float64))
    variance = bins.sure * (1 - bins.sure)

    def distance(gaps: Floats) -> Floats:
        found: Floats = (bins.n * (gaps - bins.gap) ** 2 / variance).sum(axis=-1)
        return found

    wanted = 0.6 * bins.value
    (likeliest,) = likeliest_gaps(bins, np.array([wanted]))
    others = rng.normal(bins.gap, 0.05, (2000, 4))
    others *= (wanted / bins.error(others))[:, None]
    assert bins.error(likeliest) == pytest.approx(wanted, rel=1e-6)
    assert distance(likeliest) <= distance(others).min()


def test_the_noise_of_a_bin_is_that_of_its_rows() -> None:
    """Ten rows of 0.5 that are right with chance 0.5 − gap: 10 · 0.25 for no gap, 10 · (0.3 · 0.7 + 0.2²) for one of 0.2."""
    assert TWO.deviation(np.array([[0.0, 0.2]])) == pytest.approx(np.array([[math.sqrt(2.5), math.sqrt(2.5)]]) / 20)
    bins = Bins(np.array([0.1]), np.array([0.9]), np.array([4.0]))
    assert bins.deviation(np.array([[0.1]])) == pytest.approx(math.sqrt(4 * (0.8 * 0.2 + 0.01)) / 4)


def test_rows_that_go_together_make_more_noise_in_step() -> None:
    """Four units of two rows of 0.5, all right or all wrong: Σ gaps² = 4, times 4 / 3, where eight rows alone have 8 · 0.25.

    The second bin's rows do as the first's.
    """
    unit = np.array([[[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]])
    columns = np.concatenate([unit, unit, unit * [[-1], [1], [1]], unit * [[-1], [1], [1]]], axis=0)
    gap, sure, n = columns.sum(axis=0)
    effect, root = likeness(columns, Bins(gap / n, sure / n, n))
    assert effect == pytest.approx(4 * 4 / 3 / 2)
    assert root @ root == pytest.approx(np.ones((2, 2)))


def test_ends_lie_between_the_steps_in_a_straight_line() -> None:
    errors = np.array([0.0, 1.0, 2.0, 3.0])
    assert _ends(errors, np.array([-1.0, 1.0, 1.0, -3.0])) == (0.5, 2.25)
    assert _ends(errors, np.array([1.0, -1.0, 1.0, 1.0])) == (0.0, 3.0)


def test_an_interval_depends_on_sums_and_the_seed_alone() -> None:
    found = drawn(0, 200, 1.3)
    turned = Clusters(found.sums[::-1], found.n_rows)
    first, again, other = (calibration_interval(one, np.random.default_rng(seed)) for one, seed in ((found, 0), (turned, 0), (found, 1)))
    assert first == pytest.approx(again, abs=1e-12)
    assert first != other
    assert first == pytest.approx(other, abs=0.01)


def test_more_rows_and_less_confidence_make_it_narrower_and_groups_wider() -> None:
    """The same rows eight times over are an interval's width over √8; as groups of eight they are no more than they were."""
    found = drawn(1, 100, 2.0)

    def width(one: Clusters, confidence: float = 0.95) -> float:
        low, high = calibration_interval(one, np.random.default_rng(0), confidence)
        return high - low

    times = Clusters(np.repeat(found.sums, 8, axis=0), np.ones(800, dtype=np.int64))
    together = Clusters(found.sums * 8, np.full(100, 8))
    assert width(times) < 0.5 * width(found)
    assert width(together) == pytest.approx(width(found), rel=0.2)
    assert width(found, 0.8) < width(found) < width(found, 0.99)


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
@pytest.mark.parametrize(("said", "right"), [(1.0, True), (1.0, False), (0.99, True), (0.5, True), (0.0, False), (1 + 1e-12, True)])
def test_no_interval_has_zero_width_and_each_holds_its_value(n: int, said: float, right: bool) -> None:
    found = rows(np.full(n, said), np.full(n, right))
    low, high = calibration_interval(found, np.random.default_rng(0))
    assert 0 <= low <= float(CalibrationError().values(found.sums.sum(axis=0))) <= high <= 1
    assert high - low > 0.4 / n


def test_parts_of_the_error_go_against_each_other_as_rows_are_in_one_bin_or_another() -> None:
    """Of 20 rows, each as the others: the variance of Σ (confidence − right) / 20 is (E[(p − right)²] − E[p − right]²) / 20.

    Even gaps of 0.2 in two bins of confidence 0.5: (0.3 · 0.7 + 0.04 − 0.04) / 20; one bin alone varies by (0.25 / 2 − 0.1²) / 20.
    """
    gaps, tiny = np.array([[0.2, 0.2]]), 1e-3
    moved = (_drawn(TWO, gaps, tiny * np.eye(2)) - 0.2) / tiny
    assert (moved**2).sum() == pytest.approx(0.21 / 20)
    alone = (_drawn(TWO, np.array([[0.2, 0.0]]), tiny * np.eye(2)) - 0.1) / tiny
    # Without a gap the other bin's part is |noise|, which has no part in the first bin's.
    assert (alone[0, 0] ** 2) == pytest.approx((0.125 - 0.01) / 20)


@pytest.mark.parametrize("n", [300, 3_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("share", [0.7, 0.5, 0.3])
def test_where_all_rows_are_far_too_sure_it_is_the_interval_of_a_mean_however_many_rows(n: int, share: float) -> None:
    """Rows of 0.9, `share` of them right: the error is 0.9 − share, known as well as the share, 1.96 √(share (1 − share) / n)."""
    summed = Clusters(rows(np.full(10, 0.9), np.arange(10) < round(share * 10)).sums * (n / 10), np.ones(10, dtype=np.int64))
    low, high = calibration_interval(summed, np.random.default_rng(0))
    half = 1.96 * math.sqrt(share * (1 - share) / n)
    assert [0.9 - share - low, high - 0.9 + share] == pytest.approx([half, half], rel=0.12)


def test_steps_lie_closer_than_the_noise_and_reach_beyond_what_chance_lifts() -> None:
    """From 0 on by squares; from elsewhere, 4 + √(2 / π) deviations and four rows below the value, evenly."""
    near = _steps(Bins(np.array([0.01]), np.array([0.5]), np.array([100.0])), 1.0)
    assert near[0] == 0 and near[-1] == pytest.approx(0.01 + 4 * math.sqrt(100 * 0.25) / 100 + 0.04, rel=0.01)
    assert near[1] == pytest.approx(near[-1] / 900)
    bins = Bins(np.array([0.3]), np.array([0.9]), np.array([10_000.0]))
    far, deviation = _steps(bins, 1.0), math.sqrt(0.6 * 0.4 / 10_000)
    assert [0.3 - far[0], far[-1] - 0.3] == pytest.approx([4.798 * deviation + 4e-4, 4 * deviation + 4e-4], rel=0.01)
    assert np.diff(far) == pytest.approx(np.full(30, far[1] - far[0])) and far[1] - far[0] < 0.35 * deviation
    assert np.diff(_steps(bins, 4.0)).max() == pytest.approx(2 * (far[1] - far[0]), rel=0.15)


@pytest.mark.parametrize("seed", range(8))
def test_an_error_that_either_way_to_spread_it_makes_usual_is_in_the_interval(seed: int) -> None:
    found = drawn(seed, 300, 1.6)
    columns = found.sums.reshape(-1, 3, 15).sum(axis=0)
    gaps, sure, n = columns[:, columns[2] > 0]
    bins, rng = Bins(gaps / n, sure / n, n), np.random.default_rng(0)
    noise, errors = rng.standard_normal((1_000, len(n))), _steps(Bins(gaps / n, sure / n, n), 1.0)
    low, high = calibration_interval(found, np.random.default_rng(0))
    for way in (even_gaps, likeliest_gaps):
        usual = errors[_margins(bins, way(bins, errors), noise, 1 / 300, 0.95) >= 0]
        assert low <= usual.min() and usual.max() <= high


def test_an_error_is_never_taken_to_be_known_better_than_one_row_tells() -> None:
    """Without any noise, and a row worth 0.05: a measured 0.1 is 0.1² / (2 · 0.05²) less likely under 0.2 than under 0.1."""
    bins = Bins(np.array([0.1]), np.array([0.5]), np.array([20.0]))
    assert _margins(bins, np.array([[0.1], [0.2]]), np.zeros((10, 1)), 0.05, 0.95) == pytest.approx([0.0, -2.0], abs=1e-6)


def test_one_group_is_worth_no_more_than_one_row() -> None:
    """Nothing says how far rows of one unit go alike: then as wide as one row's, as for a share."""
    found = drawn(0, 200, 1.0)
    one = Clusters(found.sums.sum(axis=0, keepdims=True), np.array([200]))
    low, high = calibration_interval(one, np.random.default_rng(0))
    assert low == 0 and high > 0.6


@pytest.mark.parametrize("right", [True, False])
def test_where_all_rows_are_right_or_all_are_wrong_groups_are_taken_to_go_wholly_alike(right: bool) -> None:
    """Twenty groups of one row and twenty of three: Σ rows² / Σ rows = (20 + 180) / 80."""
    sizes = np.repeat([1, 3], 20)
    said = np.random.default_rng(0).uniform(0.5, 1.0, 80)
    columns = np.zeros((40, 45))
    np.add.at(columns, np.repeat(np.arange(40), sizes), columns_of(said, np.full(80, right)))
    columns = columns.reshape(40, 3, 15)[:, :, 7:]
    gap, sure, n = columns.sum(axis=0)
    assert likeness(columns, Bins(gap / n, sure / n, n))[0] == pytest.approx(2.5)


def test_wrong_rows_of_two_groups_have_an_interval_with_a_width_about_their_very_value() -> None:
    """Nothing is larger than an error of rows that are all wrong, and the noises of two units cancel each other."""
    said = np.random.default_rng(0).uniform(0.5, 1.0, 100)
    columns = np.zeros((2, 45))
    np.add.at(columns, np.arange(100) % 2, columns_of(said, np.zeros(100, dtype=np.bool_)))
    low, high = calibration_interval(Clusters(columns, np.array([50, 50])), np.random.default_rng(0))
    assert low < said.mean() - 0.2 < said.mean() + 0.2 < high


@pytest.mark.parametrize("seed", range(5))
def test_perfectly_calibrated_rows_may_have_an_error_of_0_and_not_of_nearly_0(seed: int) -> None:
    """Rows of tenths, right as often as they say: sums of tenths leave some 1e-17, and the low end is 0.0 all the same."""
    said = np.repeat([0.9, 0.8, 0.7, 0.6], 10)
    right = np.concatenate([np.arange(10) < k for k in (9, 8, 7, 6)])
    order = np.random.default_rng(seed).permutation(40)
    found = rows(said[order], right[order])
    low, high = calibration_interval(found, np.random.default_rng(seed))
    assert float(CalibrationError().values(found.sums.sum(axis=0))) < 1e-15
    assert low == 0.0 and high > 0.05


def test_an_error_in_one_bin_is_held_nearly_as_often_as_one_in_all() -> None:
    """Only rows around 0.9 are too sure, by 0.25: 150 sets of 300 rows; even gaps alone hold it two times in three."""
    held = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        said = rng.beta(4, 1.5, 300)
        found = rows(said, rng.random(300) < np.where(np.abs(said - 0.9) < 1 / 30, said - 0.25, said))
        low, high = calibration_interval(found, np.random.default_rng([seed, 1]))
        held += low <= 0.0374580 <= high
    assert held / 150 >= 0.92


@pytest.mark.parametrize(("honesty", "truth"), [(1.0, 0.0), (2.0, 0.1685), (6.0, 0.4612)])
def test_most_intervals_hold_the_calibration_error(honesty: float, truth: float) -> None:
    """A quick look at what `make prove` shows at length: 150 sets of 200 rows, 95 % intervals."""
    held = 0
    for seed in range(150):
        low, high = calibration_interval(drawn(seed, 200, honesty), np.random.default_rng([seed, 1]))
        held += low <= truth <= high
    assert 0.90 <= held / 150 <= 0.99
