"""Labels evened out: how many rows stay or come, which ones, and that rows which are added move few others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled, Text
from luthier.data.augment.balance import TOO_MANY, Oversample, Undersample, copies, too_many
from luthier.data.kept.additions import going


def rows_of(**n_of: int) -> list[AnyExample]:
    return [Labelled(f"{label}{i}", f"text {i}", label) for label, n in n_of.items() for i in range(n)]


def left(rows: list[AnyExample], step: Undersample, seed: int = 0) -> set[str]:
    return {row.id for row in rows} - set(too_many(step, rows, seed))


def test_undersampling_leaves_each_label_as_many_rows_as_the_rarest_has_or_as_asked() -> None:
    rows = rows_of(a=50, b=7, c=12)
    assert Counter(name[0] for name in left(rows, Undersample())) == {"a": 7, "b": 7, "c": 7}
    assert Counter(name[0] for name in left(rows, Undersample(rows=10))) == {"a": 10, "b": 7, "c": 10}
    assert too_many(Undersample(rows=10), rows, 0).keys() >= set()
    gone = going(lambda: rows, [], Undersample(rows=10), 0, Path("unused"))
    assert set(gone.values()) == {("undersample", TOO_MANY, f"{label}: {n} training rows, 10 stay") for label, n in (("a", 50), ("c", 12))}


def test_a_row_that_is_added_pushes_out_at_most_one_and_brings_none_back() -> None:
    rows = rows_of(a=40)
    before = left(rows, Undersample(rows=15))
    for i in range(40, 60):
        rows = [*rows, Labelled(f"a{i}", "new", "a")]
        after = left(rows, Undersample(rows=15))
        assert len(before - after) <= 1 and after - before <= {f"a{i}"}
        before = after


def test_which_rows_go_hangs_on_the_seed_and_the_ids_and_not_on_the_order() -> None:
    rows = rows_of(a=40, b=20)
    assert left(rows, Undersample()) == left(rows[::-1], Undersample())
    assert left(rows, Undersample()) != left(rows, Undersample(), seed=1)


def test_oversampling_copies_each_row_of_a_label_equally_often_or_once_more() -> None:
    rows = rows_of(a=50, b=7, c=12)
    found = copies(Oversample(), rows, 0)
    totals = Counter({label: sum(n for name, n in found.items() if name[0] == label) for label in "abc"})
    assert totals == {"a": 0, "b": 43, "c": 38}
    assert {n for name, n in found.items() if name[0] == "b"} == {6, 7}
    assert copies(Oversample(rows=10), rows, 0) == {row.id: 0 for row in rows} | {
        name: n for name, n in copies(Oversample(rows=10), rows, 0).items() if name[0] == "b"
    }
    assert sum(copies(Oversample(rows=10), rows, 0).values()) == 3
    assert copies(Oversample(), rows, 0) == copies(Oversample(), rows[::-1], 0) != copies(Oversample(), rows, 1)


def test_balancing_that_would_do_nothing_is_an_error() -> None:
    even = rows_of(a=5, b=5)
    for step, rows in ((Undersample(), even), (Undersample(rows=5), even), (Undersample(rows=3), [Text("t", "x")])):
        with pytest.raises(LuthierError) as caught:
            too_many(step, rows, 0)
        assert caught.value.where == "[prepare] balance"
    for wish, some in ((Oversample(), even), (Oversample(rows=4), even), (Oversample(rows=9), [Labelled("w", "x", None)])):
        with pytest.raises(LuthierError):
            copies(wish, some, 0)
