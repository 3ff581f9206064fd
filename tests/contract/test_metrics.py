"""The laws of every metric in the table, and of the comparisons made with it."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from luthier.evaluate.answers import Answer, Gold, System
from luthier.evaluate.compare import compare
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import METRICS, TASK_METRICS, AnyMetric, Task, goal_metrics, metric_named
from luthier.evaluate.metrics.metric import Metric, goodness, judged, value_of
from luthier.evaluate.verdict import Goal

WORDS = ("red", "green 7", "blue fish swims", "no 12", "a #### 5", "one more answer 7, said in more words")
NAMES = sorted(METRICS)
JUDGING = [name for name in NAMES if METRICS[name].higher_is_better is not None]


def made(name: str) -> AnyMetric:
    return metric_named(name, WORDS)


def rows(n: int, seed: int, n_groups: int | None = None) -> tuple[Gold, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        Gold(f"{i:04}", WORDS[rng.integers(len(WORDS))], None if n_groups is None else f"g{rng.integers(n_groups)}") for i in range(n)
    )


def answers(gold: tuple[Gold, ...], name: str, seed: int, right: float = 0.5, silent: float = 0.0) -> System:
    """Answers of which a share is right; wrong ones are labels or, one in three, a text that says the same again and again."""
    rng = np.random.default_rng(seed)
    found = []
    for row in gold:
        is_right = rng.random() < right
        text = row.text if is_right else WORDS[rng.integers(len(WORDS))]
        sure = rng.uniform(0.8, 1.0)
        if not is_right and rng.random() < 1 / 3:
            text = " ".join([text] * 7)
        others = [word for word in WORDS if word != text]
        shares = {text: sure, **dict.fromkeys(others, (1 - sure) / len(others))}
        loss, n = float(rng.gamma(2.0, 2.0 - right)), int(rng.integers(1, 30))
        quiet = rng.random() < silent
        said = Answer(row.id, None, None, None, n, 3 * n) if quiet else Answer(row.id, text, shares, loss * n, n, 3 * n)
        found.append(said)
    return System(name, tuple(found))


def worst_value(metric: Metric) -> float:
    return metric.range[0 if metric.higher_is_better else 1]


def shuffled(system: System, seed: int) -> System:
    order = np.random.default_rng(seed).permutation(len(system.answers))
    return System(system.name, tuple(system.answers[i] for i in order))


def test_the_table_names_each_metric_once_and_tasks_use_only_names_in_it() -> None:
    assert len(METRICS) == len(get_args(AnyMetric))
    assert all(name in METRICS for names in TASK_METRICS.values() for name in names)
    assert {name for names in TASK_METRICS.values() for name in names} == set(METRICS)


@pytest.mark.parametrize("task", [task for task, names in TASK_METRICS.items() if names])
def test_a_goal_can_be_judged_by_each_metric_of_its_task_that_judges_and_by_no_other(task: Task) -> None:
    wanted = [name for name in TASK_METRICS[task] if name in JUDGING]
    assert list(goal_metrics(task)) == wanted
    assert TASK_METRICS[task][0] in wanted, "the default of a goal judges"
    for name in METRICS:
        complaints = list(Goal(task=task, metric=name).complaints(frozenset()))
        assert [where for where, _, _ in complaints] == ([] if name in wanted else ["metric"])


@pytest.mark.parametrize("name", JUDGING)
def test_what_is_better_is_of_greater_goodness_and_no_value_is_of_least(name: str) -> None:
    metric = made(name)
    better, worse = (0.9, 0.2) if metric.higher_is_better else (0.2, 0.9)
    assert goodness(metric, better) > goodness(metric, worse) > goodness(metric, None)


@pytest.mark.parametrize("name", NAMES)
def test_judged_and_unjudged_rows_together_are_all_rows(name: str) -> None:
    gold = rows(60, 1)
    found = estimate(made(name), gold, answers(gold, "x", 2, silent=0.3).answers)
    assert 0 < found.n_unjudged < 60
    assert found.n + found.n_unjudged == 60
    assert found.value is not None


@pytest.mark.parametrize("name", NAMES)
def test_without_a_judged_row_there_is_no_number_and_never_a_zero(name: str) -> None:
    gold = rows(5, 1)
    found = estimate(made(name), gold, [Answer(row.id, None) for row in gold])
    assert (found.value, found.low, found.high, found.n, found.n_unjudged) == (None, None, None, 0, 5)


@pytest.mark.parametrize("name", NAMES)
def test_an_unjudged_row_changes_no_value(name: str) -> None:
    gold = rows(40, 3)
    said = answers(gold, "x", 4).answers
    metric = made(name)
    with_silence = (*said[:-5], *(Answer(answer.id, None) for answer in said[-5:]))
    assert value_of(metric, metric.statistics(gold, with_silence)) == value_of(metric, metric.statistics(gold[:-5], said[:-5]))


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_rows_changes_no_value_and_no_comparison(name: str) -> None:
    gold, metric = rows(50, 5, n_groups=20), made(name)
    a, b = answers(gold, "a", 6, 0.8), answers(gold, "b", 7, 0.4)
    order = np.random.default_rng(8).permutation(len(gold))
    mixed = tuple(gold[i] for i in order)
    assert compare(metric, gold, a, b) == compare(metric, mixed, shuffled(a, 9), shuffled(b, 10))
    in_order = value_of(metric, metric.statistics(gold, a.answers))
    in_disorder = value_of(metric, metric.statistics(mixed, [a.answers[i] for i in order]))
    assert in_order == pytest.approx(in_disorder, rel=1e-12)


@pytest.mark.parametrize("name", JUDGING)
def test_the_right_answers_score_better_than_wrong_ones(name: str) -> None:
    gold, metric = rows(80, 11), made(name)
    good, bad = (value_of(metric, metric.statistics(gold, answers(gold, "x", 12, right).answers)) for right in (0.95, 0.1))
    assert good is not None
    assert bad is not None
    assert (good > bad) == metric.higher_is_better
    assert metric.range[0] <= min(good, bad) <= max(good, bad) <= metric.range[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_worst_answers_have_the_worst_value_on_rows_that_can_be_judged(name: str) -> None:
    gold, metric = rows(30, 13), made(name)
    worst = metric.failure(gold)
    if worst is None:
        assert worst_value(metric) in (math.inf, -math.inf)
        return
    assert value_of(metric, worst) == worst_value(metric)
    can = judged(metric.statistics(gold, [Answer(row.id, row.text, {row.text: 1.0}) for row in gold]))
    assert (judged(worst) == can).all()


@pytest.mark.parametrize("name", NAMES)
def test_values_of_many_sums_are_the_values_of_each(name: str) -> None:
    gold, metric = rows(40, 14), made(name)
    statistics = metric.statistics(gold, answers(gold, "x", 15).answers)
    statistics = statistics[judged(statistics)]
    sums = np.stack([statistics[:10].sum(0), statistics.sum(0), np.zeros(statistics.shape[1])])
    together = metric.values(sums)
    assert together.shape == (3,)
    assert np.isnan(together[2])
    for one, value in zip(sums[:2], together[:2], strict=True):
        assert value == pytest.approx(float(metric.values(one)), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_turning_a_comparison_round_turns_its_sign_and_nothing_else(name: str) -> None:
    gold, metric = rows(70, 16, n_groups=35), made(name)
    a, b = answers(gold, "a", 17, 0.8), answers(gold, "b", 18, 0.6)
    there, back = compare(metric, gold, a, b), compare(metric, gold, b, a)
    assert there.difference is not None
    assert there.low is not None
    assert there.high is not None
    assert back.difference == pytest.approx(-there.difference, rel=1e-9)
    assert back.low == pytest.approx(-there.high, rel=1e-6)
    assert back.high == pytest.approx(-there.low, rel=1e-6)
    assert back.p == there.p


@pytest.mark.parametrize("name", NAMES)
def test_a_difference_is_the_first_systems_value_minus_the_seconds(name: str) -> None:
    gold, metric = rows(70, 19), made(name)
    a, b = answers(gold, "a", 20, 0.9), answers(gold, "b", 21, 0.3)
    found = compare(metric, gold, a, b)
    value_a, value_b = (value_of(metric, metric.statistics(gold, one.answers)) for one in (a, b))
    assert value_a is not None
    assert value_b is not None
    assert found.difference == pytest.approx(value_a - value_b, rel=1e-12)
    if metric.higher_is_better is None:
        assert found.gain is None
        return
    assert found.gain is not None
    assert found.gain > 0


@pytest.mark.parametrize("name", NAMES)
def test_an_interval_has_a_width_and_holds_its_value_and_stays_in_range(name: str) -> None:
    metric = made(name)
    for n in (1, 2, 3, 12):
        gold = rows(n, 22 + n)
        for right in (0.0, 0.5, 1.0):
            found = estimate(metric, gold, answers(gold, "x", 23, right).answers)
            if found.value is None:
                continue
            assert found.low is not None
            assert found.high is not None
            assert metric.range[0] <= found.low <= found.value <= found.high <= metric.range[1]
            assert found.high - found.low > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_two_systems_that_say_the_same_differ_by_nothing_with_p_one_and_a_width(name: str) -> None:
    gold, metric = rows(40, 24), made(name)
    a = answers(gold, "a", 25)
    found = compare(metric, gold, a, System("b", a.answers))
    assert found.difference == 0
    assert found.p == 1
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_numbers(name: str) -> None:
    gold, metric = rows(60, 26, n_groups=30), made(name)
    a, b = answers(gold, "a", 27, 0.7), answers(gold, "b", 28, 0.5)
    assert estimate(metric, gold, a.answers, seed=3) == estimate(metric, gold, a.answers, seed=3)
    assert compare(metric, gold, a, b, seed=3) == compare(metric, gold, a, b, seed=3)


def test_every_metric_says_what_it_is() -> None:
    for kind in get_args(AnyMetric):
        metric: Metric = made(kind.name)
        assert metric.about
        assert metric.range[0] < metric.range[1]
