"""Erasing somebody's rows from the prepared data of one run: kept and dropped rows, the record of sides, the accounts."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.examples import AnyExample, from_record
from luthier.core.files import read_json, read_jsonl, write_json, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.data.kept import prepared, versions
from luthier.data.sides.split import SIDES

Theirs = Callable[[AnyExample], bool]


@dataclass(frozen=True)
class Found:
    """What a run holds of somebody: rows kept by side, rows dropped, every id, where they stood, and texts to look for elsewhere.

    `roots` are the places of rows as they were read: several kept rows may have been made from one of them. `n_silent` are
    rows that have nothing in the column, of which nobody can tell whose they are.
    """

    sides: Mapping[str, int]
    n_dropped: int
    ids: frozenset[str]
    roots: frozenset[str]
    texts: frozenset[str]
    n_silent: int

    @property
    def n_kept(self) -> int:
        """How many kept rows there are on all sides."""
        return sum(self.sides.values())

    @property
    def learnt(self) -> bool:
        """Whether a model was tuned on any, or chosen by any."""
        return any(n for side, n in self.sides.items() if side != "test")

    def __bool__(self) -> bool:
        return bool(self.ids)


def find(home: Path, theirs: Theirs, is_silent: Theirs) -> Found:
    """Look through a run's `data` folder; rows that were made from somebody's are somebody's."""
    silent = 0
    ids: set[str] = set()
    made_from: defaultdict[str, list[str]] = defaultdict(list)
    for example, _ in _held(home):
        silent += is_silent(example)
        if theirs(example):
            ids.add(example.id)
        if example.parent is not None:
            made_from[example.parent].append(example.id)
    waiting = list(ids)
    while waiting:
        new = [child for child in made_from.get(waiting.pop(), ()) if child not in ids]
        ids.update(new)
        waiting += new
    mine = [(example, side) for example, side in _held(home) if example.id in ids] if ids else []
    return Found(
        {side: sum(on == side for _, on in mine) for side in SIDES},
        sum(on is None for _, on in mine),
        frozenset(ids),
        frozenset(example.source for example, side in mine if side is not None),
        frozenset(text for example, _ in mine for text in example.texts()),
        silent,
    )


def _held(home: Path) -> Iterator[tuple[AnyExample, str | None]]:
    """Every row that could be read, with its side; None for one that was dropped."""
    yield from prepared.read_rows(home)
    yield from ((from_record(row), None) for row in _dropped(home) if row.get("shape") is not None)


def _dropped(home: Path) -> Iterator[dict[str, Json]]:
    path = home / prepared.DROPPED
    return read_jsonl(path) if path.is_file() else iter(())


def erase(home: Path, found: Found) -> None:
    """Rewrite the files without those rows; a call that was cut off is made again from the start.

    Rows that were read stay in the accounts, as dropped ones of which only the place is known. The record of sides is
    written before the rows that tell whose ids stand in it, and the kept rows last: killed before that, a second call
    finds them still there, and their places noted already.
    """
    left = [example for example, side in prepared.read_rows(home) if side == "test" and example.id not in found.ids]
    test_hash = prepared.rows_hash(left)
    _rewrite_split(home, found.ids, test_hash)
    noted = {str(row["source"]) for row in _dropped(home) if row["step"] == "erase"}
    places = {str(row["source"]) for row in _dropped(home) if row["id"] in found.ids} | found.roots - noted
    gone = [prepared.erased_record(place) for place in sorted(places)]
    others = (_without_names(row, found.ids) for row in _dropped(home) if row["id"] not in found.ids)
    write_jsonl(home / prepared.DROPPED, itertools.chain(others, gone))
    _rewrite_accounts(home, found.ids, test_hash)
    for path in (*versions.formers(home), *home.glob("profile*")):
        path.unlink()
    write_jsonl(home / prepared.KEPT, _kept_without(home, found.ids))
    versions.record(home)


def _kept_without(home: Path, ids: Collection[str]) -> Iterator[dict[str, Json]]:
    return (row for row in read_jsonl(home / prepared.KEPT) if row["id"] not in ids)


def _without_names(row: dict[str, Json], ids: Collection[str]) -> dict[str, Json]:
    """A row that stays dropped, without the name of the row in whose favour it went; its detail may quote that one."""
    return {**row, "kept_id": None, "detail": ""} if row.get("kept_id") in ids else row


def _rewrite_split(home: Path, ids: Collection[str], test_hash: str) -> None:
    record: Any = read_json(home / prepared.SPLIT)
    tables = {name: {row: side for row, side in record[name].items() if row not in ids} for name in ("sides", "absent")}
    write_json(home / prepared.SPLIT, {**record, "test_sha256": test_hash, **tables})


def _rewrite_accounts(home: Path, ids: Collection[str], test_hash: str) -> None:
    """Count again: read = kept + Σ dropped, and Σ split = kept + Σ added."""
    account: Any = read_json(home / prepared.CLEANING)
    split, changed = Counter[str](), Counter[str]()
    rows: Iterator[Mapping[str, Any]] = _kept_without(home, ids)
    for row in rows:
        split[row["side"]] += 1
        changed.update({change["step"] for change in row["changed"]})
    dropped = prepared.reasons(_dropped(home))
    n_kept = account["read"] - sum(n for some in dropped.values() for n in some.values())
    added, surplus = dict(account["added"]), sum(account["added"].values()) - (split.total() - n_kept)
    for step, n in account["added"].items():
        taken = min(n, max(0, surplus))
        added[step], surplus = n - taken, surplus - taken
    steps = [*account["changed"], *(step for step in changed if step not in account["changed"])]
    rewritten: dict[str, Json] = {
        **account, "kept": n_kept, "dropped": dropped, "changed": {step: changed[step] for step in steps if changed[step]},
        "added": added, "split": {side: split[side] for side in SIDES}, "test_hash": test_hash,
    }  # fmt: skip
    write_json(home / prepared.CLEANING, rewritten)
