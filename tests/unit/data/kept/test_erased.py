"""The list of what was erased: whose rows it knows again, and how requests add up in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled
from luthier.data.kept.erased import (
    KEY,
    LIST,
    Erased,
    Erasure,
    erased_in,
    keyed_hash,
    list_hash,
    noted,
    read_erasures,
    value_of,
    write_erasures,
)

SECRET = b"s" * 32


def row(name: str = "m1", **extra: Any) -> Labelled:
    return Labelled(name, "text", "x", extra=extra)


@pytest.mark.parametrize(
    ("extra", "column", "wanted"),
    [
        ({"who": " ann "}, "who", "ann"), ({"who": 17}, "who", "17"), ({"who": {"id": "a"}}, "who.id", "a"),
        ({"who.id": "b"}, "who.id", "b"),
        ({}, "id", "m1"), ({"id": "other"}, "id", "other"), ({"who": ""}, "who", None), ({"who": None}, "who", None), ({}, "who", None),
        ({"who": True}, "who", None),
    ],
)  # fmt: skip
def test_whose_a_row_is(extra: dict[str, Any], column: str, wanted: str | None) -> None:
    assert value_of(row(**extra), column) == wanted


def test_a_row_is_known_by_column_and_value_together() -> None:
    erased = Erased(frozenset({("who", keyed_hash(SECRET, "who", "17"))}), SECRET)
    assert row(who=17) in erased and row(who=" 17") in erased
    assert row(who="18") not in erased and row(other="17") not in erased
    assert row(who=17) not in Erased(erased.known, b"t" * 32)
    assert row(who=17) not in Erased()


def test_a_request_that_is_made_again_is_one_entry() -> None:
    first = Erasure("2026-01-01", "who", "h", {"a": 3}, ("a",), True)
    again = noted([first], Erasure("2026-01-02", "who", "h", {"a": 2, "b": 1}, ("b",), False))
    assert again == [Erasure("2026-01-02", "who", "h", {"a": 5, "b": 1}, ("a", "b"), False)]
    # One that was cut off finds what is left of the same rows.
    assert noted(again, Erasure("2026-01-03", "who", "h", {"a": 2}, (), True))[0].rows == {"a": 5, "b": 1}
    assert len(noted(again, Erasure("2026-01-03", "who", "other", {}))) == 2


def test_the_list_is_read_back_and_a_damaged_one_stops_everything(tmp_path: Path) -> None:
    assert read_erasures(tmp_path) == [] and list_hash(tmp_path) is None and erased_in(tmp_path) == Erased()
    made = [Erasure("2026-01-01", "who", "h", {"a": 3}, ("a",), True)]
    write_erasures(tmp_path, made)
    assert read_erasures(tmp_path) == made
    with pytest.raises(LuthierError, match="its key is gone"):
        erased_in(tmp_path)
    (tmp_path / KEY).write_text("00" * 32, encoding="ascii")
    assert erased_in(tmp_path).known == {("who", "h")}
    before = list_hash(tmp_path)
    write_erasures(tmp_path, [*made, Erasure("2026-01-01", "who", "i", {}, (), True)])
    assert list_hash(tmp_path) != before
    (tmp_path / KEY).write_text("short", encoding="ascii")
    with pytest.raises(LuthierError, match="not a key of ours"):
        erased_in(tmp_path)
    for broken in ("{", "[]", '{"erasures": [{"on": 1}]}'):
        (tmp_path / LIST).write_text(broken, encoding="utf-8")
        with pytest.raises(LuthierError) as caught:
            read_erasures(tmp_path)
        assert str(tmp_path / LIST) in str(caught.value)
