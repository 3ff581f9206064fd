"""Runs of words that texts share: an index of the word n-grams of given rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.likeness.compared import normalised

# Scripts written without spaces: there, each character counts as a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
COMMON = 10
"""A run of words that more rows than this have is a common phrase, and says nothing about where a text is from."""


def words(text: str) -> list[str]:
    """The words of a text without case, width and punctuation."""
    return _WORD.findall(normalised(text))


@dataclass(frozen=True, eq=False)
class _Runs:
    """The runs of one length: their hashes in order, where in the indexed words each begins, and whose it is."""

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    owners: NDArray[np.int64]


class WordRuns:
    """Which row shares a run of words with a text.

    Each row is given as its stretches of words; every run of `n` words within one is indexed. `short` rows are looked
    for as a whole: a row's short text, of `n_least` words or more but fewer than `n`, is one run. Runs that more than
    `COMMON` rows have are left out.
    """

    def __init__(self, rows: Sequence[Sequence[Sequence[str]]], short: Sequence[Sequence[str]], n: int, n_least: int) -> None:
        self._numbers: dict[str, int] = {}
        flat: list[int] = []
        found: dict[int, tuple[list[int], list[int]]] = {}
        for owner, (stretches, text) in enumerate(zip(rows, short, strict=True)):
            pieces = [(n, one) for one in stretches if len(one) >= n]
            for size, stretch in [*pieces, (len(text), text)] if n_least <= len(text) < n else pieces:
                starts, owners = found.setdefault(size, ([], []))
                n_runs = len(stretch) - size + 1
                starts.extend(range(len(flat), len(flat) + n_runs))
                owners.extend([owner] * n_runs)
                flat.extend(self._numbers.setdefault(word, len(self._numbers)) for word in stretch)
        self._flat = np.array(flat, dtype=np.int32)
        self._names = list(self._numbers)
        self._runs = {size: self._sorted(size, *map(np.array, both)) for size, both in sorted(found.items(), reverse=True)}

    def meets(self, stretch: Sequence[str]) -> tuple[int, str] | None:
        """The row that shares the first shared run with this stretch of words, and the run; longer runs are looked for first."""
        numbers = np.array([self._numbers.get(word, -1) for word in stretch], dtype=np.int64)
        for size, runs in self._runs.items():
            if len(numbers) < size:
                continue
            hashes = _run_hashes(numbers, size)
            n_unknown = np.concatenate([[0], np.cumsum(numbers < 0)])
            known = np.flatnonzero(n_unknown[size:] == n_unknown[:-size])
            low = np.searchsorted(runs.hashes, hashes[known])
            high = np.searchsorted(runs.hashes, hashes[known], side="right")
            for at in np.flatnonzero(low < high).tolist():
                run = numbers[known[at] : known[at] + size]
                for i in range(int(low[at]), int(high[at])):
                    start = int(runs.starts[i])
                    if np.array_equal(self._flat[start : start + size], run):
                        return int(runs.owners[i]), " ".join(self._names[number] for number in run.tolist())
        return None

    def _sorted(self, size: int, starts: NDArray[np.int64], owners: NDArray[np.int64]) -> _Runs:
        hashes = np.concatenate(list(self._hashed(size, starts)))
        order = np.lexsort((starts, hashes))
        hashes, starts, owners = hashes[order], starts[order], owners[order]
        # Owners rise with their words' places, so a row's equal runs are neighbours.
        group = np.cumsum(np.concatenate([[True], hashes[1:] != hashes[:-1]])) - 1
        first = np.concatenate([[True], (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])])
        rare = np.bincount(group[first])[group] <= COMMON
        return _Runs(hashes[rare], starts[rare], owners[rare])

    def _hashed(self, size: int, starts: NDArray[np.int64]) -> Iterator[NDArray[np.uint64]]:
        """The hashes of the runs that begin at `starts`, some at a time."""
        for low in range(0, len(starts), 1 << 16):
            part = starts[low : low + (1 << 16)]
            values = np.zeros(len(part), dtype=np.uint64)
            for i in range(size):
                values = values * _FACTOR + _mixed(self._flat[part + i])
            yield values


def _run_hashes(numbers: NDArray[np.int64], size: int) -> NDArray[np.uint64]:
    """A hash of each run of `size` numbers."""
    mixed = _mixed(numbers)
    n = len(numbers) - size + 1
    values = np.zeros(n, dtype=np.uint64)
    for i in range(size):
        values = values * _FACTOR + mixed[i : i + n]
    return values


def _mixed(numbers: NDArray[np.int32] | NDArray[np.int64]) -> NDArray[np.uint64]:
    values = (numbers.astype(np.uint64) + np.uint64(1)) * _MIX
    return values ^ (values >> np.uint64(31))
