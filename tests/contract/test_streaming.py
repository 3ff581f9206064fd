"""Cleaning on the disk is cleaning: the same rows, decisions and counts as in memory, however rows are cut, spread and interrupted."""

from __future__ import annotations

import itertools
import pickle
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.test_steps import data_sets, step_of

from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text, from_record
from luthier.core.messages import Message
from luthier.data.decisions import Dropped, Kept, KeyDecision, KeyStep, Parted, RowStep, SetStep
from luthier.data.execution import streaming
from luthier.data.execution.spool import from_line
from luthier.data.execution.streamed import Streamed, Work
from luthier.data.execution.streaming import clean_on_disk
from luthier.data.execution.workers import Local
from luthier.data.files.record import BadRow
from luthier.data.pipeline import DEFAULT_STEPS, Cleaned, DroppedRow, clean
from luthier.data.steps import AnyRowStep, ExactDuplicates, HtmlToText, Length, NearDuplicates, Whitespace

__all__ = ["step_of"]
Steps = Sequence[RowStep | KeyStep | SetStep]


@dataclass(frozen=True)
class ByLine:
    """Parts texts at line breaks."""

    kind: str = "by_line"

    def apply(self, example: AnyExample) -> Kept | Parted:
        parts = example.text.split("\n") if isinstance(example, Text) else []
        children = [Text(f"{example.id}.{i}", one, parent=example.id) for i, one in enumerate(parts)]
        return Parted(tuple(children)) if len(children) > 1 else Kept()


@dataclass(frozen=True)
class Numbered:
    """Writes into each row how often it has seen the rows, and drops every third."""

    kind: str = "every_third"

    def decide(self, rows: Callable[[], Iterable[AnyExample]]) -> Iterator[KeyDecision]:
        n = sum(1 for _ in rows())
        for i, row in enumerate(rows()):
            yield Dropped("every third", f"{i} of {n}: {row.id}") if i % 3 == 2 else Kept()


@dataclass(frozen=True)
class SameLength:
    """Keeps the last of the rows that are as long, in the order of precedence."""

    kind: str = "same_length"

    def keys(self, example: AnyExample) -> tuple[bytes, ...]:
        # Long keys that differ in their last byte only: a number of 64 bits cannot tell them all apart by their beginning.
        n = sum(map(len, example.texts()))
        return (b"a long key that begins alike" + bytes([n % 251]), b"short" + bytes([n % 251]))

    def choose(self, members: Sequence[AnyExample]) -> tuple[KeyDecision, ...]:
        kept = members[-1].id
        return (*(Dropped("as long as another", f"as {kept}", kept) for _ in members[:-1]), Kept())


ORDERS: tuple[Steps, ...] = (
    DEFAULT_STEPS,
    (),
    (ExactDuplicates(),),
    (NearDuplicates(), Whitespace(), Length(min_characters=2), ExactDuplicates(), NearDuplicates()),
    (ByLine(), SameLength(), Numbered(), Whitespace(), ByLine(), Length(min_characters=1), Numbered()),
)
WORDS = "the bow of my cello has warped and its bridge leans so that no string will stay in tune".split()  # noqa: SIM905


def family(draw: random.Random, n: int) -> list[AnyExample]:
    """Rows of which many are copies or near-copies of others, of every shape."""
    made: list[AnyExample] = []
    texts: list[str] = []
    for i in range(n):
        if texts and draw.random() < 0.6:
            words = draw.choice(texts).split(" ")
            if draw.random() < 0.8:
                words[draw.randrange(len(words))] = draw.choice(WORDS)
        else:
            words = draw.choices(WORDS, k=draw.randint(2, 40))
        texts.append(" ".join(words))
        text = texts[-1].upper() if draw.random() < 0.1 else texts[-1]
        kind = draw.random()
        if kind < 0.6:
            made.append(Labelled(f"r{i}", text, draw.choice("ab"), source=f"f:{i}", extra={"n": i, "half": "\ud83d"}))
        elif kind < 0.8:
            made.append(Pair(f"r{i}", text, draw.choice(texts)))
        else:
            made.append(Chat(f"r{i}", (Message("user", text), Message("assistant", draw.choice(texts)))))
    return made


def dropped_of(streamed: Streamed) -> list[DroppedRow]:
    found = []
    for record in map(from_line, streamed.dropped_lines()):
        said: list[Any] = [record[name] for name in ("step", "reason", "detail", "kept_id")]
        found.append(DroppedRow(from_record(record), *said))
    return found


def assert_same(streamed: Streamed, cleaned: Cleaned, n_read: int) -> None:
    assert list(streamed.rows()) == list(cleaned.kept)
    assert dropped_of(streamed) == list(cleaned.dropped)
    assert dict(streamed.added) == cleaned.added and list(streamed.added) == list(cleaned.added)
    assert streamed.n_read == n_read
    assert n_read + sum(cleaned.added.values()) == streamed.n_kept + len(cleaned.dropped)


@given(rows=data_sets(), steps=st.sampled_from(ORDERS), rows_in_shard=st.integers(1, 13), n_elders=st.integers(0, 3))
@settings(max_examples=120, deadline=None)
def test_it_is_the_same_as_in_memory(rows: list[AnyExample], steps: Steps, rows_in_shard: int, n_elders: int) -> None:
    elders = {row.id for row in rows[len(rows) - n_elders :]}
    with TemporaryDirectory() as folder:
        streamed = clean_on_disk(lambda: iter(rows), steps, Work(Path(folder), rows_in_shard=rows_in_shard), elders)
        assert_same(streamed, clean(rows, steps, elders), len(rows))


@pytest.mark.parametrize("steps", ORDERS)
@pytest.mark.parametrize(("seed", "rows_in_shard"), [(0, 7), (1, 40), (2, 1000)])
def test_it_is_the_same_on_rows_that_are_nearly_alike(steps: Steps, seed: int, rows_in_shard: int, tmp_path: Path) -> None:
    rows = family(random.Random(seed), 250)
    elders = {row.id for row in rows[100:120]}
    streamed = clean_on_disk(lambda: iter(rows), steps, Work(tmp_path, rows_in_shard=rows_in_shard), elders)
    assert_same(streamed, clean(rows, steps, elders), len(rows))


def test_many_keys_go_to_the_disk_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.likeness.join._SPILL", 300)
    monkeypatch.setattr("luthier.data.likeness.join._BUCKET", 500)
    rows = family(random.Random(5), 200)
    assert_same(clean_on_disk(lambda: iter(rows), DEFAULT_STEPS, Work(tmp_path, rows_in_shard=30)), clean(rows, DEFAULT_STEPS), 200)


def test_rows_that_cannot_be_read_come_first_among_the_dropped(tmp_path: Path) -> None:
    rows: list[AnyExample | BadRow] = [Text("a", "one"), BadRow("f:2", "torn", "mend it"), Text("b", ""), BadRow("f:4", "torn", "mend it")]
    streamed = clean_on_disk(lambda: iter(rows), [Length()], Work(tmp_path, rows_in_shard=1))
    records = [from_line(line) for line in streamed.dropped_lines()]
    assert [(one["source"], one["step"]) for one in records] == [("f:2", "read"), ("f:4", "read"), ("", "length")]
    assert (streamed.n_read, streamed.n_kept) == (4, 1)


class Stop(Exception):
    """Somebody asked to stop."""


def test_it_goes_on_from_wherever_it_was_stopped(tmp_path: Path) -> None:
    rows = family(random.Random(3), 90)
    steps = (HtmlToText(), ExactDuplicates(), NearDuplicates(), Whitespace(), Numbered(), SameLength())
    cleaned = clean(rows, steps)
    for k in itertools.count():
        calls = itertools.count()

        def pause(k: int = k, calls: Iterator[int] = calls) -> None:
            if next(calls) == k:
                raise Stop

        stops = 0
        while True:
            try:
                streamed = clean_on_disk(lambda: iter(rows), steps, Work(tmp_path / str(k), rows_in_shard=20, pause=pause))
                break
            except Stop:
                stops += 1
        assert_same(streamed, cleaned, len(rows))
        assert stops == (next(calls) > k + 1)
        if not stops:
            break
    assert k > 15


def test_what_is_whole_is_not_done_again(tmp_path: Path) -> None:
    seen: list[str] = []

    @dataclass(frozen=True)
    class Noting:
        kind: str = "noting"

        def apply(self, example: AnyExample) -> Kept:
            seen.append(example.id)
            return Kept()

    rows = family(random.Random(3), 50)
    calls = itertools.count()

    def pause() -> None:
        if next(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        clean_on_disk(lambda: iter(rows), [Noting(), ExactDuplicates()], Work(tmp_path, rows_in_shard=10, pause=pause))
    assert len(seen) == 30
    clean_on_disk(lambda: iter(rows), [Noting(), ExactDuplicates()], Work(tmp_path, rows_in_shard=10))
    assert seen == [row.id for row in rows]

    def unreadable() -> Iterator[AnyExample]:
        raise AssertionError("the source is not read again")
        yield

    again = clean_on_disk(unreadable, [Noting(), ExactDuplicates()], Work(tmp_path, rows_in_shard=10))
    assert_same(again, clean(rows, [ExactDuplicates()]), len(rows))


@pytest.mark.slow
def test_worker_processes_do_the_same(tmp_path: Path) -> None:
    rows = family(random.Random(8), 300)
    streamed = clean_on_disk(lambda: iter(rows), DEFAULT_STEPS, Work(tmp_path, engine=Local(2), rows_in_shard=20))
    assert_same(streamed, clean(rows, DEFAULT_STEPS), len(rows))


def test_after_all_steps_rows_can_still_be_dropped_by_their_ids(tmp_path: Path) -> None:
    rows: list[AnyExample] = [Text(name, f"{name} says something else") for name in "abcde"]
    streamed = clean_on_disk(lambda: iter(rows), [Whitespace()], Work(tmp_path, rows_in_shard=2))
    streamed.drop({"d": ("split", "two sides", "train and test"), "a": ("erase", "asked", "")}, tmp_path)
    assert [row.example.id for row in streamed.rows()] == ["b", "c", "e"]
    assert [(row.example, row.step, row.reason, row.detail) for row in dropped_of(streamed)] == [
        (rows[0], "erase", "asked", ""),
        (rows[3], "split", "two sides", "train and test"),
    ]


@pytest.mark.parametrize("kind", get_args(AnyRowStep))
def test_a_row_step_can_be_handed_to_another_process(kind: Any, step_of: Callable[[Any], Any]) -> None:
    assert pickle.loads(pickle.dumps(step_of(kind))) == step_of(kind)


def test_shards_are_cut_by_their_text_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_CHARACTERS_IN_SHARD", 10)
    rows: list[AnyExample] = [Text(str(i), "x" * 6) for i in range(7)]
    streamed = clean_on_disk(lambda: iter(rows), (), Work(tmp_path, rows_in_shard=3))
    assert np.diff(streamed.spool.starts).tolist() == [2, 2, 2, 1]
    assert [from_line(streamed.spool.line(i))["id"] for i in (6, 0, 3)] == ["6", "0", "3"]
