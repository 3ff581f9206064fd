"""The list of what was erased: keyed hashes by which rows that must not come back are known, and nothing personal.

`erased.json` stands beside the runs. Of what was erased it holds the column and an HMAC-SHA256 of the value; the key is
in `.erased.key`, for its owner's eyes only. Whoever has both files can test a guess, so the key is best destroyed, and the
list moved away, once no source holds those rows: without the key nothing can be told from the list.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import file_hash, read_json, write_json
from luthier.core.jsonvalue import Json, canonical
from luthier.data.shapes.columns import lookup

LIST, KEY = "erased.json", ".erased.key"
_BROKEN_FIX = "restore it; rows that were erased could come back without it"


@dataclass(frozen=True)
class Erasure:
    """One request: when, by which column, the keyed hash of the value, and what was done.

    `rows` counts rows by run; `trained` are the runs whose bundles learnt from or were chosen by some; `finished` says that
    every run was rewritten to its end.
    """

    on: str
    column: str
    keyed_hash: str
    rows: Mapping[str, int]
    trained: tuple[str, ...] = ()
    finished: bool = False


@dataclass(frozen=True)
class Erased:
    """What must not come back; `known` are (column, keyed hash)."""

    known: frozenset[tuple[str, str]] = frozenset()
    key: bytes = b""

    def __contains__(self, example: AnyExample) -> bool:
        return any((column, keyed_hash(self.key, column, value)) in self.known for column, value in self._values(example))

    def _values(self, example: AnyExample) -> Iterable[tuple[str, str]]:
        for column in {column for column, _ in self.known}:
            value = value_of(example, column)
            if value is not None:
                yield column, value


@dataclass(frozen=True)
class ErasedRow:
    """What is left of a row that must not come back: where it stood."""

    source: str


def value_of(example: AnyExample, column: str) -> str | None:
    """What a row has in a column as text, `id` being its name; None where it has nothing there."""
    found = lookup(example.extra, column)
    if found is None and column == "id":
        found = example.id
    if found is None or isinstance(found, bool) or found == "":
        return None
    return found.strip() if isinstance(found, str) else canonical(found)


def keyed_hash(key: bytes, column: str, value: str) -> str:
    """HMAC-SHA256 of a value, which is nothing to whoever lacks the key."""
    text = f"{column}\x1f{value.strip()}".encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def read_erasures(runs: Path) -> list[Erasure]:
    """The list beside the runs; empty where nothing was ever erased.

    Raises:
        LuthierError: it cannot be read: then nothing is prepared, for what was erased could come back.

    """
    path = runs / LIST
    if not path.exists():
        return []
    try:
        found: Any = read_json(path)
        return [Erasure(**{**one, "trained": tuple(one["trained"])}) for one in found["erasures"]]
    except (ValueError, KeyError, TypeError) as error:
        raise LuthierError(str(path), "it is not a list of erasures", _BROKEN_FIX) from error


def erased_in(runs: Path) -> Erased:
    """What must not come back into any run in this folder.

    Raises:
        LuthierError: the list, or its key, is damaged.

    """
    found = read_erasures(runs)
    if not found:
        return Erased()
    if not (runs / KEY).is_file():
        fix = f"put {KEY} back beside it; or move the list away, once no source holds those rows any more"
        raise LuthierError(str(runs / LIST), "its key is gone, so rows that were erased cannot be known again", fix)
    return Erased(frozenset((one.column, one.keyed_hash) for one in found), read_key(runs))


def list_hash(runs: Path) -> str | None:
    """A hash of what must not come back, for fingerprints; None where nothing was erased."""
    held = [runs / LIST, runs / KEY]
    if not held[0].is_file():
        return None
    known = sorted(f"{one.column}\t{one.keyed_hash}" for one in read_erasures(runs))
    return canonical([hashlib.sha256("\n".join(known).encode()).hexdigest(), file_hash(held[1]) if held[1].is_file() else None])


def write_erasures(runs: Path, erasures: Sequence[Erasure]) -> None:
    """Write the list."""
    listed: list[Json] = [{**asdict(one), "trained": list(one.trained)} for one in erasures]
    write_json(runs / LIST, {"schema": 1, "erasures": listed})


def read_key(runs: Path) -> bytes:
    """The key of a folder of runs; made, for its owner alone, where there is none yet.

    Raises:
        LuthierError: it is damaged.

    """
    path = runs / KEY
    if not path.exists():
        runs.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise LuthierError(str(path), "it is not a key of ours", _BROKEN_FIX) from error
    if len(key) != 32:
        raise LuthierError(str(path), "it is not a key of ours", _BROKEN_FIX)
    return key


def noted(erasures: Sequence[Erasure], new: Erasure) -> list[Erasure]:
    """The list with a request in it; one that was made before is brought up to date."""
    before = next((one for one in erasures if (one.column, one.keyed_hash) == (new.column, new.keyed_hash)), None)
    if before is None:
        return [*erasures, new]
    rows = dict(before.rows)
    for run, n in new.rows.items():
        # One that was cut off finds some of the same rows again; a later one finds others.
        rows[run] = rows.get(run, 0) + n if before.finished else max(rows.get(run, 0), n)
    merged = replace(new, rows=rows, trained=tuple(sorted({*before.trained, *new.trained})))
    return [*(one for one in erasures if one is not before), merged]
