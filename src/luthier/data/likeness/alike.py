"""Pairs of texts that may be alike, judged: cheaply by sketches that refuse none wrongly, and then by the texts themselves.

A sketch of b bits has bit k set if an odd number of a text's grams fall on k. Two sketches differ in no more bits than the
texts have grams that are in one of them only, and these are at most (1 - t) / (1 + t) (|x| + |y|) if the similarity is t.
Source: Sandes, Teodoro and Melo, 2020 (bitmap filter for exact set similarity joins).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from luthier.data.likeness.grams import GramSets, blocks, gram_sets
from luthier.data.likeness.neighbours import SLACK, compared_pairs

Places: TypeAlias = NDArray[np.int64]
Label: TypeAlias = Callable[[Places], NDArray[Any]]
Found: TypeAlias = Callable[[Places, Places], None]

_SKETCH_BYTES = 160_000_000
"""How much memory the sketches of all texts may take."""
_FIRST_WORDS = 8
"""Words of a sketch that are looked at first, a cache line of them: two texts that are unlike mostly differ enough in these alone."""
_AT_ONCE = 1 << 18
_ROUNDING = 1e-6
_SMALL_RUN = 48
_CHARACTERS_AT_ONCE = 3_000_000


def n_words(n_texts: int, n_bytes: int) -> int:
    """How many 64-bit words a sketch has: about a bit for each gram of a text, as far as memory goes."""
    wanted = round(math.log2(max(4.0, n_bytes / max(1, n_texts) / 64)))
    fits = int(math.log2(max(1.0, _SKETCH_BYTES / max(1, n_texts) / 8)))
    return 1 << min(wanted, fits, 10)


def sketches(sets: GramSets, n_texts: int, words: int) -> NDArray[np.uint64]:
    """The sketches of a block of texts: (texts, words)."""
    n_bits = words * 64
    places = sets.rows * n_bits + (sets.numbers & np.uint64(n_bits - 1)).astype(np.int64)
    odd = (np.bincount(places, minlength=n_texts * n_bits) & 1).astype(np.uint8)
    return np.packbits(odd).view(np.uint64).reshape(n_texts, words)


@dataclass(frozen=True, eq=False)
class Sketched:
    """What is held of each text: how many distinct grams it has, and its sketch."""

    n_grams: NDArray[np.int32]
    bits: NDArray[np.uint64]

    @classmethod
    def of(cls, texts: Sequence[str], words: int, look: Callable[[int, GramSets], None] = lambda start, sets: None) -> Sketched:
        """Sketch all texts; `look` is shown the grams of each block, and the number of its first text."""
        n_grams = np.zeros(len(texts), dtype=np.int32)
        bits = np.zeros((len(texts), words), dtype=np.uint64)
        for start, block in blocks(texts):
            sets = gram_sets(block)
            n_grams[start : start + len(block)] = sets.n_grams
            bits[start : start + len(block)] = sketches(sets, len(block), words)
            look(start, sets)
        return cls(n_grams, bits)

    def sizes_fit(self, a: Places, b: Places, threshold: float) -> NDArray[np.bool_]:
        """Which of the pairs have sizes that let them reach the threshold."""
        n_a, n_b = self.n_grams[a], self.n_grams[b]
        fits: NDArray[np.bool_] = np.minimum(n_a, n_b) >= threshold * np.maximum(n_a, n_b) - SLACK
        return fits

    def sketches_fit(self, a: Places, b: Places, threshold: float) -> NDArray[np.bool_]:
        """Which of the pairs have sketches that let them reach the threshold."""
        most = _most_apart(self.n_grams[a].astype(np.int64) + self.n_grams[b], threshold)
        apart = np.bitwise_count(self.bits[:, :_FIRST_WORDS][a] ^ self.bits[:, :_FIRST_WORDS][b]).sum(axis=1, dtype=np.int64)
        left = np.flatnonzero(apart <= most)
        rest = self.bits[:, _FIRST_WORDS:]
        apart[left] += np.bitwise_count(rest[a[left]] ^ rest[b[left]]).sum(axis=1, dtype=np.int64)
        fits: NDArray[np.bool_] = apart <= most
        return fits

    def pairs_within(self, runs: Places, threshold: float) -> tuple[Places, Places]:
        """The pairs of two texts of the same run, of runs (runs, texts), that the first words of the sketches leave in doubt.

        Each sketch is fetched from memory once a run and not once a pair, which is where the time of most pairs goes.
        """
        first, second = np.triu_indices(runs.shape[1], 1)
        words, largest = self._first_words(runs), self.n_grams[runs].max(axis=1)
        apart = np.zeros((len(runs), len(first)), dtype=np.uint16)
        for word in words:
            apart += np.bitwise_count(word[:, first] ^ word[:, second])
        run, pair = np.nonzero(apart <= _most_apart(2 * largest, threshold)[:, None])
        return runs[run, first[pair]], runs[run, second[pair]]

    def pairs_behind(self, run: Places, n_first: int, threshold: float) -> tuple[Places, Places]:
        """The pairs of one of the first texts of a run and one behind it that the first words of the sketches leave in doubt."""
        words = self._first_words(run)
        apart = np.zeros((n_first, len(run)), dtype=np.uint16)
        for word in words:
            apart += np.bitwise_count(word[:n_first, None] ^ word)
        first, second = np.nonzero(np.triu(apart <= _most_apart(2 * self.n_grams[run].max(), threshold), 1))
        return run[first], run[second]

    def _first_words(self, places: Places) -> NDArray[np.uint64]:
        """The first words of sketches: (words, *places)."""
        return np.ascontiguousarray(np.moveaxis(self.bits[:, :_FIRST_WORDS][places], -1, 0))

    def near(self, i: int, others: Places, threshold: float) -> Places:
        """Those of the others that may be alike text i."""
        a = np.full(len(others), i, dtype=np.int64)
        return others[self.sizes_fit(a, others, threshold) & self.sketches_fit(a, others, threshold)]


def _most_apart(together: NDArray[Any], threshold: float) -> Places:
    """How many grams may be in one of two texts only that have so many together, if they are to reach the threshold."""
    most: Places = np.floor((1 - threshold) / (1 + threshold) * together + _ROUNDING).astype(np.int64)
    return most


@dataclass
class Judge:
    """Finds out which of the pairs that it is shown are alike, each once.

    Args:
        texts: all texts; they are read only where the sketches leave a doubt.
        sketched: their sketches.
        threshold: the Jaccard similarity of 5-grams from which texts are alike.
        found: told of pairs (i, j), i < j, that are alike.
        label: texts with equal labels are not compared; None if all are. It is asked again and again, so it may go by what was found.

    """

    texts: Sequence[str]
    sketched: Sketched
    threshold: float
    found: Found
    label: Label | None = None
    _seen: list[Places] = field(default_factory=list, init=False)

    def see_runs(self, keys: NDArray[np.uint64], rows: NDArray[np.int32]) -> None:
        """Judge every pair of rows that have a key in common."""
        order = np.argsort(keys, kind="stable")
        keys, members = keys[order], rows[order].astype(np.int64)
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, dtype=np.int64)
        lengths = np.diff(np.append(starts, len(keys)))
        for length in np.unique(lengths[lengths > 1]).tolist():
            chosen = starts[lengths == length]
            if length > _SMALL_RUN:
                for start in chosen.tolist():
                    self._see_long(np.unique(members[start : start + length]))
                continue
            step = max(1, 2 * _AT_ONCE // (length * (length - 1)))
            for k in range(0, len(chosen), step):
                runs = members[chosen[k : k + step, None] + np.arange(length)]
                self.see(*self.sketched.pairs_within(runs, self.threshold))

    def _see_long(self, run: Places) -> None:
        """A run with many rows, some of them and all behind these at a time, until no two that are left have different labels."""
        while len(run) > 1:
            if self.label is not None:
                labels = self.label(run)
                if (labels == labels[0]).all():
                    return
            n_first = max(1, min(len(run), _AT_ONCE // len(run)))
            self.see(*self.sketched.pairs_behind(run, n_first, self.threshold))
            run = run[n_first:]

    def see(self, a: Places, b: Places) -> None:
        """Judge these pairs."""
        for start in range(0, len(a), _AT_ONCE):
            self._see(a[start : start + _AT_ONCE], b[start : start + _AT_ONCE])

    def _see(self, a: Places, b: Places) -> None:
        differ = a != b
        a, b = np.minimum(a, b)[differ], np.maximum(a, b)[differ]
        t = self.threshold
        for keep in (partial(self.sketched.sizes_fit, threshold=t), self._differ, partial(self.sketched.sketches_fit, threshold=t)):
            kept = keep(a, b)
            a, b = a[kept], b[kept]
            if not len(a):
                return
        pairs = self._new(np.unique(a * len(self.texts) + b))
        for a, b in self._batches(*np.divmod(pairs, len(self.texts))):
            kept = self._differ(a, b)
            self._verify(a[kept], b[kept])

    def _differ(self, a: Places, b: Places) -> NDArray[np.bool_]:
        if self.label is None:
            return np.ones(len(a), dtype=np.bool_)
        differ: NDArray[np.bool_] = self.label(a) != self.label(b)
        return differ

    def _new(self, pairs: Places) -> Places:
        """Those that were not judged before. What was is kept in sorted runs, of which a longer one is made where two are of a length."""
        for run in self._seen:
            pairs = pairs[run[np.minimum(np.searchsorted(run, pairs), len(run) - 1)] != pairs]
        if len(pairs):
            self._seen.append(pairs)
            while len(self._seen) > 1 and 2 * len(self._seen[-1]) > len(self._seen[-2]):
                self._seen.append(np.union1d(self._seen.pop(), self._seen.pop()))
        return pairs

    def _batches(self, a: Places, b: Places) -> Iterator[tuple[Places, Places]]:
        """Pairs by the first row, as many at a time as their texts may be held together."""
        cost = np.cumsum(self.sketched.n_grams[a].astype(np.int64) + self.sketched.n_grams[b])
        cuts = np.flatnonzero(np.diff(cost // _CHARACTERS_AT_ONCE)) + 1
        yield from zip(np.split(a, cuts), np.split(b, cuts), strict=True)

    def _verify(self, a: Places, b: Places) -> None:
        if not len(a):
            return
        places, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
        alike = compared_pairs([self.texts[int(i)] for i in places], numbers[: len(a)], numbers[len(a) :], self.threshold)
        if alike.any():
            self.found(a[alike], b[alike])

