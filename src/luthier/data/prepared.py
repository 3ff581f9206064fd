"""The files of prepared data: rows kept and dropped with reasons, the record of sides, and reading them back."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from luthier.core.examples import AnyExample, from_record, to_record
from luthier.core.files import read_jsonl
from luthier.core.jsonvalue import Json, canonical
from luthier.data.pipeline import DroppedRow, KeptRow
from luthier.data.record import BadRow
from luthier.data.split import Side

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


def rows_hash(examples: Iterable[AnyExample]) -> str:
    """SHA-256 of the rows' content, whatever their order and wherever they came from."""
    lines = []
    for example in examples:
        record = to_record(example)
        del record["source"]
        lines.append(canonical(record))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def known_sides(recorded: Mapping[str, Side], rows: Sequence[KeptRow], dropped: Sequence[DroppedRow]) -> dict[str, frozenset[Side]]:
    """Each kept row's recorded side; for one without, those of the rows that were dropped in its favour."""
    found = {row.example.id: frozenset([recorded[row.example.id]]) for row in rows if row.example.id in recorded}
    twins = _stands_for(dropped)
    inherited: dict[str, set[Side]] = {}
    for old, kept in twins.items():
        if old in recorded and kept not in found:
            inherited.setdefault(kept, set()).add(recorded[old])
    present = {row.example.id for row in rows}
    return found | {kept: frozenset(sides) for kept, sides in inherited.items() if kept in present}


def sides_to_record(
    sides: Mapping[str, Side], recorded: Mapping[str, Side], dropped: Sequence[DroppedRow]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """(sides of the kept rows, sides of rows that are not among them), by id in order.

    Rows that are gone may return, and a dropped duplicate may one day stand for its twin: both keep a side.
    """
    absent: dict[str, Side] = dict(recorded)
    for old, kept in _stands_for(dropped).items():
        if kept in sides:
            absent.setdefault(old, sides[kept])
    return dict(sorted(sides.items())), {row: side for row, side in sorted(absent.items()) if row not in sides}


def _stands_for(dropped: Sequence[DroppedRow]) -> dict[str, str]:
    """Dropped row → the row that finally stands in its place."""
    next_of = {row.example.id: row.kept_id for row in dropped if row.kept_id is not None}

    def last(row: str) -> str:
        while row in next_of:
            row = next_of[row]
        return row

    return {row: last(row) for row in next_of}
