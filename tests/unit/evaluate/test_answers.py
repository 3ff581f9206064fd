from __future__ import annotations

import math

import pytest
from tests.made_up_answers import golds, system

from luthier.core.errors import LuthierError
from luthier.evaluate.answers import Answer, Gold, System, aligned, answers_hash, gold_hash, labelled_answer, labels_of


def test_rows_and_answers_come_in_the_order_of_the_ids() -> None:
    gold = (Gold("b", "2"), Gold("a", "1"))
    rows, (said,) = aligned(gold, System("x", (Answer("b", "two"), Answer("a", "one"))))
    assert [row.id for row in rows] == ["a", "b"]
    assert [answer.text for answer in said] == ["one", "two"]


def test_missing_foreign_and_repeated_ids_are_all_told_at_once() -> None:
    gold = (Gold("a", "1"), Gold("b", "2"))
    with pytest.raises(LuthierError) as caught:
        one = Answer("a", "1")
        aligned(gold, System("x", (one, Answer("c", "2"))), System("y", (one, one, Answer("b", "2"))))
    told = [str(error) for error in caught.value.errors]
    assert [text.split(":")[0] for text in told] == ["answers of x", "answers of x", "answers of y"]
    assert "no answer for b" in told[0]
    assert "c (1 in all)" in told[1]
    assert "'a' stands more than once" in told[2]


def test_a_repeated_test_row_is_refused() -> None:
    with pytest.raises(LuthierError, match="test set: the id 'a' stands more than once"):
        aligned((Gold("a", "1"), Gold("a", "1")))


def test_a_classifiers_answer_is_its_likeliest_label_with_the_loss_of_the_true_one() -> None:
    found = labelled_answer("r", {"a": 0.25, "b": 0.5, "c": 0.25}, gold="a")
    assert (found.text, found.n_tokens) == ("b", 1)
    assert found.loss_nats == pytest.approx(math.log(4))
    assert labelled_answer("r", {"a": 0.5, "b": 0.5}).text == "a"
    assert labelled_answer("r", {"a": 1.0, "b": 0.0}, gold="b").loss_nats is None


def test_hashes_depend_on_the_content_and_not_on_the_order() -> None:
    gold = golds("abc")
    assert gold_hash(gold) == gold_hash(gold[::-1])
    assert gold_hash(gold) != gold_hash(golds("abd"))
    assert gold_hash(gold) != gold_hash(golds("abc", "ggg"))
    one = system("x", ["a", None, "c"])
    assert answers_hash(one) == answers_hash(System("y", one.answers[::-1]))
    assert answers_hash(one) != answers_hash(system("x", ["a", "b", "c"]))


def test_labels_are_those_that_are_true_and_those_that_were_said() -> None:
    assert labels_of(golds("ab"), system("x", ["c", None])) == ("a", "b", "c")
