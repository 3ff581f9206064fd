"""Versions of prepared data: what their hash depends on, what a diff finds, and what is remembered of the one before."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.files import write_jsonl
from luthier.core.messages import Message
from luthier.data.kept import versions
from luthier.data.kept.prepared import KEPT, kept_record
from luthier.data.kept.versions import Entry, Parent, diff, entry_of, version_hash
from luthier.data.pipeline import KeptRow

ROW = Labelled("m1", "the peg slips", "repair", source="rows.csv:2", extra={"who": "ann"})
Placed = list[tuple[AnyExample, str]]


def write(home: Path, rows: Placed) -> None:
    write_jsonl(home / KEPT, (kept_record(KeptRow(row), side) for row, side in rows))


def entries(rows: Placed) -> list[Entry]:
    return [entry_of(row, side) for row, side in rows]


def rows_of(n: int) -> Placed:
    return [(Labelled(f"m{i}", f"text number {i}", "ab"[i % 2]), ("train", "test")[i % 3 == 0]) for i in range(n)]


def test_the_hash_is_of_content_and_sides_and_of_nothing_else() -> None:
    one = version_hash([entry_of(ROW, "train")])
    assert version_hash([entry_of(replace(ROW, source="other.csv:9"), "train")]) == one
    changed: list[tuple[AnyExample, str]] = [
        (replace(ROW, text="the peg slips."), "train"), (replace(ROW, label="rental"), "train"), (replace(ROW, id="m2"), "train"),
        (replace(ROW, extra={"who": "bob"}), "train"), (replace(ROW, parent="m0"), "train"), (ROW, "test"),
    ]  # fmt: skip
    assert len({one, *(version_hash([entry_of(*row)]) for row in changed)}) == 1 + len(changed)
    rows = rows_of(20)
    assert version_hash(entries(random.Random(1).sample(rows, 20))) == version_hash(entries(rows))
    assert version_hash(entries(rows[:-1])) != version_hash(entries(rows))


@given(n=st.integers(0, 12), fates=st.lists(st.sampled_from(["stays", "goes", "text", "label", "side", "extra"]), min_size=12, max_size=12))
def test_a_diff_says_what_was_done_to_each_row(n: int, fates: list[str]) -> None:
    old = [(Labelled(f"m{i}", f"text number {i}", "a"), "train") for i in range(n)]
    new: Placed = [(Labelled("fresh", "quite new", "b"), "test")]
    for (row, side), fate in zip(old, fates, strict=False):
        if fate != "goes":
            other = {"text": replace(row, text=row.text + "!"), "label": replace(row, label="b"), "extra": replace(row, extra={"x": 1})}
            new.append((other.get(fate, row), "test" if fate == "side" else side))
    found = diff(entries(list(old)), entries(new))
    done = {fate: {row.id for (row, _), one in zip(old, fates, strict=False) if one == fate} for fate in set(fates)}
    assert [row.id for row in found.added] == ["fresh"]
    assert {row.id for row in found.removed} == done.get("goes", set())
    assert {new.id for _, new in found.changed} == set().union(*(done.get(one, set()) for one in ("text", "label", "side", "extra")))
    assert {new.id for _, new in found.relabelled} == done.get("label", set())
    assert {new.id for _, new in found.moved} == done.get("side", set())
    back = diff(entries(new), entries(list(old)))
    assert (back.removed, back.added) == (found.added, found.removed)
    assert [(b, a) for a, b in back.changed] == list(found.changed)


def test_a_row_with_another_name_is_known_by_what_it_asks() -> None:
    gone = (Labelled("cc", "x", "y"), "train")
    old = entries([(Labelled("aa", "The peg slips", "repair"), "test"), (Pair("bb", "How?", "So."), "train"), gone])
    new = entries([(Labelled("dd", "the  peg slips", "rental"), "test"), (Pair("ee", "How?", "Like this."), "train")])
    found = diff(old, new)
    assert [(a.id, b.id) for a, b in found.changed] == [("aa", "dd"), ("bb", "ee")]
    assert found.counts() == {
        "added": 0, "removed": 1, "changed": 2, "labels_moved": 1, "sides_moved": 0, "labels": {"repair → rental": 1}
    }  # fmt: skip


def test_as_many_rows_of_one_text_are_paired_as_there_are_on_both_sides() -> None:
    def some(names: str) -> list[Entry]:
        return entries([(Labelled(name, "all the same", "x"), "train") for name in names])

    found = diff(some("abc"), some("de"))
    assert [(a.id, b.id) for a, b in found.changed] == [("a", "d"), ("b", "e")]
    assert [row.id for row in found.removed] == ["c"] and not found.added


def test_sides_of_texts_are_told_of_rows_that_are_gone_and_stood_on_one_side() -> None:
    rows = entries([(Labelled("a", "one", "x"), "test"), (Labelled("b", "two", "x"), "train"), (Labelled("c", "two", "y"), "test")])
    rows += entries([(Labelled("d", "three", "x"), "train")])
    found = versions.sides_by_text(rows, ["d"])
    assert found == {versions.asked_hash(Labelled("z", " ONE ", None)): "test"}


def test_each_version_has_a_number_a_parent_and_what_changed(tmp_path: Path) -> None:
    rows = rows_of(9)
    write(tmp_path, rows)
    versions.record(tmp_path, Parent("f" * 64, "other"))
    versions.record(tmp_path)
    (first,) = versions.history(tmp_path)
    assert first["parent"] == {"sha256": "f" * 64, "run": "other"} and first["rows"] == {"train": 6, "validation": 0, "test": 3}
    assert (first["number"], first["diff"], first["sha256"]) == (1, None, version_hash(entries(rows)))
    before = list(versions.Lying(tmp_path))
    versions.remember(tmp_path)
    write(tmp_path, [*rows[2:], (Labelled("new", "new", "a"), "train")])
    versions.record(tmp_path)
    second = versions.history(tmp_path)[1]
    assert (second["number"], second["parent"]) == (2, {"sha256": first["sha256"], "run": None})
    assert second["diff"] == {"added": 1, "removed": 2, "changed": 0, "labels_moved": 0, "sides_moved": 0, "labels": {}}
    kept = versions.former(tmp_path, str(first["sha256"]))
    assert kept is not None and list(kept) == before
    versions.remember(tmp_path)
    write(tmp_path, rows[:3])
    versions.record(tmp_path)
    assert len(versions.formers(tmp_path)) == 1 and versions.former(tmp_path, str(second["sha256"])) is not None


@pytest.mark.parametrize("written", [False, True])
def test_a_kill_between_the_rows_and_the_record_costs_no_version(tmp_path: Path, written: bool) -> None:
    rows = rows_of(6)
    write(tmp_path, rows)
    versions.record(tmp_path)
    versions.remember(tmp_path)
    if written:
        write(tmp_path, rows[:5])
    # Killed here; the next preparation begins again.
    versions.remember(tmp_path)
    write(tmp_path, rows[:5])
    versions.record(tmp_path)
    first, second = versions.history(tmp_path)
    assert second["parent"] == {"sha256": first["sha256"], "run": None}
    assert second["diff"] is not None and second["diff"]["removed"] == 1  # type: ignore[index,call-overload]


def test_rows_from_before_versions_were_kept_become_the_first(tmp_path: Path) -> None:
    rows = rows_of(4)
    write(tmp_path, rows)
    versions.remember(tmp_path)
    write(tmp_path, rows[1:])
    versions.record(tmp_path, Parent("f" * 64, "other"))
    first, second = versions.history(tmp_path)
    assert first["sha256"] == version_hash(entries(rows)) and first["parent"] is None
    assert second["parent"] == {"sha256": first["sha256"], "run": None}


def test_conversations_are_known_by_what_the_user_says() -> None:
    one = Chat("a", (Message("user", "Hi"), Message("assistant", "Ho")))
    other = Chat("b", (Message("user", "hi"), Message("assistant", "He")))
    assert entry_of(one, "train").asked == entry_of(other, "train").asked
    assert entry_of(one, "train").content != entry_of(other, "train").content
