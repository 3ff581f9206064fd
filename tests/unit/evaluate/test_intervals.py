from __future__ import annotations

import math

import numpy as np
import pytest
from tests.made_up_answers import golds, noisy, system

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.bca import bca_interval, unseen_interval
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.metrics.metric import Floats, ratio
from luthier.evaluate.resampling import Clusters, bootstrap_sums, clusters_of, swaps
from luthier.evaluate.shares import wilson_interval


def mean(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 1])


def test_each_kind_of_number_gets_the_interval_that_fits_it() -> None:
    true = ["a", "b"] * 60
    said = [Answer(one.id, one.text, {one.text or "": 0.7}) for one in system("x", noisy(true, 0.6, 1)).answers]
    alone, each_its_own, grouped = golds(true), golds(true, [f"g{i}" for i in range(120)]), golds(true, [f"g{i // 3}" for i in range(120)])
    for name, method in (("accuracy", "wilson"), ("macro_f1", "bca"), ("calibration_error", "test inversion")):
        metric = metric_named(name, "abc")
        found = [estimate(metric, gold, said) for gold in (alone, each_its_own, grouped)]
        assert [one.method for one in found] == [method, method, f"{method} by group"]
        assert [one.n_groups for one in found] == [None, None, 40]


def test_rows_of_one_group_that_go_alike_count_as_one() -> None:
    """Forty groups of nine rows, all right or all wrong: as wide as forty rows, not as 360."""
    rng = np.random.default_rng(0)
    right = rng.random(40) < 0.6
    groups = [f"g{i // 9}" for i in range(360)]
    gold = golds(["a"] * 360, groups)
    said = system("x", ["a" if right[i // 9] else "b" for i in range(360)]).answers
    found = estimate(metric_named("accuracy"), gold, said)
    low, high = wilson_interval(right.mean(), 40)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)


def test_groups_are_drawn_whole() -> None:
    gold = golds("abcd", ["g", "g", "h", "h"])
    clusters = clusters_of(gold, np.array([[1.0], [2.0], [10.0], [20.0]]))
    assert clusters.sums.tolist() == [[3], [30]]
    drawn = np.concatenate(list(bootstrap_sums(clusters.sums, 500, np.random.default_rng(0))))
    assert set(drawn.ravel().tolist()) == {6.0, 33.0, 60.0}


def test_a_group_and_a_row_of_the_same_name_are_two_units() -> None:
    assert clusters_of((Gold("g", "x"), Gold("h", "x", "g")), np.ones((2, 1))).n_units == 2


def test_units_of_unequal_size_are_worth_fewer_equal_ones() -> None:
    assert Clusters(np.ones((3, 1)), np.array([1, 1, 2])).n_effective == pytest.approx(16 / 6)
    assert Clusters(np.ones((4, 1)), np.array([5, 5, 5, 5])).n_effective == pytest.approx(4)


@pytest.mark.parametrize("limits", [(0.0, 1.0), (0.0, math.inf)])
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_scores_have_an_interval_with_a_width(limits: tuple[float, float], score: float, n: int) -> None:
    sums = np.stack([np.full(n, score), np.ones(n)], axis=1)
    low, high = bca_interval(mean, Clusters(sums, np.ones(n, dtype=np.int64)), limits, np.random.default_rng(0))
    assert limits[0] <= low <= score <= high <= limits[1]
    assert high - low > 0.01 * (score or 1)


def test_what_was_not_seen_in_n_rows_may_be_as_frequent_as_clopper_and_pearson_say() -> None:
    """No miss in 20 rows: the exact 95 % interval of the share of misses ends at 1 − 0.025^(1/20) = 0.16843."""
    low, high = unseen_interval(1.0, 20, (0.0, 1.0))
    assert (low, high) == (pytest.approx(1 - 0.16843, abs=1e-5), 1.0)
    assert unseen_interval(2.0, 20, (0.0, math.inf)) == (pytest.approx(2 * 0.83157, abs=1e-4), pytest.approx(2 / 0.83157, abs=1e-4))


def test_scores_that_are_equal_but_for_rounding_count_as_equal() -> None:
    sums = np.stack([np.full(50, 0.1), np.ones(50)], axis=1) * np.linspace(1, 3, 50)[:, None]
    low, high = bca_interval(mean, Clusters(sums, np.ones(50, dtype=np.int64)), (0.0, 1.0), np.random.default_rng(0))
    assert high - low > 0.05


def test_a_higher_confidence_gives_a_wider_interval() -> None:
    gold, said = golds("ab" * 40), system("x", noisy("ab" * 40, 0.5, 2)).answers
    for metric in (metric_named("accuracy"), metric_named("macro_f1", "abc")):
        narrow, wide = (estimate(metric, gold, said, confidence=c) for c in (0.95, 0.99))
        assert narrow.low is not None
        assert narrow.high is not None
        assert wide.low is not None
        assert wide.high is not None
        assert wide.low < narrow.low < narrow.high < wide.high


def test_silence_counted_as_failure_never_helps() -> None:
    gold = golds("ab" * 10)
    said = [Answer(row.id, None if i < 8 else row.text) for i, row in enumerate(gold)]
    for metric in (metric_named("accuracy"), metric_named("macro_f1", "ab"), metric_named("exact_match"), metric_named("chrf")):
        kind, strict = estimate(metric, gold, said), estimate(metric, gold, said, unjudged_fail=True)
        assert kind.value == metric.range[1]
        assert (kind.n, strict.n, strict.n_unjudged) == (12, 20, 0)
        assert strict.value is not None
        assert strict.value < 0.8 * metric.range[1]


def test_under_a_hundred_rows_or_thirty_groups_are_few() -> None:
    accuracy = metric_named("accuracy")
    assert estimate(accuracy, golds("a" * 99), system("x", "a" * 99).answers).few
    assert not estimate(accuracy, golds("a" * 100), system("x", "a" * 100).answers).few
    groups = [f"g{i % 29}" for i in range(200)]
    assert estimate(accuracy, golds("a" * 200, groups), system("x", "a" * 200).answers).few


def test_few_units_are_swapped_in_every_way_and_many_at_random() -> None:
    exact, chunks = swaps(3, 10_000, np.random.default_rng(0))
    ways = np.concatenate(list(chunks))
    assert exact
    assert len({tuple(way) for way in ways}) == len(ways) == 8
    exact, chunks = swaps(100, 10_000, np.random.default_rng(0))
    ways = np.concatenate(list(chunks))
    assert not exact
    assert ways.shape == (10_000, 100)
    assert ways.mean(axis=0) == pytest.approx(0.5, abs=0.03)


def test_most_intervals_hold_the_truth() -> None:
    """A quick look at what `make prove` shows at length: 300 sets of 100 skewed scores, 95 % intervals."""
    held = 0
    for seed in range(300):
        scores = np.random.default_rng(seed).exponential(size=100)
        sums = np.stack([scores, np.ones(100)], axis=1)
        low, high = bca_interval(mean, Clusters(sums, np.ones(100, dtype=np.int64)), (0.0, math.inf), np.random.default_rng(seed + 1000))
        held += low <= 1.0 <= high
    assert 0.92 <= held / 300 <= 0.98


def test_the_calibration_error_of_a_calibrated_system_may_be_0_and_that_of_another_is_not() -> None:
    """Chance alone lifts the error off 0: about 0.07 on 300 rows. Of 40 intervals of calibrated systems nearly all hold 0."""
    metric = metric_named("calibration_error")
    held = {1.0: 0, 4.0: 0}
    for honesty in held:
        for seed in range(40):
            rng = np.random.default_rng(seed)
            said = rng.beta(4, 1.5, 300)
            gold = [Gold(str(i), "a" if right else "b") for i, right in enumerate(rng.random(300) < said**honesty)]
            answers = [Answer(row.id, "a", {"a": float(p), "b": float(1 - p)}) for row, p in zip(gold, said, strict=True)]
            found = estimate(metric, gold, answers, seed=seed)
            assert found.value is not None and found.low is not None and found.high is not None
            assert found.value > 0.02
            held[honesty] += found.low == 0 and found.high > found.value
    assert held[1.0] >= 36
    assert held[4.0] == 0
