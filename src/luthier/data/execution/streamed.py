"""Rows that are being cleaned on the disk: where they are, which of them are left, and what was dropped."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample
from luthier.core.progress import Bar, progress
from luthier.data.decisions import Dropped
from luthier.data.engine import Engine
from luthier.data.execution.shards import DROPPED, KeyWork, RowWork, Shard
from luthier.data.execution.spool import Spool, from_line, kept_row, to_line, write_whole
from luthier.data.execution.workers import HERE
from luthier.data.kept.prepared import dropped_record
from luthier.data.likeness.texts import Texts
from luthier.data.pipeline import DroppedRow, KeptRow, dropped_row

ROWS_IN_SHARD = 2000
_SHOWN_FROM = 8000
"""Rows from which on it is told how far the work has come: fewer are through before anybody could read it."""


@dataclass(frozen=True)
class Work:
    """Where and how rows are worked on.

    Attributes:
        folder: holds what is done so far; whoever gives it sees to it that it is of the same rows and steps.
        engine: what row steps and keys are spread over.
        rows_in_shard: rows of which a shard is made, unless they are long.
        pause: called between two pieces; it raises where somebody has asked to stop.

    """

    folder: Path
    engine: Engine = HERE
    rows_in_shard: int = ROWS_IN_SHARD
    pause: Callable[[], None] = lambda: None

    def do(self, pieces: Iterable[Shard], do: RowWork | KeyWork, label: str, total: int | None) -> None:
        """Do something to each piece, and show how far it has come."""
        with self.shown(label, total) as advance:
            self.engine.work(do, pieces, lambda piece: advance(piece.n_rows), (self.folder, *do.folders))

    @contextlib.contextmanager
    def shown(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A function that takes note of so many rows more, and shows it where there are many; it raises where somebody asked to stop."""
        with contextlib.ExitStack() as stack:
            bar: Bar | None = None
            n_rows = 0

            def advance(n: int) -> None:
                nonlocal bar, n_rows
                n_rows += n
                if bar is not None:
                    bar.advance(n)
                elif n_rows >= _SHOWN_FROM:
                    bar = stack.enter_context(progress(total, label, "rows", start=n_rows))
                self.pause()

            yield advance


@dataclass
class Streamed:
    """The rows after the steps, on the disk: n read + Σ added = n kept + n dropped, rows that could not be read among the dropped."""

    n_read: int
    spool: Spool
    alive: NDArray[np.bool_]
    added: Counter[str] = field(default_factory=Counter)
    dropped: list[Callable[[], Iterator[bytes]]] = field(default_factory=list)
    """The lines of the rows that are dropped, step by step, each a record of `dropped.jsonl.gz`."""

    @property
    def n_kept(self) -> int:
        """How many rows are left."""
        return int(self.alive.sum())

    def rows(self) -> Iterator[KeptRow]:
        """The rows that are left."""
        return (kept_row(line) for _, line in self.spool.lines(self.alive))

    def lines(self) -> Iterator[bytes]:
        """The same as lines of a shard."""
        return (line for _, line in self.spool.lines(self.alive))

    def ids(self) -> list[str]:
        """The ids of all rows, kept or dropped, as far as they have any."""
        found = (from_line(line)["id"] for some in (self.lines(), self.dropped_lines()) for line in some)
        return [str(one) for one in found if one is not None]

    def dropped_lines(self) -> Iterator[bytes]:
        """The rows that are dropped."""
        return (line for some in self.dropped for line in some())

    def drop(self, gone: Mapping[str, tuple[str, str, str]], folder: Path) -> None:
        """Drop rows that no step has dropped, by their ids: for (step, reason, detail)."""
        lines = Texts(folder)
        for i, line in self.spool.lines(self.alive) if gone else ():
            row = kept_row(line)
            if row.example.id in gone:
                self.alive[i] = False
                lines.add(to_line(dropped_record(DroppedRow(row.example, *gone[row.example.id]))).decode("utf-8", "surrogatepass"))
        if len(lines):
            self.dropped.append(lambda: (line.encode("utf-8", "surrogatepass") for line in lines))


class Decided:
    """The rows that a step drops, met in any order, and written in the order of the rows when all are known."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number
        self._lines = Texts(folder)
        self._rows: list[int] = []

    def __enter__(self) -> Decided:
        return self

    def drop(self, i: int, example: AnyExample, step: str, decision: Dropped) -> None:
        """Note that row i goes."""
        self._rows.append(i)
        self._lines.add(to_line(dropped_record(dropped_row(example, step, decision))).decode("utf-8", "surrogatepass"))

    def __exit__(self, kind: type[BaseException] | None, *of_error: object) -> None:
        if kind is not None:
            return
        order = np.argsort(np.array(self._rows, dtype=np.int64))
        content = (self._lines[int(k)].encode("utf-8", "surrogatepass") for k in order)
        write_whole(self._folder / f"{self._number}{DROPPED}", content)
        write_whole(self._folder / f"{self._number}.gone", [np.array(self._rows, dtype=np.int64)[order].tobytes()])


def let_go(found: Streamed, folder: Path, number: int) -> None:
    """Take the rows that a step dropped from those that are left."""
    found.alive[np.fromfile(folder / f"{number}.gone", dtype=np.int64)] = False
    path = folder / f"{number}{DROPPED}"
    size = path.stat().st_size
    if size:
        found.dropped.append(line_reader(path))


def line_reader(path: Path) -> Callable[[], Iterator[bytes]]:
    """What reads a file line by line, from its beginning each time."""

    def lines() -> Iterator[bytes]:
        with open(path, "rb") as file:
            yield from file

    return lines
