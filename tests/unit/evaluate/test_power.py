"""The smallest difference that a test can show: held against all ways that rows can fall, and against the test itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.evaluate import compare
from luthier.evaluate.answers import Answer, Gold, System
from luthier.evaluate.compare import _permutation_p
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.power import DISAGREE, power_lines, power_of, smallest_difference
from luthier.evaluate.resampling import Clusters


def p_of(won: int, lost: int, n: int) -> float:
    """p of the paired test where one system alone is right on `won` rows and the other on `lost`."""
    right_a = np.array([1.0] * won + [0.0] * lost + [1.0] * (n - won - lost))
    right_b = np.array([0.0] * won + [1.0] * lost + [1.0] * (n - won - lost))
    sums = np.stack([right_a, np.ones(n), right_b, np.ones(n)], axis=1)
    difference = float(right_a.mean() - right_b.mean())
    return _permutation_p(Accuracy(), Clusters(sums, np.ones(n, dtype=np.int64)), difference, np.random.default_rng(0))


@pytest.mark.parametrize(("n", "disagree", "difference"), [(8, 0.9, 0.8), (12, 0.6, 0.5), (13, 1.0, 0.4), (5, 0.5, 0.5)])
def test_the_power_is_that_of_the_test_summed_over_all_ways_that_rows_can_fall(n: int, disagree: float, difference: float) -> None:
    wins, losses = (disagree + difference) / 2, (disagree - difference) / 2
    total = 0.0
    for won in range(n + 1):
        for lost in range(n + 1 - won):
            ways = math.factorial(n) / (math.factorial(won) * math.factorial(lost) * math.factorial(n - won - lost))
            chance = ways * wins**won * losses**lost * (1 - disagree) ** (n - won - lost)
            total += chance * (won > lost and p_of(won, lost, n) < 0.05)
    assert power_of(n, disagree, difference) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize(("won", "lost"), [(15, 4), (14, 5), (40, 22), (41, 21), (70, 45), (72, 43)])
def test_beyond_all_ways_the_threshold_is_that_of_random_swaps(won: int, lost: int) -> None:
    """The exact mid-p decides as 10,000 random swaps do, where it is not a matter of their luck."""
    from scipy.stats import binom

    m = won + lost
    exact = 2 * binom.sf(won - 1, m, 0.5) - binom.pmf(won, m, 0.5)
    assert p_of(won, lost, m + 20) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(("n", "disagree"), [(60, 0.4), (150, 0.2)])
def test_what_is_promised_is_shown_four_times_in_five(n: int, disagree: float) -> None:
    """The whole path, by simulation: made-up answers, the paired test, and how often it calls the better one better."""
    difference = smallest_difference(n, disagree)
    assert difference is not None
    draw, shown, times = np.random.default_rng(1), 0, 250
    for _ in range(times):
        fate = draw.random(n)
        won, lost = int((fate < (disagree + difference) / 2).sum()), int((fate > 1 - (disagree - difference) / 2).sum())
        shown += won > lost and p_of(won, lost, n) < 0.05
    # Three standard errors of a share of 250.
    assert abs(shown / times - 0.8) < 3 * math.sqrt(0.8 * 0.2 / times)


@pytest.mark.parametrize("n", [30, 113, 1000, 40_000])
@pytest.mark.parametrize("disagree", DISAGREE)
def test_it_is_the_smallest(n: int, disagree: float) -> None:
    found = smallest_difference(n, disagree)
    if found is None:
        assert power_of(n, disagree, disagree) < 0.8
        return
    assert power_of(n, disagree, found) >= 0.8
    assert found <= 0.0002 or power_of(n, disagree, found - 0.0002) < 0.8
    more = smallest_difference(2 * n, disagree)
    assert more is not None and more < found
    # About 2.8 standard errors of the difference, as the normal approximation has it.
    assert found == pytest.approx(2.8 * math.sqrt(disagree / n), rel=0.35)


def test_a_test_that_can_show_nothing_says_so() -> None:
    assert smallest_difference(0, 0.2) is None
    assert smallest_difference(10, 0.4) is None
    assert power_lines("accuracy", 10) == ["10 test rows: too few to show that two systems differ in accuracy (p < 0.05, 4 times in 5)"]
    assert power_lines("chrf", 300) == power_lines("accuracy", 0) == []


def test_the_words_hold_the_numbers() -> None:
    (line,) = power_lines("accuracy", 300)
    for share, words in DISAGREE.items():
        assert f"{100 * (smallest_difference(300, share) or 0):.1f} points where they differ on {words}" in line
    assert line.startswith("300 test rows show that two systems differ in accuracy")
    assert "about 5.0 points" in power_lines("macro_f1", 300)[0]


def test_rows_in_groups_may_count_as_fewer() -> None:
    lines = power_lines("accuracy", 300, [10] * 30)
    assert len(lines) == 2 and "they would count as 30: none could be shown" in lines[1]
    assert f"{100 * (smallest_difference(150, 0.2) or 0):.1f} points" in power_lines("accuracy", 300, [2] * 150)[1]
    assert len(power_lines("accuracy", 300, [1] * 300)) == 1


def test_the_test_whose_power_it_is_is_the_one_that_reports_use() -> None:
    gold = [Gold(f"{i:03}", "x") for i in range(12)]
    a = System("a", tuple(Answer(row.id, "x") for row in gold))
    b = System("b", tuple(Answer(row.id, "x" if i > 6 else "y") for i, row in enumerate(gold)))
    assert compare.compare(Accuracy(), gold, a, b).p == p_of(7, 0, 12) == 2 / 2**7
