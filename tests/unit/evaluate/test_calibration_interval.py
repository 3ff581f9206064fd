"""The calibration error's interval: its two ways to spread an error, its noise, and what it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import binom, norm

from luthier.evaluate.calibration_interval import (
    N_DRAWS,
    N_EXACT,
    Bins,
    Limits,
    Noise,
    _drawn,
    _ends,
    _lacking,
    _spread,
    _steps,
    calibration_interval,
    even_gaps,
    fewest_gaps,
    likeness,
    limits_of,
)
from luthier.evaluate.metrics.calibration_error import CalibrationError, columns_of
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters

TWO = Bins(np.array([0.2, -0.1]), np.array([0.5, 0.5]), np.array([10.0, 10.0]))


def rows(said: Floats, right: Floats | NDArray[np.bool_]) -> Clusters:
    return Clusters(columns_of(said, right.astype(np.bool_)), np.ones(len(said), dtype=np.int64))


def noise_of(seed: int, n_bins: int) -> Noise:
    rng = np.random.default_rng(seed)
    return Noise(rng.standard_normal((N_DRAWS, n_bins)), rng.standard_normal((N_DRAWS, n_bins)), 1.0)


def bins_of(found: Clusters) -> Bins:
    gaps, sure, n = (line[found.sums.reshape(-1, 3, 15).sum(axis=0)[2] > 0] for line in found.sums.reshape(-1, 3, 15).sum(axis=0))
    return Bins(gaps / n, sure / n, n)


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


def test_even_gaps_are_one_shift_of_the_log_odds_to_the_side_of_the_mean_gap_and_amount_to_the_error() -> None:
    """(0.2 − 0.1) / 2 is the mean gap: too sure. Where both bins' rows are as sure, gaps are as large as the error."""
    assert (TWO.value, TWO.mean) == pytest.approx((0.15, 0.05))
    assert even_gaps(TWO, np.array([0.0, 0.3])) == pytest.approx(np.array([[0.0, 0.0], [0.3, 0.3]]), abs=1e-9)
    bins = Bins(np.array([-0.2, 0.1]), np.array([0.9, 0.6]), np.array([10.0, 10.0]))
    (found,) = even_gaps(bins, np.array([0.1]))
    assert found.sum() == pytest.approx(-0.2)
    shifts = logit(bins.sure - found) - logit(bins.sure)
    assert shifts[0] == pytest.approx(shifts[1]) and shifts[0] > 0.5


def test_where_the_side_of_the_mean_gap_has_no_room_even_gaps_are_on_the_other() -> None:
    """Rows of confidence 0.95 that were all right can at most be 0.05 too modest, but any amount too sure; so can rows of 1.0."""
    bins = Bins(np.array([-0.05]), np.array([0.95]), np.array([10.0]))
    assert even_gaps(bins, np.array([0.04, 0.3])) == pytest.approx(np.array([[-0.04], [0.3]]))
    certain = Bins(np.array([0.0]), np.array([1.0]), np.array([10.0]))
    assert even_gaps(certain, np.array([0.0, 0.3, 0.9])) == pytest.approx(np.array([[0.0], [0.3], [0.9]]), abs=1e-5)


def test_the_fewest_gaps_are_those_of_the_bins_that_stand_out_most_as_they_were_seen() -> None:
    """Two rows of 20 too many in the first bin, one too few in the second: errors of 0.05, 0.1 and 0.125 are 1, 2 and 2.5 rows."""
    found = fewest_gaps(TWO, np.array([0.0, 0.05, 0.1, 0.125, 0.15]))
    assert found == pytest.approx(np.array([[0, 0], [0.1, 0], [0.2, 0], [0.2, -0.05], [0.2, -0.1]]), abs=1e-9)


def test_a_bin_stands_out_by_its_rows_and_not_by_its_gap() -> None:
    """0.1 of 100 rows of 0.5 is 2 standard deviations, 0.3 of 4 rows 1.2; 0.1 of 16 rows of 0.9 is 1.33."""
    bins = Bins(np.array([0.3, 0.1, 0.1]), np.array([0.5, 0.5, 0.9]), np.array([4.0, 100.0, 16.0]))
    assert np.flatnonzero(fewest_gaps(bins, np.array([0.08]))[0]).tolist() == [1]
    assert np.flatnonzero(fewest_gaps(bins, np.array([0.09]))[0]).tolist() == [1, 2]


def test_gaps_above_the_measured_error_grow_by_the_same_amount_where_rows_vary_alike_while_there_is_room() -> None:
    assert fewest_gaps(TWO, np.array([0.2])) == pytest.approx(np.array([[0.25, -0.15]]))
    assert fewest_gaps(TWO, np.array([0.48])) == pytest.approx(np.array([[0.5, -0.46]]))


@pytest.mark.parametrize("seed", range(5))
def test_no_other_gaps_of_an_error_above_the_measured_one_are_likelier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins = Bins(rng.normal(0, 0.1, 4), rng.uniform(0.4, 0.6, 4), rng.integers(20, 60, 4).astype(np.float64))
    variance = bins.sure * (1 - bins.sure)

    def distance(gaps: Floats) -> Floats:
        found: Floats = (bins.n * (gaps - bins.gap) ** 2 / variance).sum(axis=-1)
        return found

    wanted = 1.4 * bins.value
    (likeliest,) = fewest_gaps(bins, np.array([wanted]))
    others = bins.gap * rng.uniform(0.5, 2.0, (2000, 4))
    others *= (wanted / bins.error(others))[:, None]
    assert bins.error(likeliest) == pytest.approx(wanted, rel=1e-6)
    assert distance(likeliest) <= distance(others).min()


@pytest.mark.parametrize("n", [1, 7, N_EXACT])
def test_the_rows_that_are_right_by_chance_are_binomial_and_in_the_order_of_the_noise(n: int) -> None:
    normal, chances = np.random.default_rng(n).standard_normal(500), np.array([0.0, 0.03, 0.5, 0.97, 1.0])
    right = (n * chances)[:, None] - _lacking(n, chances, normal)
    wanted = np.stack([binom.ppf(norm.cdf(normal), n, chance) for chance in chances])
    assert right == pytest.approx(wanted, abs=1e-9)


def test_of_many_rows_as_many_are_right_as_normal_noise_says() -> None:
    """400 rows right with chance 0.8 vary by 8."""
    assert _lacking(400, np.array([0.8, 1.0]), np.array([-1.0, 0.5])) == pytest.approx(np.array([[-8.0, 4.0], [0.0, 0.0]]))


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


def test_rows_that_are_not_in_one_bin_are_in_another() -> None:
    """Two bins of 10 rows of certain confidence, all wrong: their gaps of 1 make an error of 1 wherever rows are.

    A gap of 1 in one bin alone is an error that varies as the share of its rows does, by √(0.5 · 0.5 / 20); were rows worth a
    fourth as much, by twice that.
    """
    certain = Bins(np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([10.0, 10.0]))
    once = noise_of(0, 2)
    fourfold = Noise(once.right, once.rows, 4.0)
    errors, means = _drawn(certain, np.array([[1.0, 1.0], [1.0, 0.0]]), once)
    assert errors[0] == pytest.approx(np.ones(N_DRAWS))
    assert errors[1].mean() == pytest.approx(0.5, abs=0.01)
    assert errors[1].std() == pytest.approx(math.sqrt(0.25 / 20), rel=0.1)
    assert means == pytest.approx(errors)
    wider, _ = _drawn(certain, np.array([[1.0, 0.0]]), fourfold)
    inside = np.abs(errors[1] - 0.5) < 0.24
    assert wider[0][inside] - 0.5 == pytest.approx(2 * (errors[1][inside] - 0.5))


def test_what_is_measured_varies_as_rows_do_that_are_drawn() -> None:
    """Against rows themselves: three bins, gaps of both sides; the mean and the spread of the error and of the mean gap."""
    sure, gaps, share = np.array([0.4, 0.7, 0.95]), np.array([0.0, 0.2, -0.04]), np.array([0.1, 0.5, 0.4])
    errors, means = _drawn(Bins(gaps, sure, 60 * share), gaps[None], noise_of(0, 3))
    rng = np.random.default_rng(1)
    n = rng.multinomial(60, share, 20_000)
    parts = n * sure - rng.binomial(n, sure - gaps)
    wanted, wanted_mean = np.abs(parts).sum(axis=1) / 60, np.abs(parts.sum(axis=1)) / 60
    assert [errors.mean(), means.mean()] == pytest.approx([wanted.mean(), wanted_mean.mean()], rel=0.03)
    assert [errors.std(), means.std()] == pytest.approx([wanted.std(), wanted_mean.std()], rel=0.06)


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


@pytest.mark.parametrize(("n", "honesty"), [(60, 1.0), (100, 1.3), (100, 2.0), (300, 1.3), (1_000, 2.0)])
def test_a_true_error_is_rejected_5_times_in_100_whichever_way_it_is_spread_and_not_more_seldom_both_ways(n: int, honesty: float) -> None:
    """By simulations other than those that the limits were taken from; near 0 and far from it."""
    bins = bins_of(drawn(n, n, honesty))
    _, spreads = _spread(bins, _steps(bins, 1.0))
    found = limits_of(bins, spreads, noise_of(0, len(bins.n)), 0.95)
    rejected = []
    for gaps in spreads:
        whole, mean = _drawn(bins, gaps, noise_of(1, len(bins.n)))
        low = np.maximum(whole, found.floor) < found.least[:, None]
        rejected.append((low | (whole > found.most[:, None]) | (mean > found.most_mean[:, None])).mean(axis=1))
    worst = np.max(rejected, axis=0)
    assert worst.max() < 0.085
    assert 0.035 < worst.mean() < 0.065
    assert (rejected[0] < 0.085).all()


def test_a_true_error_of_0_is_only_ever_too_small() -> None:
    """Nothing is measured below it, so that all 5 % are left to the other side: whole and mean gap share them, one to two.

    The mean gap of 100 rows is a whole number of hundredths off, so that not each share can be had.
    """
    bins = bins_of(drawn(0, 100, 1.0))
    _, spreads = _spread(bins, np.array([0.0]))
    found = limits_of(bins, spreads, noise_of(0, len(bins.n)), 0.95)
    whole, mean = _drawn(bins, np.zeros((1, len(bins.n))), noise_of(0, len(bins.n)))
    assert found.least[0] < found.floor == pytest.approx(np.quantile(whole, 0.16))
    assert 0.04 < ((whole > found.most) | (mean > found.most_mean)).mean() <= 0.05
    assert 0.01 < (whole > found.most).mean() < 0.03 and 0.02 < (mean > found.most_mean).mean() < 0.05


def test_margins_are_how_far_the_nearest_limit_is_and_a_value_that_tells_nothing_stands_for_the_least_that_does() -> None:
    limits = Limits(0.1, np.array([0.05, 0.12]), np.array([0.2, 0.3]), np.array([0.04, 0.2]))
    assert limits.margins(0.15, -0.03) == pytest.approx([0.01, 0.03])
    assert limits.margins(0.02, 0.0) == pytest.approx([0.04, -0.02])
    assert limits.margins(0.25, 0.0) == pytest.approx([-0.05, 0.05])


def test_errors_that_there_is_no_room_for_are_lowered_to_what_there_is_room_for() -> None:
    """Rows of 0.9 can be too sure by 0.9 at most: steps at 1.2 and 2 are one at 0.9."""
    bins = Bins(np.array([0.8]), np.array([0.9]), np.array([10.0]))
    errors, spreads = _spread(bins, np.array([0.0, 0.5, 1.2, 2.0]))
    assert errors == pytest.approx([0.0, 0.5, 0.9], abs=1e-5)
    assert [len(gaps) for gaps in spreads] == [3, 3]


def test_where_all_bins_err_to_one_side_the_low_end_is_that_of_the_mean_gap() -> None:
    """A hundred rows, 74 right, their mean confidence 0.843: no error is below that distance's low end, 0.103 − 1.8 · 0.044.

    Two bins' gaps turned to the other side leave the error what it was, and it alone tells no error from none.
    """
    said = np.repeat((np.arange(10, 15) + 0.5) / 15, 20)
    alike = rows(said, np.concatenate([np.arange(20) < k for k in (12, 13, 15, 16, 18)]))
    low, _ = calibration_interval(alike, np.random.default_rng(0))
    turned = alike.sums.copy().reshape(-1, 3, 15)
    turned[:, 0, [11, 13]] *= -1
    mixed = Clusters(turned.reshape(-1, 45), alike.n_rows)
    assert CalibrationError().values(mixed.sums.sum(axis=0)) == pytest.approx(CalibrationError().values(alike.sums.sum(axis=0)))
    assert 0.01 < low < 0.05
    assert calibration_interval(mixed, np.random.default_rng(0))[0] == 0.0


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
