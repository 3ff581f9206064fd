"""A user's own function decides about rows: what it may return, and what is said where it goes wrong."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.loading import loads
from luthier.core.messages import Message
from luthier.data.decisions import AppliesToMany, Changed, Dropped, Kept, RowDecision
from luthier.data.pipeline import Prepare, clean, tidied
from luthier.data.steps import own_filter
from luthier.data.steps.own_filter import OwnFilter
from luthier.data.tools import NO_TOOLS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can take every right away")

FILTERS = '''
def keep(row):
    return {"no": False, "rude": " too rude ", "none": None, "empty": "", "number": 3, "list": [1]}.get(row["text"], True)

def upper(row):
    return {"text": row["text"].upper()}

def whatever(row):
    return row["extra"]["say"]

def boom(row):
    parts = row["text"].split("=")
    return parts[1]

def slow(row):
    while True: pass

def hungry(row):
    return len(bytearray(1 << 30)) > 0

def seen(row):
    return ", ".join(sorted(row)) + ": " + row["id"] + " " + row["shape"] + " " + str(row["extra"])
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "filters.py").write_text(FILTERS, encoding="utf-8")
    return tmp_path


def asked(folder: Path, name: str, row: AnyExample, **options: object) -> RowDecision:
    step = OwnFilter(function=f"filters.py:{name}", **options).rooted(folder)  # type: ignore[arg-type]
    made = step.with_tools(NO_TOOLS)
    return made.apply(row)


@pytest.mark.parametrize(
    ("text", "decision"), [("yes", Kept()), ("no", Dropped("keep says no")), ("rude", Dropped("too rude"))]
)
def test_it_keeps_and_drops(folder: Path, text: str, decision: RowDecision) -> None:
    assert asked(folder, "keep", Text("1", text)) == decision


@pytest.mark.parametrize(("text", "shown"), [("none", "nothing (None)"), ("empty", "''"), ("number", "3"), ("list", "[1]")])
def test_anything_else_is_an_error_with_the_row_s_place(folder: Path, text: str, shown: str) -> None:
    with pytest.raises(LuthierError) as caught:
        asked(folder, "keep", Text("1", text, source="rows.csv:7"))
    assert caught.value.where == "rows.csv:7" and caught.value.problem.endswith(f"returned {shown}")


def test_it_sees_the_row_by_its_usual_names_and_its_other_columns(folder: Path) -> None:
    assert asked(folder, "seen", Labelled("a", "t", None, extra={"n": 1})) == Dropped("extra, id, label, shape, text: a labelled {'n': 1}")
    assert asked(folder, "seen", Pair("a", "p", "c")) == Dropped("completion, extra, id, prompt, shape: a pair {}")
    assert asked(folder, "seen", Chat("a", (Message("user", "x"),))) == Dropped("extra, id, messages, shape: a chat {}")


def test_it_changes_rows_where_it_is_allowed_to(folder: Path) -> None:
    row = Labelled("1", "abc", "x", source="rows.csv:7", parent="0", extra={"n": 1})
    said = asked(folder, "upper", row, changes=True)
    assert said == Changed(Labelled("1", "ABC", "x", source="rows.csv:7", parent="0", extra={"n": 1}), "filters.py:upper")
    assert asked(folder, "upper", Text("1", "ABC"), changes=True) == Kept()
    with pytest.raises(LuthierError, match="changes = true"):
        asked(folder, "upper", row)


@pytest.mark.parametrize(
    ("row", "say", "after"),
    [
        (Labelled("1", "a", "x"), {"label": None}, Labelled("1", "a", None)),
        (Labelled("1", "a", None), {"label": "y", "text": "b"}, Labelled("1", "b", "y")),
        (Pair("1", "a", "b"), {"completion": "c"}, Pair("1", "a", "c")),
        (Chat("1", (Message("user", "a"),)), {"messages": [{"role": "user", "content": "b"}]}, Chat("1", (Message("user", "b"),))),
    ],
)
def test_every_shape_can_be_changed(folder: Path, row: AnyExample, say: object, after: AnyExample) -> None:
    row.extra["say"] = say  # type: ignore[index]
    after.extra["say"] = say  # type: ignore[index]
    assert asked(folder, "whatever", row, changes=True) == Changed(after, "filters.py:whatever")


@pytest.mark.parametrize(
    ("say", "said"),
    [
        ({"txt": "b"}, 'changed "txt", which the row does not have'),
        ({"id": "b"}, 'changed "id", which the row does not have'),
        ({"text": 3}, 'changed "text" to 3'),
        ({"text": None}, 'changed "text" to nothing (None)'),
    ],
)
def test_a_change_that_makes_no_row_is_an_error(folder: Path, say: object, said: str) -> None:
    with pytest.raises(LuthierError) as caught:
        asked(folder, "whatever", Labelled("1", "a", "x", extra={"say": say}), changes=True)  # type: ignore[dict-item]
    assert said in caught.value.problem
    with pytest.raises(LuthierError, match="messages that are none"):
        chat = Chat("1", (Message("user", "a"),), extra={"say": {"messages": [{"role": "pirate"}]}})
        asked(folder, "whatever", chat, changes=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("boom", "filters.py:13, `return parts[1]`, raised IndexError: list index out of range"),
        ("slow", "it took longer than 0.5 s"),
        ("hungry", "filters.py:19, `return len(bytearray(1 << 30)) > 0`, raised MemoryError"),
        ("absent", "it defines no function absent; there are: boom, hungry, keep, seen, slow, upper, whatever"),
    ],
)
def test_what_goes_wrong_in_it_is_said_with_the_row_s_place_and_its_own_line(folder: Path, name: str, said: str) -> None:
    with pytest.raises(LuthierError) as caught:
        asked(folder, name, Text("1", "abc", source="rows.csv:7"), call_s=0.5, memory_mb=256)
    assert caught.value.where == "rows.csv:7"
    assert caught.value.problem == f"{folder}/filters.py:{name}: {said}"


@pytest.mark.parametrize("at_once", [1, 60, 100, 1 << 20])
def test_rows_that_are_sent_together_are_decided_as_each_by_itself(folder: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_filter, "_AT_ONCE", at_once)
    rows: list[AnyExample] = [Text(str(i), ["yes", "no", "rude", "é" * 40][i % 4], extra={"n": i}) for i in range(25)]
    for name, changes in (("keep", False), ("upper", True), ("seen", False)):
        made = OwnFilter(function=f"filters.py:{name}", changes=changes).rooted(folder).with_tools(NO_TOOLS)
        assert isinstance(made, AppliesToMany)
        assert list(made.apply_all(rows)) == [made.apply(row) for row in rows]
        assert list(made.apply_all([])) == []


@pytest.mark.parametrize("at_once", [1, 1 << 20])
@pytest.mark.parametrize(("texts", "place", "said"), [
    (["a=b", "c=d", "abc", "none"], "rows.csv:3", "raised IndexError"),
    (["a=b", "abc", "c=d"], "rows.csv:2", "raised IndexError"),
    (["a=b", "number=", "abc"], "rows.csv:2", "returned ''"),
])  # fmt: skip
def test_among_rows_that_are_sent_together_the_first_that_goes_wrong_is_named(
    texts: list[str], place: str, said: str, at_once: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_filter, "_AT_ONCE", at_once)
    rows = [Text(str(i), text, source=f"rows.csv:{i}") for i, text in enumerate(texts, 1)]
    with pytest.raises(LuthierError) as caught:
        clean(rows, [OwnFilter(function="filters.py:boom").rooted(folder)])
    assert caught.value.where == place and said in caught.value.problem


def test_rows_are_sent_together_up_to_a_bound_and_one_by_one_where_they_are_long() -> None:
    rows: list[AnyExample] = [Text(str(i), "x" * 100_000) for i in range(25)]
    assert [len(some) for some in own_filter._batches([*rows, Text("long", "x" * 3_000_000), Text("last", "x")])] == [10, 10, 5, 1, 1]


def test_half_a_character_is_no_text_of_a_row(folder: Path) -> None:
    with pytest.raises(LuthierError, match=r"returned fields of no row: the row holds half of a character"):
        asked(folder, "whatever", Text("1", "a", extra={"say": {"text": "x\ud83d"}}), changes=True)
    assert asked(folder, "whatever", Text("1", "a", extra={"say": "bad \ud83d"})) == Dropped("bad \ud83d")


def test_cleaning_accounts_for_each_row(folder: Path) -> None:
    rows = [Text(str(i), ["yes", "no", "rude"][i % 3]) for i in range(30)]
    cleaned = clean(rows, [OwnFilter(function="filters.py:keep").rooted(folder)])
    assert len(cleaned.kept) == 10
    assert {row.reason for row in cleaned.dropped} == {"keep says no", "too rude"} and len(cleaned.dropped) == 20


def test_a_served_row_is_changed_as_in_training_and_kept_whatever_it_is_like(folder: Path) -> None:
    keeps, changes = (OwnFilter(function=f"filters.py:{name}", changes=name == "upper").rooted(folder) for name in ("keep", "upper"))
    assert tidied(Text("1", "no"), [keeps, changes]) == Text("1", "NO")
    (folder / "filters.py").unlink()
    assert tidied(Text("1", "no"), [keeps]) == Text("1", "no"), "a filter that only drops has nothing to say about it"
    with pytest.raises(LuthierError, match="no such file"):
        tidied(Text("1", "no"), [changes])


def test_the_recipe_holds_the_file_s_hash_and_a_file_that_has_changed_is_refused(folder: Path) -> None:
    step = OwnFilter(function="filters.py:keep").rooted(folder)
    assert step.function == f"{folder}/filters.py:keep" and len(step.sha256) == 64
    assert step.rooted(Path("/elsewhere")) == step
    assert not list(step.complaints(frozenset()))
    (folder / "filters.py").write_text(FILTERS + "\n", encoding="utf-8")
    assert OwnFilter(function="filters.py:keep").rooted(folder).sha256 != step.sha256
    assert step.rooted(folder) == step, "what a resolved recipe says stays"
    with pytest.raises(LuthierError, match="sha256"):
        step.with_tools(NO_TOOLS)


def test_a_step_can_be_sent_to_another_process(folder: Path) -> None:
    step = OwnFilter(function="filters.py:keep").rooted(folder)
    assert pickle.loads(pickle.dumps(step)) == step


@pytest.mark.parametrize("function", ["filters.py", "filters:keep", "filters.py:", "filters.py:a b", "filters.py:keep()"])
def test_a_function_is_said_as_file_and_name(function: str) -> None:
    with pytest.raises(LuthierError, match="not a file and a function"):
        loads(Prepare, f'[[steps]]\nkind = "own_filter"\nfunction = "{function}"\n')


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no such file"):
        OwnFilter(function="filters.py:keep").rooted(tmp_path)
    (tmp_path / "filters.py").write_bytes(b"\xff")
    with pytest.raises(LuthierError, match="cannot be read"):
        OwnFilter(function="filters.py:keep").rooted(tmp_path)
