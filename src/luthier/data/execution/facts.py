"""What splitting has to know of the kept rows, gathered in one reading of them: rows without their texts, and how they are related."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.examples import Text
from luthier.core.files import atomic_writer
from luthier.core.jsonvalue import Json, to_bytes
from luthier.data.execution.light import LightRows
from luthier.data.execution.spool import from_line
from luthier.data.execution.streamed import Streamed
from luthier.data.likeness.said import Said
from luthier.data.pipeline import DroppedRow

_TOLD_EVERY = 1000


@dataclass(frozen=True, eq=False)
class Facts:
    """Of the kept rows: `rows` without texts, in order; what they `said`, for the join."""

    rows: LightRows
    said: Said


@dataclass(frozen=True, eq=False)
class Account:
    """Of the dropped rows: how many each step dropped for each reason, and of those that were dropped for another row, which one."""

    reasons: Mapping[str, Mapping[str, int]]
    twins: Mapping[str, str]

    def rows(self) -> list[DroppedRow]:
        """A row for each that was dropped, without its content; those that could not be read, or were erased, are not among them."""
        found: list[DroppedRow] = []
        for step, counts in self.reasons.items():
            for reason, n in counts.items() if step not in ("read", "erase") else ():
                found += [DroppedRow(Text("", ""), step, reason)] * n
        return found

    @property
    def n_rows(self) -> int:
        """How many were dropped, with those that could not be read."""
        return sum(n for counts in self.reasons.values() for n in counts.values())


def facts(cleaned: Streamed, group_column: str | None, columns: Sequence[str], folder: Path, advance: Callable[[int], None]) -> Facts:
    """Read the kept rows once.

    Args:
        cleaned: the rows.
        group_column: whose equal values tie rows together.
        columns: what else of `extra` is needed.
        folder: for what memory is too small for.
        advance: told of so many rows more; it raises where somebody has asked to stop.

    """
    said = Said(group_column, folder)
    rows = LightRows(columns, folder)
    for row in cleaned.rows():
        said.add(row.example)
        rows.add(row.example)
        if len(rows) % _TOLD_EVERY == 0:
            advance(_TOLD_EVERY)
    advance(len(rows) % _TOLD_EVERY)
    return Facts(rows, said)


def account(lines: Iterable[bytes]) -> Account:
    """Count dropped rows, from their lines."""
    reasons: dict[str, Counter[str]] = {}
    twins: dict[str, str] = {}
    for record in map(from_line, lines):
        reasons.setdefault(str(record["step"]), Counter())[str(record["reason"])] += 1
        if record["kept_id"] is not None:
            twins[str(record["id"])] = str(record["kept_id"])
    return Account({step: dict(counts) for step, counts in reasons.items()}, twins)


@dataclass
class Written:
    """Counts of kept rows, made while they are written."""

    changed: Counter[str]
    sides: Counter[str]

    def records(self, lines: Iterable[bytes], side_of: Mapping[str, str]) -> Iterator[dict[str, Json]]:
        """Each row of a shard's line as a record of `kept.jsonl.gz`."""
        for record in map(from_line, lines):
            name, changed = str(record.pop("id")), record.pop("changed")
            assert isinstance(changed, list), "a shard's lines are ours"
            self.changed.update(sorted({str(one["step"]) for one in changed}))
            self.sides[side_of[name]] += 1
            yield {"id": name, "side": side_of[name], **record, "changed": changed}


def write_large_json(path: Path, value: Mapping[str, Json]) -> None:
    """Write what `core.files.write_json` writes, bit by bit: an object with an entry for each row."""
    with atomic_writer(path) as file:
        for some in json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2).iterencode(value):
            file.write(to_bytes(some))
        file.write(b"\n")
