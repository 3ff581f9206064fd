"""Versions of a run's prepared data: what each holds by hash, what it came from, and what changed between two.

`data/versions.json`                 every version of this run's data, the newest last
`data/former-HASH.jsonl.gz`          the newest one's parent row by row: ids, sides, labels and hashes, no texts
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from luthier.core.examples import AnyExample, Labelled, to_record
from luthier.core.files import DamagedFileError, read_json, read_jsonl, write_json, write_jsonl
from luthier.core.jsonvalue import Json, canonical
from luthier.data.kept import prepared
from luthier.data.likeness.compared import asked
from luthier.data.sides.split import SIDES, Side

VERSIONS = "versions.json"
_FORMER = "former-{}.jsonl.gz"
_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a version: its id, side and label, a hash of what it asks and one of all that it holds."""

    id: str
    side: str
    label: str | None
    asked: str
    content: str


@dataclass(frozen=True)
class Diff:
    """What it takes to make one version of another.

    `changed` are pairs (before, after) of the same row: of equal id, or, where rows are named by their content, of equal
    text. `relabelled` are those of them whose label moved, `moved` those whose side did: by the law of the split, none.
    """

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]

    @property
    def relabelled(self) -> tuple[tuple[Entry, Entry], ...]:
        """The changed rows whose label is another."""
        return tuple(pair for pair in self.changed if pair[0].label != pair[1].label)

    @property
    def moved(self) -> tuple[tuple[Entry, Entry], ...]:
        """The changed rows that stand on another side."""
        return tuple(pair for pair in self.changed if pair[0].side != pair[1].side)

    def counts(self) -> dict[str, Json]:
        """How many there are of each kind, and which labels became which."""
        labels = Counter(f"{old.label} → {new.label}" for old, new in self.relabelled)
        return {
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed),
            "labels_moved": len(self.relabelled),
            "sides_moved": len(self.moved),
            "labels": dict(labels.most_common()),
        }


@dataclass(frozen=True)
class Parent:
    """What a version came from: `run` is None for this run's own version before, else the run whose sides were taken over."""

    sha256: str
    run: str | None = None


def entry_of(example: AnyExample, side: str) -> Entry:
    """The row as a version knows it."""
    record = to_record(example)
    del record["source"]
    label = example.label if isinstance(example, Labelled) else None
    return Entry(example.id, side, label, _hash(asked(example)), _hash(canonical(record)))


class Rows(Protocol):
    """The rows of a version, which can be gone through more than once: they need not fit into memory."""

    def __iter__(self) -> Iterator[Entry]:
        """Each row."""


@dataclass(frozen=True)
class Lying:
    """The rows of a run's `data` folder as they lie there now."""

    home: Path

    def __iter__(self) -> Iterator[Entry]:
        return (entry_of(example, side) for example, side in prepared.read_rows(self.home))


@dataclass(frozen=True)
class Former:
    """The rows of a former version, read from its file."""

    path: Path

    def __iter__(self) -> Iterator[Entry]:
        return (Entry(**row) for row in read_jsonl(self.path))  # type: ignore[arg-type]


def version_hash(rows: Iterable[Entry]) -> str:
    """SHA-256 of all rows with their ids and sides, whatever their order and wherever they came from."""
    return hashlib.sha256(b"".join(sorted(map(_mark, rows)))).hexdigest()


def diff(before: Rows, after: Rows) -> Diff:
    """What changed from one version to another; of rows that did not, only short hashes are held."""
    here, there = set(map(_mark, after)), set(map(_mark, before))
    old = {row.id: row for row in before if _mark(row) not in here}
    new: list[Entry] = []
    changed: list[tuple[Entry, Entry]] = []
    for row in after:
        if _mark(row) in there:
            continue
        was = old.pop(row.id, None)
        if was is None:
            new.append(row)
        else:
            changed.append((was, row))
    # Where there is no id column, a row with another label has another name: it is known by what it asks.
    by_text: defaultdict[str, list[Entry]] = defaultdict(list)
    for was in sorted(old.values(), key=lambda row: row.id, reverse=True):
        by_text[was.asked].append(was)
    added: list[Entry] = []
    for row in sorted(new, key=lambda row: row.id):
        if by_text[row.asked]:
            was = by_text[row.asked].pop()
            del old[was.id]
            changed.append((was, row))
        else:
            added.append(row)
    by_id = sorted(changed, key=lambda pair: pair[1].id)
    return Diff(tuple(added), tuple(sorted(old.values(), key=lambda row: row.id)), tuple(by_id))


def _mark(row: Entry) -> bytes:
    """Sixteen bytes that stand for a row with its name, its side and all that it holds."""
    text = f"{row.id}\t{row.side}\t{row.content}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def sides_by_text(before: Iterable[Entry], present: Iterable[str]) -> dict[str, Side]:
    """What a row asks, by hash → the side it stood on, of rows that are gone; left out where it stood on several."""
    here = set(present)
    sides: defaultdict[str, set[Side]] = defaultdict(set)
    for row in before:
        if row.id not in here:
            sides[row.asked].add(row.side)  # type: ignore[arg-type]
    return {text: next(iter(on)) for text, on in sides.items() if len(on) == 1}


def asked_hash(example: AnyExample) -> str:
    """The hash of what a row asks, as versions know it."""
    return _hash(asked(example))


def history(home: Path) -> list[Mapping[str, Json]]:
    """Every version that is recorded, the newest last; none where the data were prepared before versions were kept."""
    path = home / VERSIONS
    if not path.is_file():
        return []
    found = read_json(path)
    listed = found.get("versions") if isinstance(found, Mapping) else None
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, Sequence) else []


def remember(home: Path) -> None:
    """Keep the rows that lie here, for they are about to be written over; a file that cannot be read is not kept."""
    if not (home / prepared.KEPT).is_file():
        return
    with contextlib.suppress(DamagedFileError, KeyError):
        sha256, counts = _summed(Lying(home))
        write_jsonl(home / _FORMER.format(sha256[:_LETTERS]), (asdict(row) for row in Lying(home)))
        if not history(home):
            write_versions(home, [_version(1, sha256, None, counts, None)])


def record(home: Path, origin: Parent | None = None) -> None:
    """Note what lies in `home` now as a version, unless it is the newest one already.

    Args:
        home: the run's `data` folder.
        origin: what the first version came from, if it came from another run.

    """
    (sha256, counts), known = _summed(Lying(home)), history(home)
    if known and known[-1]["sha256"] == sha256:
        _tidy(home, known)
        return
    parent = Parent(str(known[-1]["sha256"])) if known else origin
    before = former(home, parent.sha256) if parent is not None and parent.run is None else None
    made = _version(len(known) + 1, sha256, parent, counts, None if before is None else diff(before, Lying(home)))
    write_versions(home, [*known, made])
    _tidy(home, [*known, made])


def _summed(rows: Rows) -> tuple[str, dict[str, int]]:
    """(the version's hash, rows by side), in one pass."""
    counts = dict.fromkeys(SIDES, 0)

    def counted() -> Iterator[Entry]:
        for row in rows:
            counts[row.side] += 1  # type: ignore[index]
            yield row

    sha256 = version_hash(counted())
    return sha256, {str(side): n for side, n in counts.items()}


def _version(number: int, sha256: str, parent: Parent | None, counts: Mapping[str, int], change: Diff | None) -> dict[str, Json]:
    return {
        "number": number,
        "sha256": sha256,
        "parent": None if parent is None else asdict(parent),
        "rows": dict(counts),
        "diff": None if change is None else change.counts(),
    }


def write_versions(home: Path, versions: Sequence[Mapping[str, Json]]) -> None:
    """Write the list of versions."""
    write_json(home / VERSIONS, {"schema": 1, "versions": list(versions)})


def former(home: Path, sha256: str) -> Former | None:
    """A former version row by row; None where it is not kept any more."""
    path = home / _FORMER.format(sha256[:_LETTERS])
    return Former(path) if path.is_file() else None


def formers(home: Path) -> list[Path]:
    """The files of former versions."""
    return sorted(home.glob(_FORMER.format("*")))


def _tidy(home: Path, known: Sequence[Mapping[str, Json]]) -> None:
    """Remove former versions but for the newest one's parent."""
    parent = known[-1]["parent"]
    needed = _FORMER.format(str(parent["sha256"])[:_LETTERS]) if isinstance(parent, Mapping) else ""
    for path in formers(home):
        if path.name != needed:
            path.unlink()


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
