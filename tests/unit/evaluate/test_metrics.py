from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from tests.made_up_answers import golds, system

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.metrics import metric_named, metrics_of
from luthier.evaluate.metrics.exact_match import normalised
from luthier.evaluate.metrics.metric import value_of
from luthier.evaluate.metrics.numeric_match import final_number
from luthier.evaluate.per_class import per_class


def test_macro_f1_weighs_labels_alike_by_hand() -> None:
    """a: tp 2, fp 1, fn 1, F1 2/3; b: tp 0, fp 1, fn 1, F1 0; mean 1/3."""
    metric = metric_named("macro_f1", ["a", "b", "never seen"])
    assert value_of(metric, metric.statistics(golds("aaab"), system("x", "aaba").answers)) == pytest.approx(1 / 3)


def test_an_answer_outside_the_labels_is_a_miss_of_the_true_label_only() -> None:
    metric = metric_named("macro_f1", ["a", "b"])
    statistics = metric.statistics(golds("ab"), system("x", ["a", "zebra"]).answers)
    assert value_of(metric, statistics) == pytest.approx(0.5)
    assert statistics.sum(axis=0).tolist() == [1, 0, 2, 1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("  The\tCat\n", "the cat.", True),
        ("STRASSE", "straße", True),
        ("ﬁne!", "fine", True),
        ("a cat", "the cat", False),
        ("3.5", "35", False),
        ("no, sir", "no sir", False),
        ("", " . ", True),
    ],
)
def test_exact_match_reads_over_writing_and_nothing_else(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5 + 4 = 9\n#### 9", "9"),
        ("so #### 1,234.50 and not 7", "1234.5"),
        ("He has 3 cats and -12.", "-12"),
        ("It costs $1,200,000.", "1200000"),
        ("-$5", "-5"),
        ("#### $-5", "-5"),
        ("about .5", "0.5"),
        ("in 2020-21", "21"),
        ("the answer is 18.", "18"),
        ("x2 and no other", None),
        ("none at all", None),
        ("72\n#### none", None),
    ],
)
def test_the_final_number_is_read_however_it_is_written(text: str, number: str | None) -> None:
    assert final_number(text) == (None if number is None else Decimal(number))


def test_a_reply_without_a_number_is_wrong_and_a_truth_without_one_is_unjudged() -> None:
    metric = metric_named("numeric_match")
    gold = golds(["#### 2", "#### 3", "#### 4", "no number"])
    found = metric.statistics(gold, system("x", ["2", "no idea", None, "5"]).answers)
    assert found[:2].tolist() == [[1, 1], [0, 1]]
    assert np.isnan(found[2:]).all()


def test_a_loss_that_is_not_finite_or_has_no_tokens_is_unjudged() -> None:
    metric = metric_named("loss_nats")
    said = [Answer("a", None, None, float("inf"), 3), Answer("b", None, None, 0.0, 0), Answer("c", None, None, 3.0, 2)]
    found = metric.statistics([Gold(one.id, "") for one in said], said)
    assert np.isnan(found).any(axis=1).tolist() == [True, True, False]


def test_numbers_are_matched_where_most_truths_end_in_one_or_the_goal_asks() -> None:
    plain, marked = golds(["a", "b"]), golds(["#### 1", "#### 2"])
    assert "numeric_match" not in [metric.name for metric in metrics_of("answer", plain)]
    assert "numeric_match" in [metric.name for metric in metrics_of("answer", marked)]
    assert metrics_of("answer", plain, goal_metric="numeric_match")[0].name == "numeric_match"


def test_the_goals_metric_comes_first() -> None:
    assert [metric.name for metric in metrics_of("classify", golds("ab"), "ab", "accuracy")] == ["accuracy", "macro_f1"]


def test_a_label_never_said_has_no_precision_and_one_never_true_no_recall() -> None:
    by_label = {score.label: score for score in per_class(golds("aab"), system("x", ["a", "c", None]).answers)}
    assert set(by_label) == {"a", "c"}
    assert (by_label["a"].precision, by_label["a"].recall, by_label["a"].support) == (1, 0.5, 2)
    assert (by_label["c"].precision, by_label["c"].recall, by_label["c"].f1) == (0, None, 0)
