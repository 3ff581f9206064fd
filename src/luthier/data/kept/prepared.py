"""The files of prepared data: rows kept and dropped with reasons, the record of sides, and reading them back."""

from __future__ import annotations

import hashlib
import heapq
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from luthier.core.examples import AnyExample, from_record, to_record
from luthier.core.files import read_jsonl
from luthier.core.jsonvalue import Json, canonical, to_bytes
from luthier.data.files.record import BadRow
from luthier.data.pipeline import DroppedRow, KeptRow
from luthier.data.sides.split import Side

KEPT = "kept.jsonl.gz"
DROPPED = "dropped.jsonl.gz"
CLEANING = "cleaning.json"
SPLIT = "split.json"
PROFILE = "profile.json"
ERASED = "erased on request"


def kept_record(row: KeptRow, side: str) -> dict[str, Json]:
    """One line of `kept.jsonl.gz`."""
    record = to_record(row.example)
    return {"id": record.pop("id"), "side": side, **record, "changed": [{"step": one.step, "reason": one.reason} for one in row.changes]}


def dropped_record(row: DroppedRow) -> dict[str, Json]:
    """One line of `dropped.jsonl.gz`: the row as it was when it went."""
    record = to_record(row.example)
    return {
        "id": record.pop("id"), "side": None, **record, "step": row.step, "reason": row.reason, "detail": row.detail, "kept_id": row.kept_id
    }  # fmt: skip


def erased_record(source: str) -> dict[str, Json]:
    """One line of `dropped.jsonl.gz` for a row that somebody asked to have erased: where it stood, and nothing of it."""
    return {"id": None, "side": None, "source": source, "step": "erase", "reason": ERASED, "detail": "", "kept_id": None}


def bad_record(row: BadRow) -> dict[str, Json]:
    """One line of `dropped.jsonl.gz` for a row that could not be read."""
    return {"id": None, "side": None, "source": row.source, "step": "read", "reason": row.problem, "detail": "", "kept_id": None}


def reasons(records: Iterable[Mapping[str, Json]]) -> dict[str, dict[str, int]]:
    """Step → reason → rows, of records of `dropped.jsonl.gz`."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        counts[str(record["step"])][str(record["reason"])] += 1
    return {step: dict(by_reason) for step, by_reason in counts.items()}


def read_rows(folder: Path) -> Iterator[tuple[AnyExample, str]]:
    """Each row of `kept.jsonl.gz` with its side; `folder` is the run's `data` folder."""
    return ((from_record(record), str(record["side"])) for record in read_jsonl(folder / KEPT))


class RowsHash:
    """SHA-256 of rows' content, whatever their order and wherever they came from.

    The content is sorted on the disk, in files without names in `folder`: of however many rows, some megabytes are held in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lines: list[bytes] = []
        self._n_bytes = 0
        self._sorted: list[IO[bytes]] = []

    def add(self, example: AnyExample) -> None:
        """Take in one more row."""
        record = to_record(example)
        del record["source"]
        # JSON holds no line breaks, and no letter that comes before one; UTF-8 sorts as code points do.
        line = to_bytes(canonical(record)) + b"\n"
        self._lines.append(line)
        self._n_bytes += len(line)
        if self._n_bytes > _BYTES_SORTED:
            self._lines.sort()
            self._sorted.append(self._file(self._lines))
            self._lines, self._n_bytes = [], 0
            if len(self._sorted) == _MOST_FILES:
                self._sorted = [self._file(self._in_order())]

    def _file(self, lines: Iterable[bytes]) -> IO[bytes]:
        file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed where it has been read
        file.writelines(lines)
        file.seek(0)
        return file

    def _in_order(self) -> Iterator[bytes]:
        """All lines, once."""
        yield from heapq.merge(*self._sorted, self._lines)
        for file in self._sorted:
            file.close()

    def hexdigest(self) -> str:
        """The hash of all of them, for which can be asked once."""
        self._lines.sort()
        found, between = hashlib.sha256(), b""
        for line in self._in_order():
            found.update(between + line[:-1])
            between = b"\n"
        return found.hexdigest()


_BYTES_SORTED = 1 << 24
_MOST_FILES = 64
"""Files that are open at once."""


def rows_hash(examples: Iterable[AnyExample]) -> str:
    """SHA-256 of the rows' content, whatever their order and wherever they came from."""
    found = RowsHash()
    for example in examples:
        found.add(example)
    return found.hexdigest()


def known_sides(recorded: Mapping[str, Side], rows: Iterable[KeptRow], dropped: Iterable[DroppedRow]) -> dict[str, frozenset[Side]]:
    """Each kept row's recorded side; for one without, those of the rows that were dropped in its favour."""
    return sides_of_known(recorded, [row.example.id for row in rows], twins_of(dropped))


def twins_of(dropped: Iterable[DroppedRow]) -> dict[str, str]:
    """Dropped row → the row that it was dropped for, where there is one."""
    return {row.example.id: row.kept_id for row in dropped if row.kept_id is not None}


def sides_of_known(recorded: Mapping[str, Side], rows: Iterable[str], twins: Mapping[str, str]) -> dict[str, frozenset[Side]]:
    """The same from ids alone: those of the kept rows, and of the dropped ones with those that they were dropped for."""
    if not recorded:
        return {}
    present = set(rows)
    found = {row: frozenset([recorded[row]]) for row in present if row in recorded}
    inherited: dict[str, set[Side]] = {}
    for old, kept in _stands_for(twins).items():
        if old in recorded and kept not in found:
            inherited.setdefault(kept, set()).add(recorded[old])
    return found | {kept: frozenset(sides) for kept, sides in inherited.items() if kept in present}


def sides_to_record(
    sides: Mapping[str, Side], recorded: Mapping[str, Side], dropped: Iterable[DroppedRow]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """(sides of the kept rows, sides of rows that are not among them), by id in order.

    Rows that are gone may return, and a dropped duplicate may one day stand for its twin: both keep a side.
    """
    return sides_to_keep(sides, recorded, twins_of(dropped))


def sides_to_keep(
    sides: Mapping[str, Side], recorded: Mapping[str, Side], twins: Mapping[str, str]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The same, with the dropped rows' ids and those that they were dropped for."""
    absent: dict[str, Side] = dict(recorded)
    for old, kept in _stands_for(twins).items():
        if kept in sides:
            absent.setdefault(old, sides[kept])
    return dict(sorted(sides.items())), {row: side for row, side in sorted(absent.items()) if row not in sides}


def _stands_for(next_of: Mapping[str, str]) -> dict[str, str]:
    """Dropped row → the row that finally stands in its place."""

    def last(row: str) -> str:
        while row in next_of:
            row = next_of[row]
        return row

    return {row: last(row) for row in next_of}
