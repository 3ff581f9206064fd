from __future__ import annotations

import numpy as np
import pytest
from tests.made_up_answers import golds, losses, noisy, system

from luthier.evaluate.answers import Answer, System
from luthier.evaluate.compare import compare, corrected, holm
from luthier.evaluate.metrics import metric_named

ACCURACY = metric_named("accuracy")


def test_six_rows_all_better_have_the_exact_p_of_two_in_sixty_four() -> None:
    found = compare(ACCURACY, golds("a" * 6), system("a", "a" * 6), system("b", "b" * 6))
    assert (found.difference, found.p, found.n) == (1.0, 2 / 64, 6)


def test_the_test_is_paired_so_small_steady_differences_are_found() -> None:
    """Rows differ widely in loss, systems by a little on each: an unpaired test would see nothing."""
    rng = np.random.default_rng(0)
    base = rng.lognormal(2.0, 1.0, size=100)
    a = losses("a", list(base - 0.05 - 0.02 * rng.random(100)), [1] * 100)
    b = losses("b", list(base), [1] * 100)
    found = compare(metric_named("loss_nats"), golds(["x"] * 100), a, b)
    assert found.p == pytest.approx(1 / 10_001)
    assert found.gain is not None
    assert found.difference is not None
    assert found.gain == -found.difference == pytest.approx(0.06, abs=0.01)
    assert found.high is not None
    assert found.high < 0


def test_the_interval_is_paired_too() -> None:
    """Both systems right and wrong on the same rows but for five of two hundred."""
    true = ["a"] * 200
    b = ["a" if i % 2 else "b" for i in range(200)]
    a = ["a" if i in (0, 2, 4, 6, 8) else text for i, text in enumerate(b)]
    found = compare(ACCURACY, golds(true), system("a", a), system("b", b))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low < 0.06


def test_groups_are_swapped_whole() -> None:
    """Sixty rows better, but in six groups: six coin tosses, not sixty."""
    groups = [f"g{i // 10}" for i in range(60)]
    found = compare(ACCURACY, golds("a" * 60, groups), system("a", "a" * 60), system("b", "b" * 60))
    assert (found.p, found.n, found.n_groups) == (2 / 64, 60, 6)


def test_the_test_of_macro_f1_swaps_answers_and_not_scores() -> None:
    true = noisy(["a", "b", "c"] * 30, 1.0, 0)
    a, b = noisy(true, 0.9, 1), noisy(true, 0.3, 2)
    found = compare(metric_named("macro_f1", "abc"), golds(true), system("a", a), system("b", b))
    assert found.p == pytest.approx(1 / 10_001)


def test_a_comparison_is_over_the_rows_that_both_were_judged_on() -> None:
    gold = golds("aaaa")
    found = compare(ACCURACY, gold, system("a", ["a", "a", None, "b"]), system("b", ["b", None, "a", "b"]))
    assert (found.n, found.difference) == (2, 0.5)
    nothing = compare(ACCURACY, gold, system("a", [None] * 4), system("b", "aaaa"))
    assert (nothing.n, nothing.difference, nothing.p, nothing.low) == (0, None, None, None)


def test_silence_of_the_first_system_can_be_counted_against_it() -> None:
    gold = golds("a" * 8)
    a = System("a", tuple(Answer(row.id, "a" if i < 4 else None) for i, row in enumerate(gold)))
    b = system("b", "aaabaaaa")
    assert compare(ACCURACY, gold, a, b).difference == pytest.approx(0.25)
    assert compare(ACCURACY, gold, a, b, unjudged_fail=True).difference == pytest.approx(0.5 - 7 / 8)


def test_holms_correction_by_hand() -> None:
    """Of 0.01, 0.04, 0.03: 3 · 0.01, then 2 · 0.03, then 0.04 raised to the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.5, None, 0.9]) == (1.0, None, 1.0)
    assert holm([]) == ()


def test_holm_counts_only_comparisons_that_could_be_made() -> None:
    gold = golds("a" * 10)
    a = system("a", "a" * 10)
    made = corrected([compare(ACCURACY, gold, a, system("b", "b" * 10)), compare(ACCURACY, gold, a, system("c", [None] * 10))])
    assert (made[0].p_holm, made[1].p_holm) == (made[0].p, None)


def test_equal_systems_are_seldom_called_different() -> None:
    """A quick look at what `make prove` shows at length: 100 pairs of systems that are equally good."""
    n_called = 0
    for seed in range(100):
        true = ["a"] * 200
        a, b = noisy(true, 0.6, 2 * seed, "ab"), noisy(true, 0.6, 2 * seed + 1, "ab")
        p = compare(ACCURACY, golds(true), system("a", a), system("b", b), seed=seed).p
        assert p is not None
        n_called += p < 0.05
    assert 1 <= n_called <= 12
