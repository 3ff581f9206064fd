"""Which rows are looked at closely."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from luthier.core.draws import seed_of
from luthier.core.examples import Chat, Pair, Text
from luthier.core.messages import Message
from luthier.data.profile import sample
from luthier.data.profile.sample import LONGEST, Sample, looked


def rows_of(lengths: list[int]) -> list[Text]:
    return [Text(f"row {i}", "x" * n) for i, n in enumerate(lengths)]


def drawn(rows: list[Text], seed: int, most_rows: int, most_characters: int) -> list[str]:
    met = Sample(seed, most_rows, most_characters)
    for row in rows:
        met.add(row, "train")
    return [row.id for row in met.rows()]


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(0, 5), st.integers(1, 20), st.integers(1, 400), st.randoms())
def test_as_many_rows_as_fit_are_drawn_whatever_their_order(
    lengths: list[int], seed: int, most_rows: int, most_characters: int, order: random.Random
) -> None:
    rows = rows_of(lengths)
    expected: list[str] = []
    n_characters = 0
    for row in sorted(rows, key=lambda row: seed_of(seed, "profile", row.id)):
        n_characters += len(row.text)
        if len(expected) == most_rows or (n_characters > most_characters and expected):
            break
        expected.append(row.id)
    found = drawn(rows, seed, most_rows, most_characters)
    assert sorted(found) == sorted(expected)
    assert found == [row.id for row in rows if row.id in found]
    shuffled = order.sample(rows, len(rows))
    assert sorted(drawn(shuffled, seed, most_rows, most_characters)) == sorted(expected)


def test_another_seed_draws_other_rows_and_the_same_seed_the_same() -> None:
    rows = rows_of([5] * 200)
    one = drawn(rows, 0, 20, 10**6)
    assert len(one) == 20 and one == drawn(rows, 0, 20, 10**6) != drawn(rows, 1, 20, 10**6)


def test_a_row_is_drawn_about_as_often_as_any_other() -> None:
    counts = dict.fromkeys((f"row {i}" for i in range(20)), 0)
    for seed in range(400):
        for name in drawn(rows_of([1] * 20), seed, 5, 10**6):
            counts[name] += 1
    # 100 of 400 are expected of each; five standard deviations are 43.
    assert all(abs(n - 100) < 43 for n in counts.values())


def test_a_small_set_is_looked_at_as_a_whole() -> None:
    assert drawn(rows_of([5] * 30), 3, sample.MOST_ROWS, sample.MOST_CHARACTERS) == [f"row {i}" for i in range(30)]


def test_of_a_very_long_row_the_beginning_is_kept_and_its_length_is_known() -> None:
    row = looked(Pair("a", "p" * (LONGEST - 10), "c" * 30), "train")
    assert row.n_characters == LONGEST + 20 and row.n_looked_at == LONGEST
    assert row.parts[1] == ("completion", "c" * 10)
    assert looked(Pair("a", "p" * (LONGEST + 1), "c"), "train").parts[1] == ("completion", "")


def test_what_is_its_own_is_everything_but_the_system_message() -> None:
    turns = (Message("system", "be brief"), Message("user", "a?"), Message("assistant", "b", reasoning="hm"), Message("tool", "c"))
    row = looked(Chat("a", turns), "test")
    assert row.texts == ("be brief", "a?", "b", "hm", "c") and row.own == "a?\nb\nhm\nc"
    assert row.n_characters == sum(map(len, Chat("a", turns).texts()))
