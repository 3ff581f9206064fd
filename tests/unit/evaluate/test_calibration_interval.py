"""The calibration error's interval: its two ways to spread an error, its noise, and what it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.evaluate.calibration_interval import Bins, _ends, calibration_interval, even_gaps, likeliest_gaps, likeness
from luthier.evaluate.metrics.calibration_error import CalibrationError, columns_of
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters

TWO = Bins(np.array([0.2, -0.1]), np.array([0.5, 0.5]), np.array([10.0, 10.0]))


def rows(said: Floats, right: Floats) -> Clusters:
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


@pytest.mark.parametrize(("honesty", "truth"), [(1.0, 0.0), (2.0, 0.1685)])
def test_most_intervals_hold_the_calibration_error(honesty: float, truth: float) -> None:
    """A quick look at what `make prove` shows at length: 150 sets of 200 rows, 95 % intervals."""
    held = 0
    for seed in range(150):
        low, high = calibration_interval(drawn(seed, 200, honesty), np.random.default_rng([seed, 1]))
        held += low <= truth <= high
    assert 0.90 <= held / 150 <= 0.99
