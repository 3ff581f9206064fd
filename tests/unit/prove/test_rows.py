from __future__ import annotations

import pytest

from luthier.core.examples import Chat, Labelled, Pair, Text
from luthier.core.messages import Message
from luthier.prove.rows import every_row_supervised, label_map_round_trips, stop_token_trained, stretches, trained_turns
from luthier.text.rows import make_row

STOP = 9
CHAT = Chat("c", (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")))
PAIR = Pair("p", "ask", "answer")


@pytest.mark.parametrize(
    ("tokens", "weights", "wanted"),
    [
        ([1, 2, 3, 9], [0, 0, 1, 1], [(2, 4)]),
        ([1, 2, 9, 3, 4, 9], [0, 1, 1, 0, 1, 1], [(1, 3), (4, 6)]),
        ([1, 2, 9, 4, 9], [0, 1, 1, 1, 1], [(1, 3), (3, 5)]),
        ([1, 9, 9], [0, 1, 1], [(1, 2), (2, 3)]),
        ([1, 2, 3, 4], [0, 1, 1, 0], [(1, 3)]),
        ([1, 9, 3, 9], [0, 0, 0.5, 0], [(2, 3)]),
        ([1, 9], [0, 0], []),
        ([1], [0], []),
    ],
)
def test_a_trained_reply_reaches_to_its_stop_token_or_to_where_training_ends(
    tokens: list[int], weights: list[float], wanted: list[tuple[int, int]]
) -> None:
    assert stretches(make_row(tokens, weights), STOP) == wanted


def test_the_trained_turns_are_the_answers_that_weigh_something() -> None:
    turns = (
        Message("assistant", "hello"), Message("user", "a"), Message("assistant", "b", weight=0.0), Message("user", "c"),
        Message("assistant", "d", weight=0.5), Message("tool", "e"), Message("assistant", "f"), Message("user", "g"),
    )  # fmt: skip
    assert trained_turns(Chat("c", turns)) == [4, 6]
    assert trained_turns(PAIR) == [1]
    assert trained_turns(Text("t", "x")) == trained_turns(Labelled("l", "x", "y")) == []


def test_every_trained_turn_has_to_end_with_the_stop_token() -> None:
    good = [[make_row([1, 2, 9, 3, 4, 9], [0, 1, 1, 0, 1, 1])], [make_row([1, 2, 9], [0, 1, 1])]]
    found = stop_token_trained(good, [CHAT, PAIR], STOP, 0)
    assert found.holds and found.detail.startswith("3 of 3 trained replies")
    assert not stop_token_trained(good, [CHAT, PAIR], STOP + 1, 0).holds


@pytest.mark.parametrize(
    "bad",
    [
        make_row([1, 2, 9, 3, 4, 9], [0, 1, 0, 0, 1, 1]),
        make_row([1, 2, 9, 3, 4, 9], [0, 1, 1, 0, 1, 0]),
        make_row([1, 2, 9, 3, 4, 9], [0, 0, 0, 0, 1, 1]),
        make_row([1, 2, 3, 3, 4, 9], [0, 1, 1, 0, 1, 1]),
        make_row([1, 2, 9, 3, 4, 9], [0, 0, 0, 0, 0, 0]),
    ],
    ids=["first stop", "last stop", "a turn", "another token", "nothing"],
)
def test_an_untrained_stop_token_or_turn_is_named(bad: object) -> None:
    found = stop_token_trained([[bad]], [CHAT], STOP, 0)  # type: ignore[list-item]
    assert not found.holds and "not so: c" in found.detail


def test_replies_of_rows_that_were_dropped_for_their_length_are_not_missed() -> None:
    units = [[make_row([1, 2, 9], [0, 1, 1])]]
    assert stop_token_trained(units, [CHAT], STOP, 1).holds
    assert not stop_token_trained(units, [CHAT], STOP, 0).holds


def test_a_row_without_label_and_trained_token_teaches_nothing() -> None:
    good = [[make_row([1, 2], [0, 1])], [make_row([1, 2], target=0)]]
    assert every_row_supervised(good, 0, 3, as_trained=True).holds
    assert not every_row_supervised(good, 0, 0, as_trained=False).holds
    assert not every_row_supervised(good, 1, 0, as_trained=True).holds
    found = every_row_supervised([*good, [make_row([1, 2], id="idle")]], 0, 0, as_trained=True)
    assert not found.holds and "not so: idle" in found.detail and found.detail.startswith("2 of 3 rows")


def test_labels_come_back_through_the_classes_that_were_trained() -> None:
    units = [[make_row([1], target=0)], [make_row([2], target=1)]]
    rows = [Labelled("x", "one", "no"), Labelled("y", "two", "yes")]
    assert label_map_round_trips(units, rows, ("no", "yes"), 2).holds
    for labels, n_scores in ((("yes", "no"), 2), (("no",), 2), (("no", "yes"), 3), (("no", "yes", "yes"), 3)):
        assert not label_map_round_trips(units, rows, labels, n_scores).holds
    found = label_map_round_trips(units, rows, ("no", "maybe"), 2)
    assert not found.holds and "not so: y" in found.detail
