"""Cleaning on the disk: what `pipeline.clean` does, for more rows than memory holds, by several processes, and resumable.

Row steps run shard by shard and write new shards. Key steps look at numbers made of keys, and read only rows that are
related; set steps read all rows, one after another. What is whole in the work folder is not done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from luthier.core.examples import AnyExample
from luthier.core.files import read_json, write_json
from luthier.data.decisions import Dropped, KeyStep, RowStep, SetStep, ready
from luthier.data.execution.keyed import key_step
from luthier.data.execution.shards import DROPPED, ROWS, RowWork, Shard
from luthier.data.execution.spool import Spool, from_line, kept_row, remove_parts
from luthier.data.execution.streamed import Decided, Streamed, Work, let_go
from luthier.data.files.record import BadRow
from luthier.data.kept.erased import ErasedRow
from luthier.data.tools import NO_TOOLS, Tools

Read: TypeAlias = AnyExample | BadRow | ErasedRow
_CHARACTERS_IN_SHARD = 4_000_000


def clean_on_disk(
    rows: Callable[[], Iterator[Read]],
    steps: Sequence[RowStep | KeyStep | SetStep],
    work: Work,
    elders: Collection[str] = frozenset(),
    tools: Tools = NO_TOOLS,
) -> Streamed:
    """Run the steps over the rows, as `pipeline.clean` does, and go on from what an earlier call left in the work folder.

    Args:
        rows: reads them from the beginning; rows that could not be read, and those that were erased, are dropped before any step.
        steps: row steps, key steps and set steps, in order.
        work: where and how.
        elders: as in `clean`.
        tools: what steps may need. Row steps, and the keys of key steps, have no model that embeds or rephrases.

    """
    work.folder.mkdir(parents=True, exist_ok=True)
    remove_parts(work.folder)
    away = replace(tools, embed=None, rephrase=None, elders=frozenset())
    found: Streamed | None = None
    number = 0
    for is_row_step, some in groupby(steps, key=lambda step: not isinstance(step, KeyStep | SetStep)):
        group = tuple(some)
        if found is None:
            row_steps: tuple[RowStep, ...] = group if is_row_step else ()  # type: ignore[assignment]
            found = _read_all(rows, RowWork(row_steps, away), work)
            number += len(row_steps)
            if is_row_step:
                continue
        if is_row_step:
            _row_steps(found, RowWork(group, away), work, number)  # type: ignore[arg-type]
            number += len(group)
            continue
        for step in group:
            if isinstance(step, KeyStep):
                key_step(found, step, work, number, elders, (tools, away))
            else:
                assert isinstance(step, SetStep), "there are three kinds of steps"
                _set_step(found, step, work, number, tools)
            number += 1
    found = _read_all(rows, RowWork((), away), work) if found is None else found
    found.added = Counter({step.kind: found.added[step.kind] for step in steps if found.added[step.kind]})
    return found


def _read_all(rows: Callable[[], Iterator[Read]], do: RowWork, work: Work) -> Streamed:
    """The first round: from the source to shards."""
    whole = work.folder / "read.json"
    if not whole.exists():
        n_shards = 0

        def pieces() -> Iterator[Shard]:
            nonlocal n_shards
            for read in _cut(rows(), work.rows_in_shard):
                n_shards += 1
                out = work.folder / f"0-{n_shards:06}"
                if not out.with_suffix(ROWS).exists():
                    yield Shard(out, read)

        work.do(pieces(), do, "reading and cleaning", None)
        write_json(whole, {"n_shards": n_shards})
    said = read_json(whole)
    assert isinstance(said, dict), "the file is ours"
    outs = [work.folder / f"0-{i + 1:06}" for i in range(int(said["n_shards"]))]
    found = Streamed(0, Spool.of([out.with_suffix(ROWS) for out in outs]), np.zeros(0, dtype=np.bool_))
    found.n_read = _take_over(found, outs, len(do.steps))
    return found


def _cut(rows: Iterator[Read], n_rows: int) -> Iterator[list[Read]]:
    some: list[Read] = []
    n_characters = 0
    for row in rows:
        some.append(row)
        n_characters += 0 if isinstance(row, BadRow | ErasedRow) else sum(map(len, row.texts()))
        if len(some) == n_rows or n_characters >= _CHARACTERS_IN_SHARD:
            yield some
            some, n_characters = [], 0
    if some:
        yield some


def _row_steps(found: Streamed, do: RowWork, work: Work, number: int) -> None:
    """A later round: from shards to shards."""
    spool, alive = found.spool, found.alive
    outs = [work.folder / f"{number}-{i + 1:06}" for i in range(len(spool.shards))]
    pieces = (
        Shard(out, earlier=path, alive=alive[spool.rows_of(i)])
        for i, (out, path) in enumerate(zip(outs, spool.shards, strict=True))
        if not out.with_suffix(ROWS).exists()
    )
    work.do(pieces, do, ", ".join(step.kind for step in do.steps), found.n_kept)
    found.spool = Spool.of([out.with_suffix(ROWS) for out in outs])
    _take_over(found, outs, len(do.steps))


def _take_over(found: Streamed, outs: Sequence[Path], n_steps: int) -> int:
    """Count what the shards say of the rows that their steps dropped and added; gives how many rows were read."""
    found.alive = np.ones(len(found.spool), dtype=np.bool_)
    n_read = 0
    places: list[list[tuple[Path, int, int]]] = [[] for _ in range(n_steps + 2)]
    for out in outs:
        path = out.with_suffix(DROPPED)
        with open(path, "rb") as file:
            head: Any = from_line(file.readline())
            start = file.tell()
        n_read += head["n_read"]
        found.added.update(head["added"])
        for k, size in enumerate(head["sizes"]):
            if size:
                places[k].append((path, start, size))
            start += size
    found.dropped.extend(_reader(some) for some in places if some)
    return n_read


def _reader(places: Sequence[tuple[Path, int, int]]) -> Callable[[], Iterator[bytes]]:
    def lines() -> Iterator[bytes]:
        for path, start, size in places:
            with open(path, "rb") as file:
                file.seek(start)
                yield from file.read(size).splitlines(keepends=True)

    return lines


def _set_step(found: Streamed, step: SetStep, work: Work, number: int, tools: Tools) -> None:
    if not (work.folder / f"{number}.gone").exists():
        at_work = ready(step, tools)
        assert isinstance(at_work, SetStep), "tools make of a set step a set step"
        decisions = at_work.decide(lambda: (row.example for row in found.rows()))
        with Decided(work.folder, number) as decided:
            for (i, line), decision in zip(found.spool.lines(found.alive), decisions, strict=True):
                if isinstance(decision, Dropped):
                    decided.drop(i, kept_row(line).example, step.kind, decision)
    let_go(found, work.folder, number)
