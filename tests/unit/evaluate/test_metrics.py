from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from tests.made_up_answers import golds, system

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.metrics import metric_named, metrics_of
from luthier.evaluate.metrics.calibration_error import bin_of
from luthier.evaluate.metrics.exact_match import normalised
from luthier.evaluate.metrics.metric import value_of
from luthier.evaluate.metrics.numeric_match import final_number
from luthier.evaluate.metrics.repetition import share_repeated
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


def test_the_calibration_error_by_hand() -> None:
    """Two rows of 0.9, one right: |1.8 − 1|; one of 0.6, wrong: 0.6; one of 0.55, right, in the same bin: |1.15 − 1|."""
    said = [Answer(f"{i:04}", "a", {"a": p, "b": 1 - p}) for i, p in enumerate([0.9, 0.9, 0.6, 0.55])]
    metric = metric_named("calibration_error")
    assert bin_of(0.6) == bin_of(0.55) != bin_of(0.61)
    assert value_of(metric, metric.statistics(golds("abba"), said)) == pytest.approx((0.8 + 0.15) / 4)


def test_confidence_on_a_border_belongs_to_the_bin_below_and_none_is_outside() -> None:
    assert [bin_of(p) for p in (0.0, 1e-9, 0.2, 0.2 + 1e-9, 1.0, 1.0 + 1e-12)] == [0, 0, 2, 3, 14, 14]


def test_a_calibrated_system_is_off_by_as_much_as_the_docstring_says() -> None:
    rng = np.random.default_rng(0)
    metric = metric_named("calibration_error")
    for n, wanted in ((1000, 0.04), (100, 0.12)):
        found = []
        for _ in range(40):
            p = rng.uniform(0.2, 1.0, size=n)
            said = [Answer(f"{i:04}", "a", {"a": float(x), "b": 1 - float(x)}) for i, x in enumerate(p)]
            gold = golds(["a" if hit else "b" for hit in rng.random(n) < p])
            found.append(value_of(metric, metric.statistics(gold, said)))
        assert np.mean([one or 0 for one in found]) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("name", ["calibration_error", "brier"])
def test_an_answer_without_probabilities_is_unjudged_by_what_is_about_them(name: str) -> None:
    metric = metric_named(name)
    said = [Answer("0000", "a"), Answer("0001", None, {"a": 1.0}), Answer("0002", "a", {"a": 0.5, "b": 0.5})]
    assert np.isnan(metric.statistics(golds("aaa"), said)).any(axis=1).tolist() == [True, True, False]


def test_an_answer_that_is_none_of_the_probabilities_has_no_confidence() -> None:
    metric = metric_named("calibration_error")
    assert value_of(metric, metric.statistics(golds("a"), [Answer("0000", "c", {"a": 0.5, "b": 0.5})])) is None


def test_briers_score_is_not_taken_from_a_part_of_the_probabilities() -> None:
    metric = metric_named("brier")
    assert value_of(metric, metric.statistics(golds("a"), [Answer("0000", "a", {"a": 0.6})])) is None


def test_briers_score_of_a_label_that_was_never_learnt_counts_it_as_nothing() -> None:
    metric = metric_named("brier")
    found = value_of(metric, metric.statistics(golds("c"), [Answer("0000", "a", {"a": 0.5, "b": 0.5})]))
    assert found == pytest.approx(0.5**2 + 0.5**2 + 1)


def test_bits_per_byte_is_nats_over_ln_2_over_bytes_and_needs_all_of_them() -> None:
    metric = metric_named("bits_per_byte")
    said = [Answer("0000", "é", None, math.log(2) * 6, 1, 2), Answer("0001", "a", None, math.log(2) * 3, 9, 1)]
    assert value_of(metric, metric.statistics(golds("éa"), said)) == pytest.approx(9 / 3)
    for lacking in (Answer("0000", "a", None, None, 1, 1), Answer("0000", "a", None, 1.0, 1), Answer("0000", "a", None, math.inf, 1, 1)):
        assert np.isnan(metric.statistics(golds("a"), [lacking])).all()


def test_length_is_characters_over_characters_and_an_empty_truth_is_unjudged() -> None:
    metric = metric_named("length")
    found = metric.statistics(golds(["abcd", " 日本 ", " "]), system("x", ["ab\n", "日本語です", "words"]).answers)
    assert found[:2].tolist() == [[2, 4], [5, 2]]
    assert np.isnan(found[2]).all()
    assert value_of(metric, found) == pytest.approx(7 / 6)


@pytest.mark.parametrize(
    ("text", "share"), [("", 0), ("a a a", 0), ("a a a a a", 1 / 2), ("a b c d", 0), ("a b c d a b c d a b c d", 5 / 9), ("a  b\nc d x", 0)]
)
def test_what_a_reply_says_again_is_counted_in_four_words(text: str, share: float) -> None:
    assert share_repeated(text) == pytest.approx(share)


def test_rouge_l_is_twice_the_words_in_common_order_by_the_words_of_both() -> None:
    found = metric_named("rouge_l").statistics(golds(["The cat on the mat", "x"]), system("x", ["the cat sat on", None]).answers)
    assert found[0].tolist() == pytest.approx([2 * 3 / (4 + 5), 1])
    assert np.isnan(found[1]).all()


def test_numbers_are_matched_where_most_truths_end_in_one_or_the_goal_asks() -> None:
    plain, marked = golds(["a", "b"]), golds(["#### 1", "#### 2"])
    assert "numeric_match" not in [metric.name for metric in metrics_of("answer", plain)]
    assert "numeric_match" in [metric.name for metric in metrics_of("answer", marked)]
    assert metrics_of("answer", plain, goal_metric="numeric_match")[0].name == "numeric_match"


def test_the_goals_metric_comes_first() -> None:
    assert [metric.name for metric in metrics_of("classify", golds("ab"), "ab", "accuracy")] == [
        "accuracy", "macro_f1", "calibration_error", "brier",
    ]  # fmt: skip


def test_a_label_never_said_has_no_precision_and_one_never_true_no_recall() -> None:
    by_label = {score.label: score for score in per_class(golds("aab"), system("x", ["a", "c", None]).answers)}
    assert set(by_label) == {"a", "c"}
    assert (by_label["a"].precision, by_label["a"].recall, by_label["a"].support) == (1, 0.5, 2)
    assert (by_label["c"].precision, by_label["c"].recall, by_label["c"].f1) == (0, None, 0)
