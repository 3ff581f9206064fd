"""Rows without texts come out of their packing as they went in, as often as they are looked at."""

from __future__ import annotations

import pytest

from luthier.core.examples import AnyExample, Labelled, Pair, Text
from luthier.data.execution.light import LightRows, OnSides

ROWS: list[AnyExample] = [
    Labelled("a", "long text", "refund", source="rows.csv:2", extra={"when": "2024-01-02", "user": "u1", "n": 0.1}),
    Labelled("b", "another", None, source="rows.csv:3", parent="a", extra={"user": "u2"}),
    Text("half \ud800 \n \"c\"", "text", source="rows.csv:4", extra={"when": ["x", {"y": None}]}),
    Labelled("", "", "", source=""),
]


def packed(columns: tuple[str, ...] = ()) -> LightRows:
    rows = LightRows(columns)
    for row in ROWS:
        rows.add(row)
    return rows


def test_a_row_keeps_its_id_label_place_and_parent_and_loses_its_text() -> None:
    assert list(packed()) == [
        Labelled("a", "", "refund", source="rows.csv:2"),
        Labelled("b", "", None, source="rows.csv:3", parent="a"),
        Text("half \ud800 \n \"c\"", "", source="rows.csv:4"),
        Labelled("", "", "", source=""),
    ]
    pair = LightRows()
    pair.add(Pair("p", "ask", "answer", source="here:1"))
    assert pair[0] == Text("p", "", source="here:1"), "without its text a row of any other shape is an id"


def test_columns_that_are_asked_for_are_kept_as_they_were() -> None:
    assert [row.extra for row in packed(("when", "n"))] == [
        {"when": "2024-01-02", "n": 0.1}, {"when": None, "n": None}, {"when": ["x", {"y": None}], "n": None}, {"when": None, "n": None},
    ]  # fmt: skip


def test_rows_are_numbered_as_in_a_list() -> None:
    rows, plain = packed(), list(packed())
    assert len(rows) == 4 and len(LightRows()) == 0 and list(LightRows()) == []
    assert (rows[-1], rows[1:3], rows[::-2]) == (plain[-1], plain[1:3], plain[::-2])
    for i in (4, -5):
        with pytest.raises(IndexError):
            rows[i]


def test_rows_on_sides_leave_out_what_has_none_and_what_is_gone() -> None:
    a, b, c, _ = packed()
    on = OnSides(packed(), {a.id: "train", b.id: "test", c.id: "train"})
    assert list(on) == list(on) == [(a, "train"), (b, "test"), (c, "train")] and len(on) == 3
    left = on.without({a.id: ("balance", "too many", "")})
    assert list(left) == [(b, "test"), (c, "train")] and len(left) == 2 and (a, "train") not in left and (b, "test") in left
    assert not OnSides(packed(), {})
