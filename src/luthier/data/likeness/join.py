"""The exact join of many texts: every pair with a Jaccard similarity of character 5-grams at or over a threshold.

It needs some 200 bytes of memory a text, whatever the texts' lengths, and time that grows with the number of texts as
long as texts that are not alike have few grams in common. It knows nothing of MinHash bands.

How: the grams of a text are parted by hash into k parts, k the same for all texts of a size class. Texts x and y of
similarity t differ in at most d = (1 - t) / (1 + t) (|x| + |y|) grams, hence in at most d parts. So of the k_x parts of x
that are not empty all but d are parts of y as well, gram for gram; and if the parts of every text are put in one order,
x and y share one of the first d + 1 of each (the prefix filter of Chaudhuri, Ganti and Kaushik, 2006, over the parts of
Arasu, Ganti and Kaushik, 2006). The order puts first what few texts are expected to have. A part stands for several
grams at once, which is why texts that are not alike hardly ever share one of those. For short texts, and for low
thresholds, each gram is a part of its own, and it is the prefix filter as it was published. A candidate is refused by a
sketch that refuses none wrongly, and accepted by counting grams (`alike.py`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from luthier.data.likeness.alike import Found, Judge, Label, Places, Sketched, n_words
from luthier.data.likeness.grams import GramSets, blocks, gram_sets, mixed

_SHORT = 64
"""Grams up to which a text's grams are parts of their own."""
_MOST_TO_A_PART = 8.0
_SPARE = 1.25
"""How many more parts than could differ a text is to have, so that chance leaves none with too few."""
_SAMPLED = 10_000
_CHARACTERS_SAMPLED = 20_000_000
_TRIED = 1500
"""Texts by which schemes are compared."""
_KNOWN_BITS = 21
_RANKS = 4095
_SPILL = 1 << 20
"""Keys that are held in memory before they go to a file."""
_BUCKET = 1 << 21
"""Keys that are sorted at once."""
_LONGEST = 1 << 31
_MOST_FILES = 256
_NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)


def join(
    texts: Sequence[str],
    threshold: float,
    found: Found,
    label: Label | None = None,
    folder: Path | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> None:
    """Tell `found` of every pair (i, j), i < j, of texts that are alike, each once.

    Args:
        texts: what is compared; read once over, and here and there.
        threshold: the least similarity, from 0.5 to 1.
        found: is given arrays of i and of j.
        label: texts with equal labels are not compared; None if all are. It may go by what was found before.
        folder: where keys are kept that memory is too small for; the system's folder of temporary files if it is None.
        advance: told of so many texts more, each of which counts half when it is read and half when its keys are compared; it
            raises where somebody has asked to stop.

    """
    if len(texts) < 2:
        return
    n_told = 0

    def tell(share: float) -> None:
        nonlocal n_told
        n_done = round(share * len(texts))
        advance(n_done - n_told)
        n_told = n_done

    sample = _sample(texts)
    n_bytes = sum(map(len, sample)) * len(texts) // len(sample)
    scheme = _quickest(sample, threshold, len(texts))
    loose: list[Places] = []
    with KeysOnDisk(n_bytes // 3, folder) as keys:

        def note(start: int, sets: GramSets) -> None:
            tell(0.5 * (start + len(sets.n_grams)) / len(texts))
            for one in scheme.keys(sets):
                keys.add(one.keys, (one.rows + start).astype(np.int32))
                loose.append(one.loose + start)

        judge = Judge(texts, Sketched.of(texts, n_words(len(texts), n_bytes), note), threshold, found, label)
        for done, bucket in enumerate(keys.buckets()):
            tell(0.5 + 0.5 * done / keys.n_buckets)
            judge.see_runs(*bucket)
    for i in np.unique(np.concatenate(loose)).tolist():
        advance(0)
        judge.see(np.full(len(texts), i), np.arange(len(texts)))
    tell(1.0)


def _sample(texts: Sequence[str]) -> list[str]:
    """Some of the texts, evenly spread; all of few."""
    found: list[str] = []
    n_characters = 0
    for i in range(0, len(texts), max(1, len(texts) // _SAMPLED)):
        found.append(texts[i])
        n_characters += len(found[-1])
        if n_characters > _CHARACTERS_SAMPLED:
            break
    return found


def _rarity(sample: Sequence[str]) -> NDArray[np.int64]:
    """How rare a gram is, in 16ths of a bit, by the last bits of its number; from a sample, for it only decides what is quick."""
    n_with = np.zeros(1 << min(_KNOWN_BITS, 2 + sum(map(len, sample)).bit_length()), dtype=np.int64)
    for _, block in blocks(sample):
        n_with += np.bincount(_known(gram_sets(block).numbers, len(n_with)), minlength=len(n_with))
    return np.maximum(1, np.round(16 * np.log2((len(sample) + 1) / (n_with + 0.5)))).astype(np.int64)


def _quickest(sample: Sequence[str], threshold: float, n_texts: int) -> Scheme:
    """The scheme that promises the least work, from how often keys of few texts meet.

    Large parts are met least often where texts have nothing to do with one another. Texts with much in common, such as a long
    instruction, share many of them; then it is better if the few grams that a text has to itself fill parts alone.
    """
    rarity, most = _rarity(sample), filling_of(threshold)
    schemes = [Scheme(threshold, rarity, filling) for filling in (most, most / 2, 0.0) if filling == 0 or filling >= 1]
    if n_texts <= _TRIED or len(schemes) == 1:
        return schemes[0]
    return min(schemes, key=lambda scheme: _cost(scheme, sample[:: max(1, len(sample) // _TRIED)], n_texts))


def _cost(scheme: Scheme, tried: Sequence[str], n_texts: int) -> float:
    """Work in units of a key that is sorted; a pair that is looked at costs about as much."""
    found = [one.keys for _, block in blocks(tried) for one in scheme.keys(gram_sets(block))]
    _, n_with = np.unique(np.concatenate(found), return_counts=True)
    times = n_texts / len(tried)
    return float(n_with.sum() * times + (n_with * (n_with - 1) / 2).sum() * times**2)


def _known(numbers: NDArray[np.uint64], n_known: int) -> NDArray[np.int64]:
    return (numbers & np.uint64(n_known - 1)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Keyed:
    """Keys of some texts, with the text that each is of, and the texts whose keys don't suffice: they meet all others."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.int64]
    loose: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scheme:
    """How texts are parted: texts that are alike have a key in common, or one of them is loose.

    `filling` is how many grams a part has on average, at most `filling_of(threshold)`; below 1 each gram is a part of its own.
    Size classes end at `_SHORT` grams and its doubles. A text belongs to its own class, and to the one below if a text of
    that one could be alike it, so that every pair meets in the class of its smaller text.
    """

    threshold: float
    rarity: NDArray[np.int64]
    filling: float
    classes: tuple[tuple[int, int, int], ...] = field(init=False)
    """(more grams than, up to, parts) of each class; no parts where grams are parts."""

    def __post_init__(self) -> None:
        found: list[tuple[int, int, int]] = []
        low, high = 0, _SHORT if self.filling >= 1 else _LONGEST
        while low < _LONGEST:
            largest = int(high / self.threshold) + 1
            found.append((low, largest, 0 if low == 0 else int(np.ceil(largest / self.filling))))
            low, high = high, 2 * high
        object.__setattr__(self, "classes", tuple(found))

    def keys(self, sets: GramSets) -> Iterator[Keyed]:
        """The keys of a block of texts, class by class; rows are numbered within the block."""
        for number, (low, high, n_parts) in enumerate(self.classes):
            rows = np.flatnonzero((sets.n_grams > low) & (sets.n_grams <= high))
            if not len(rows):
                continue
            place = np.full(len(sets.n_grams), -1, dtype=np.int64)
            place[rows] = np.arange(len(rows))
            local = place[sets.rows]
            inside = local >= 0
            some = GramSets(sets.numbers[inside], local[inside], sets.n_grams[rows])
            keys, owners, loose = self._parts(some, n_parts, number) if n_parts else self._grams(some)
            yield Keyed(keys, rows[owners], rows[loose])

    def _rarity_of(self, sets: GramSets) -> NDArray[np.int64]:
        return self.rarity[_known(sets.numbers, len(self.rarity))]

    def _grams(self, sets: GramSets) -> tuple[NDArray[np.uint64], Places, Places]:
        """Each text's rarest grams, as many as any text alike it must have one of."""
        n = sets.n_grams
        n_first = n - np.ceil(self.threshold * n - 1e-6).astype(np.int64) + 1
        keys = _ranked(self._rarity_of(sets), sets.numbers)
        order = np.lexsort((keys, sets.rows))
        position = np.arange(len(keys)) - np.repeat(np.cumsum(n) - n, n)
        first = order[position < np.repeat(n_first, n)]
        return keys[first], sets.rows[first], np.zeros(0, dtype=np.int64)

    def _parts(self, sets: GramSets, n_parts: int, number: int) -> tuple[NDArray[np.uint64], Places, Places]:
        """Each text's rarest parts, one more than a text alike it could differ in."""
        n_rows = len(sets.n_grams)
        # The upper bits choose the part, the lower ones tell what is rare; the sums are of numbers that are mixed once more.
        part = ((sets.numbers >> np.uint64(32)) * np.uint64(n_parts)) >> np.uint64(32)
        flat = sets.rows * n_parts + part.astype(np.int64)
        rarity = np.bincount(flat, weights=self._rarity_of(sets), minlength=n_rows * n_parts).astype(np.int64)
        sums = np.zeros(n_rows * n_parts, dtype=np.uint64)
        np.add.at(sums, flat, mixed(sets.numbers))
        filled = (rarity > 0).reshape(n_rows, n_parts)
        keys = np.where(filled, _ranked(rarity, mixed(sums + np.uint64(number))).reshape(n_rows, n_parts), _NOTHING)
        keys.sort(axis=1)
        n_filled = filled.sum(axis=1)
        n_first = np.floor((1 - self.threshold) / self.threshold * sets.n_grams + 1e-6).astype(np.int64) + 1
        taken = np.arange(n_parts) < np.minimum(n_first, n_filled)[:, None]
        return keys[taken], np.nonzero(taken)[0], np.flatnonzero(n_filled < n_first)


def filling_of(threshold: float) -> float:
    """How many grams a part may have on average, so that a text has more parts than one alike it could differ in.

    Of k parts about k (1 - exp(-f)) are not empty if f = n / k grams fall on each; they must be more than (1 - t) / t n.
    """
    low, high = 0.0, _MOST_TO_A_PART
    for _ in range(50):
        middle = (low + high) / 2
        if (1 - np.exp(-middle)) / middle >= _SPARE * (1 - threshold) / threshold:
            low = middle
        else:
            high = middle
    return low


def _ranked(rarity: NDArray[np.int64], numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keys whose order puts the rare first; equal where rarity and number are."""
    rank = (_RANKS - np.minimum(_RANKS, rarity)).astype(np.uint64)
    return (rank << np.uint64(52)) | (numbers >> np.uint64(12))


class KeysOnDisk:
    """Keys with the rows that have them, in buckets by key; what is too much for memory is in files without names."""

    def __init__(self, n_expected: int, folder: Path | None) -> None:
        self.n_buckets = min(_MOST_FILES, 1 << int(np.ceil(np.log2(max(1, n_expected / _BUCKET)))))
        self._folder = folder
        self._files: list[IO[bytes]] = []
        self._held: list[tuple[NDArray[np.uint64], NDArray[np.int32]]] = []
        self._n_held = 0

    def __enter__(self) -> KeysOnDisk:
        return self

    def __exit__(self, *of_error: object) -> None:
        for file in self._files:
            file.close()

    def add(self, keys: NDArray[np.uint64], rows: NDArray[np.int32]) -> None:
        """Take these as well."""
        self._held.append((keys, rows))
        self._n_held += len(keys)
        if self._n_held > _SPILL:
            self._spill()

    def buckets(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int32]]]:
        """All keys and rows, those of one key in one bucket."""
        if not self._files:
            if self._held:
                yield np.concatenate([keys for keys, _ in self._held]), np.concatenate([rows for _, rows in self._held])
            return
        if self._held:
            self._spill()
        for file in self._files:
            file.seek(0)
            found = np.frombuffer(file.read(), dtype=_PAIR)
            yield found["key"], found["row"]

    def _spill(self) -> None:
        if not self._files:
            self._files = [tempfile.TemporaryFile(dir=self._folder) for _ in range(self.n_buckets)]  # noqa: SIM115
        held = np.empty(self._n_held, dtype=_PAIR)
        held["key"] = np.concatenate([keys for keys, _ in self._held])
        held["row"] = np.concatenate([rows for _, rows in self._held])
        bucket = (held["key"] & np.uint64(self.n_buckets - 1)).astype(np.int64)
        held = held[np.argsort(bucket, kind="stable")]
        ends = np.cumsum(np.bincount(bucket, minlength=self.n_buckets))
        for file, part in zip(self._files, np.split(held, ends[:-1]), strict=True):
            file.write(part.tobytes())
        self._held, self._n_held = [], 0


_PAIR = np.dtype([("key", "<u8"), ("row", "<i4")])
