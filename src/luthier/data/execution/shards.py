"""What is done to one shard of rows, here or in a worker process: row steps, and the keys of a key step."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.data.decisions import ComparesTexts, KeyStep, MayKeepKeys, RowStep, ready
from luthier.data.execution.spool import alive_rows, from_line, kept_line, to_line, write_whole
from luthier.data.files.record import BadRow
from luthier.data.kept.erased import ErasedRow
from luthier.data.kept.prepared import bad_record, dropped_record, erased_record
from luthier.data.likeness.alike import Sketched
from luthier.data.pipeline import DroppedRow, KeptRow, one_by_one
from luthier.data.tools import Tools

ROWS, DROPPED, KEYS = ".rows", ".dropped", ".keys"


@dataclass(frozen=True, eq=False)
class Shard:
    """A piece of work: where its files go (`<out>.rows` and the like), and rows as they were read, or a shard of an earlier round."""

    out: Path
    read: Sequence[AnyExample | BadRow | ErasedRow] = ()
    earlier: Path | None = None
    alive: NDArray[np.bool_] = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    @property
    def n_rows(self) -> int:
        """How many rows it is made of."""
        return len(self.read) or int(self.alive.sum())

    def rows(self) -> list[KeptRow]:
        """The rows that go into it."""
        if self.earlier is not None:
            return list(alive_rows(self.earlier, self.alive))
        return [KeptRow(row) for row in self.read if not isinstance(row, BadRow | ErasedRow)]


@dataclass(frozen=True)
class RowWork:
    """Row steps, one after the other. Writes the rows that stay, and those that go, by step, below a line of counts."""

    steps: tuple[RowStep, ...]
    tools: Tools

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders beside the shards' that have to be the same wherever it is done."""
        keeps_key = any(isinstance(step, MayKeepKeys) and step.keeps_key for step in self.steps)
        return (self.tools.secrets,) if keeps_key and self.tools.secrets is not None else ()

    @cached_property
    def _ready(self) -> tuple[RowStep, ...]:
        """The steps with their tools; made once a process, for that may mean to read files."""
        return tuple(ready(step, self.tools) for step in self.steps)  # type: ignore[misc]

    def __reduce__(self) -> tuple[type[RowWork], tuple[object, ...]]:
        return RowWork, (self.steps, self.tools)

    def __call__(self, shard: Shard) -> None:
        """Do it to a shard; its file of rows is there only when everything about it is on the disk."""
        dropped: list[DroppedRow] = []
        added: Counter[str] = Counter()
        rows = shard.rows()
        lines = [
            [to_line(bad_record(row)) for row in shard.read if isinstance(row, BadRow)],
            [to_line(erased_record(row.source)) for row in shard.read if isinstance(row, ErasedRow)],
        ]
        for step in self._ready:
            rows = one_by_one(rows, step, dropped, added)
            lines.append([to_line(dropped_record(row)) for row in dropped])
            dropped.clear()
        sizes: list[Json] = [sum(map(len, some)) for some in lines]
        n_read: Json = len(shard.read)
        head = to_line({"n_read": n_read, "added": dict(added), "sizes": sizes})
        write_whole(shard.out.with_suffix(DROPPED), [head, *(line for some in lines for line in some)])
        write_whole(shard.out.with_suffix(ROWS), map(kept_line, rows))


@dataclass(frozen=True)
class KeyWork:
    """The keys of a key step, as 64-bit numbers, and where the step compares texts a sketch of each."""

    step: KeyStep
    tools: Tools
    words: int

    @property
    def folders(self) -> tuple[Path, ...]:
        """None beside the shards'."""
        return ()

    @cached_property
    def _ready(self) -> KeyStep:
        found = ready(self.step, self.tools)
        assert isinstance(found, KeyStep), "tools make of a key step a key step"
        return found

    def __reduce__(self) -> tuple[type[KeyWork], tuple[object, ...]]:
        return KeyWork, (self.step, self.tools, self.words)

    def __call__(self, shard: Shard) -> None:
        """Write the keys of a shard's rows that are alive."""
        step = self._ready
        rows = [row.example for row in shard.rows()]
        keys = [[key_number(key) for key in step.keys(example)] for example in rows]
        sketched = Sketched.of([step.compared(example) for example in rows] if isinstance(step, ComparesTexts) else [], self.words)
        found = Keys(
            np.array([len(some) for some in keys], dtype=np.int32),
            np.array([key for some in keys for key in some], dtype=np.uint64),
            sketched.n_grams,
            sketched.bits,
        )
        found.write(shard.out.with_suffix(KEYS))


@dataclass(frozen=True, eq=False)
class Keys:
    """The keys of some rows: how many each has, all of them, and of its text the number of grams and the sketch."""

    n_keys: NDArray[np.int32]
    keys: NDArray[np.uint64]
    n_grams: NDArray[np.int32]
    bits: NDArray[np.uint64]

    def write(self, path: Path) -> None:
        """Write them to a file."""
        sizes: list[Json] = [len(self.n_keys), len(self.keys), *self.bits.shape]
        parts = (self.n_keys, self.keys, self.n_grams, self.bits)
        write_whole(path, [to_line({"sizes": sizes}), *(part.tobytes() for part in parts)])

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read them back."""
        with open(path, "rb") as file:
            sizes = from_line(file.readline())["sizes"]
            assert isinstance(sizes, list), "the file is ours"
            n_rows, n_keys, n_texts, words = map(int, sizes)
            return cls(
                np.frombuffer(file.read(4 * n_rows), dtype=np.int32),
                np.frombuffer(file.read(8 * n_keys), dtype=np.uint64),
                np.frombuffer(file.read(4 * n_texts), dtype=np.int32),
                np.frombuffer(file.read(8 * n_texts * words), dtype=np.uint64).reshape(n_texts, words),
            )


def key_number(key: bytes) -> int:
    """64 bits of a key. Rows whose keys have a number in common may be taken for related; their keys are then looked at."""
    return int.from_bytes(key[:8], "little") ^ (hash_of(key[8:]) if len(key) > 8 else 0)


def hash_of(rest: bytes) -> int:
    """64 bits of what does not fit into a number, the same on any machine and in any process."""
    found = len(rest)
    for i in range(0, len(rest), 8):
        found = (found * 0x9E3779B97F4A7C15 + int.from_bytes(rest[i : i + 8], "little") + 1) & 0xFFFFFFFFFFFFFFFF
        found ^= found >> 29
    return found
