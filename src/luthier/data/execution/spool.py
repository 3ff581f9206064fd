"""Rows on the disk between two steps: shards of JSON lines that are read in order or row by row."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample, from_record, to_record
from luthier.core.jsonvalue import Json, dump
from luthier.data.pipeline import Change, KeptRow

_PART = ".part"


def kept_line(row: KeptRow) -> bytes:
    """A row as a line of a shard."""
    changed: list[Json] = [{"step": one.step, "reason": one.reason} for one in row.changes]
    return to_line({**to_record(row.example), "changed": changed})


def to_line(record: Mapping[str, Json]) -> bytes:
    """A record as a line; half characters, which no UTF-8 has, are kept as they are."""
    return (dump(record) + "\n").encode("utf-8", "surrogatepass")


def from_line(line: bytes) -> dict[str, Json]:
    """The record of a line."""
    found: dict[str, Json] = json.loads(line.decode("utf-8", "surrogatepass"))
    return found


def kept_row(line: bytes) -> KeptRow:
    """The row of a shard's line."""
    record = from_line(line)
    changes = record["changed"]
    assert isinstance(changes, list), "a shard's lines are ours"
    return KeptRow(from_record(record), tuple(Change(str(one["step"]), str(one["reason"])) for one in changes))


def write_whole(path: Path, content: Iterable[bytes]) -> None:
    """Write a file that is there only when it is whole; two processes may do so at once, if they write the same."""
    # Not by the process's number, which processes of two machines may have in common.
    part = path.with_name(f"{path.name}.{uuid4().hex}{_PART}")
    with open(part, "wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def remove_parts(folder: Path) -> None:
    """Remove what was being written when a process was killed."""
    for part in folder.glob(f"*{_PART}"):
        part.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class Spool:
    """The rows of some shards, numbered from 0 on: `starts` says at which row each shard begins, and `ends` where each row ends in its."""

    shards: tuple[Path, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, shards: Sequence[Path]) -> Spool:
        """Look where the rows of the shards are."""
        ends = [_line_ends(path) for path in shards]
        starts = np.cumsum([0, *map(len, ends)])
        return cls(tuple(shards), starts, np.concatenate(ends) if ends else np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def rows_of(self, shard: int) -> slice:
        """The numbers of a shard's rows."""
        return slice(int(self.starts[shard]), int(self.starts[shard + 1]))

    def lines(self, alive: NDArray[np.bool_]) -> Iterator[tuple[int, bytes]]:
        """The rows that are alive, in order, with their numbers."""
        for shard, path in enumerate(self.shards):
            mine = self.rows_of(shard)
            yield from ((i, line) for i, line in enumerate(_alive_lines(path, alive[mine]), mine.start) if line)

    def line(self, i: int) -> bytes:
        """One row."""
        shard = int(np.searchsorted(self.starts, i, side="right")) - 1
        start = 0 if i == self.starts[shard] else int(self.ends[i - 1])
        with open(self.shards[shard], "rb") as file:
            file.seek(start)
            return file.read(int(self.ends[i]) - start)

    def example(self, i: int) -> AnyExample:
        """One row's example."""
        return from_record(from_line(self.line(i)))


def alive_rows(shard: Path, alive: NDArray[np.bool_]) -> Iterator[KeptRow]:
    """The rows of a shard that are alive."""
    return (kept_row(line) for line in _alive_lines(shard, alive) if line)


def _alive_lines(shard: Path, alive: NDArray[np.bool_]) -> Iterator[bytes]:
    """Each line of a shard; nothing in the place of one that is not alive."""
    with open(shard, "rb") as file:
        for line, lives in zip(file, alive.tolist(), strict=True):
            yield line if lives else b""


def _line_ends(path: Path) -> NDArray[np.int64]:
    content = np.fromfile(path, dtype=np.uint8)
    return np.flatnonzero(content == ord("\n")) + 1
