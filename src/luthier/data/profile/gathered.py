"""One pass over the files of prepared data: what is counted of every row, and the rows that are kept for a closer look."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import Chat, Labelled, from_record
from luthier.core.files import read_json, read_jsonl
from luthier.core.jsonvalue import Json
from luthier.data.kept import prepared
from luthier.data.likeness.compared import whole
from luthier.data.profile.sample import Looked, Sample
from luthier.data.sides.split import SIDES

Counts = Mapping[str, Mapping[str, int]]
N_CLUSTERS = 5
_ANSWERS = ("label", "good", "ranks", "tags", "target")
"""What tells rows with the same text apart."""


@dataclass(frozen=True)
class Gathered:
    """What the files say of all rows.

    Attributes:
        sides: side → rows; shapes: shape → rows.
        labels: label → side → rows, the most frequent label first.
        changed: step → reason → rows that it changed.
        dropped: step → reason → rows that it dropped.
        clusters: id of a row that stays → rows that were dropped for it, the largest clusters of `n_clusters`.
        n_read: rows that went in. `added`: step → rows that it made.
        n_copies: kept rows whose text and answer equal an earlier one's; those that a step made from others do not count.
        n_characters: of each kept row. `n_turns`: of each kept conversation.
        sample: the rows that are looked at closely.

    """

    sides: Mapping[str, int]
    shapes: Mapping[str, int]
    labels: Counts
    changed: Counts
    dropped: Counts
    clusters: tuple[tuple[str, int], ...]
    n_clusters: int
    n_read: int
    added: Mapping[str, int]
    n_copies: int
    n_characters: NDArray[np.int64]
    n_turns: NDArray[np.int64]
    sample: tuple[Looked, ...]

    @property
    def n_rows(self) -> int:
        """The kept rows."""
        return sum(self.sides.values())

    @property
    def is_sampled(self) -> bool:
        """Whether there are more rows than are looked at."""
        return len(self.sample) < self.n_rows


def gather(home: Path, sample: Sample) -> Gathered:
    """Read the kept and dropped rows and the account of cleaning in a run's `data` folder; memory grows by some 20 bytes a row."""
    sides: dict[str, int] = dict.fromkeys(SIDES, 0)
    shapes: Counter[str] = Counter()
    labels: dict[str, dict[str, int]] = {}
    changed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    n_characters, n_turns, digests = array("q"), array("q"), array("Q")
    for record in read_jsonl(home / prepared.KEPT):
        example, side = from_record(record), str(record["side"])
        sides[side] += 1
        shapes[example.shape] += 1
        n_characters.append(sum(map(len, example.texts())))
        label = example.label if isinstance(example, Labelled) else None
        if label is not None:
            labels.setdefault(label, dict.fromkeys(SIDES, 0))[side] += 1
        if isinstance(example, Chat):
            n_turns.append(len(example.messages))
        if example.parent is None:
            digests.append(_digest(f"{[example.fields().get(name) for name in _ANSWERS]}\0{whole(example)}"))
        for step, reason in {(str(one["step"]), str(one["reason"])) for one in _changes(record)}:
            changed[step][reason] += 1
        sample.add(example, side)
    dropped, clusters = _dropped(home)
    cleaning: Any = read_json(home / prepared.CLEANING)
    by_size = dict(sorted(labels.items(), key=lambda item: (-sum(item[1].values()), item[0])))
    n_copies = len(digests) - len(np.unique(np.asarray(digests)))
    return Gathered(
        sides, dict(shapes), by_size, {step: dict(reasons) for step, reasons in changed.items()}, dropped,
        tuple(clusters.most_common(N_CLUSTERS)), len(clusters), int(cleaning["read"]), cleaning["added"], n_copies,
        np.asarray(n_characters), np.asarray(n_turns), sample.rows(),
    )  # fmt: skip


def _changes(record: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
    found = record.get("changed", ())
    assert isinstance(found, Sequence), "kept rows list their changes"
    return found  # type: ignore[return-value]


def _dropped(home: Path) -> tuple[Counts, Counter[str]]:
    """Step → reason → rows, and the rows that were dropped for one that stays."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    clusters: Counter[str] = Counter()
    for record in read_jsonl(home / prepared.DROPPED):
        counts[str(record["step"])][str(record["reason"])] += 1
        if record.get("kept_id") is not None:
            clusters[str(record["kept_id"])] += 1
    return {step: dict(reasons) for step, reasons in counts.items()}, clusters


def _digest(text: str) -> int:
    """64 bits, by which two different rows of a million are taken for copies once in some 37 million such sets."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
