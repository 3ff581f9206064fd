"""Texts held so that those alike a given one are found at once: the exact join, one text at a time.

Two sets of character 5-grams whose Jaccard similarity reaches t share one of the first |x| - ceil(t |x|) + 1 grams of
each, in any order that is the same for all sets (Chaudhuri, Ganti and Kaushik, 2006). So it is enough to note those
first grams, with the rare ones first, and to compare the few texts that share one. Grams are noted as half of a 64-bit
hash, texts are compared by their grams themselves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample
from luthier.data.likeness.neighbours import N_CHARACTERS, grams
from luthier.data.likeness.said import VIEWS

_SLACK = 1e-9
_SAMPLED = 2000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_UPPER, _LOWER = np.uint64(0xFFFFFFFF00000000), np.uint64(0xFFFFFFFF)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class NearIndex:
    """Texts, and which of them a given text is alike: Jaccard similarity of character 5-grams at or over `threshold`.

    It holds the texts, and 8 bytes for about (1 - threshold) of the grams of each.
    """

    def __init__(self, texts: Sequence[str], threshold: float) -> None:
        self._texts, self._threshold = texts, threshold
        self._first: dict[str, int] = {}
        for i, text in enumerate(texts):
            self._first.setdefault(text, i)
        chosen = list(self._first.values())
        counted: Counter[int] = Counter()
        for i in chosen[:: max(1, len(chosen) // _SAMPLED)]:
            counted.update(_hashes(texts[i]).tolist())
        common = sorted((gram, n) for gram, n in counted.items() if n > 1)
        self._common = np.array([gram for gram, _ in common], dtype=np.uint64)
        self._n_with = np.array([n for _, n in common], dtype=np.int64)
        self._sizes = np.zeros(len(texts), dtype=np.int64)
        starts: list[NDArray[np.uint64]] = []
        for i in chosen:
            prefix, self._sizes[i] = self._prefix(texts[i])
            starts.append((prefix & _UPPER) | np.uint64(i))
        # A gram's half of a hash, and behind it the number of the text: in order, so that a gram's texts are neighbours.
        self._notes = np.concatenate(starts) if starts else np.zeros(0, dtype=np.uint64)
        self._notes.sort()

    def first(self, text: str, accept: Callable[[int], bool] = lambda i: True) -> tuple[int, float] | None:
        """The first text alike `text`, with the similarity, of those that `accept` lets pass by their place; None if there is none."""
        return next(((i, value) for i, value in self.alike(text) if accept(i)), None)

    def alike(self, text: str) -> Iterator[tuple[int, float]]:
        """Every distinct text alike `text`, by the place where it stands first, in order, with the similarity."""
        prefix, size = self._prefix(text)
        low, high = np.searchsorted(self._notes, prefix & _UPPER), np.searchsorted(self._notes, prefix | _LOWER, side="right")
        ranges = [self._notes[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True) if a < b]
        if not ranges:
            return
        found = np.unique(np.concatenate(ranges) & _LOWER).astype(np.int64)
        sizes = self._sizes[found]
        fits = (sizes >= self._threshold * size - _SLACK) & (size >= self._threshold * sizes - _SLACK)
        mine = grams(text)
        for i in found[fits].tolist():
            other = grams(self._texts[i])
            n_both = len(mine & other)
            n_either = len(mine) + len(other) - n_both
            if n_both >= self._threshold * n_either - _SLACK:
                yield i, n_both / n_either

    def _prefix(self, text: str) -> tuple[NDArray[np.uint64], int]:
        """The text's rarest grams, as many as any text alike it must share one of, and how many it has in all."""
        hashes = _hashes(text)
        n_prefix = len(hashes) - math.ceil(self._threshold * len(hashes) - _SLACK) + 1
        if not len(self._common):
            return hashes[:n_prefix], len(hashes)
        place = np.minimum(np.searchsorted(self._common, hashes), len(self._common) - 1)
        n_with = np.where(self._common[place] == hashes, self._n_with[place], 0)
        # The hashes are in order, so a stable sort breaks ties in the same way for every text.
        return hashes[np.argsort(n_with, kind="stable")[:n_prefix]], len(hashes)


@dataclass(frozen=True)
class Met:
    """A row that another one is alike: its place, in what they are alike (`asked` or `whole`), and how much."""

    place: int
    view: str
    similarity: float


class NearRows:
    """Rows, and which of them a given row asks or says the same as: the rule of the certificate."""

    def __init__(self, rows: Sequence[AnyExample], threshold: float) -> None:
        self._indexes: dict[str, NearIndex] = {}
        said: dict[str, list[str]] = {view: [read(row) for row in rows] for view, read in VIEWS.items()}
        for view, texts in said.items():
            same = next((index for other, index in self._indexes.items() if said[other] == texts), None)
            self._indexes[view] = same or NearIndex(texts, threshold)

    def meets(self, row: AnyExample) -> Met | None:
        """The first row that this one is alike; None if there is none. A text that is empty is alike no other."""
        tried: set[tuple[int, str]] = set()
        for view, read in VIEWS.items():
            text, index = read(row), self._indexes[view]
            if not text or (id(index), text) in tried:
                continue
            tried.add((id(index), text))
            found = index.first(text)
            if found is not None:
                return Met(found[0], view, found[1])
        return None


def _hashes(text: str) -> NDArray[np.uint64]:
    """The distinct 64-bit hashes of a text's 5-grams, in order."""
    padded = text.ljust(N_CHARACTERS, "\0").encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(padded, dtype="<u4").astype(np.uint64)
    n = len(codes) - N_CHARACTERS + 1
    values = np.zeros(n, dtype=np.uint64)
    for i in range(N_CHARACTERS):
        values = values * _FACTOR + codes[i : i + n]
    values = (values ^ (values >> np.uint64(29))) * _MIX
    found: NDArray[np.uint64] = np.unique(values)
    return found
