"""How surprising each text is to a small model of characters that was learnt from the other texts of the same set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.core.draws import permutation

N_LETTERS = 160
"""Characters that the model knows apart; all rarer ones count as one, so that the tables stay small (N³ counts)."""
_BACKING = 5.0
"""How many observations the shorter context is worth: the strength of a Dirichlet prior."""
_START = 0
_AT_ONCE = 1 << 18
"""Characters that are worked on together: as numbers, they take thirty times and more what their text takes."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """Some texts' characters, one after another: their code points, and the text (by its place among all) that each is of."""

    points: Ints
    row: Ints


@dataclass(frozen=True, eq=False)
class Letters:
    """The characters of some texts: how many each text has, and how often each code point is met in all of them."""

    texts: Sequence[str]
    lengths: Ints
    counts: Ints

    def blocks(self) -> Iterator[Block]:
        """All characters, whole texts at a time."""
        ends = np.cumsum(self.lengths)
        first = 0
        while first < len(self.texts):
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
            yield Block(_points(self.texts[first:last]), np.repeat(np.arange(first, last), self.lengths[first:last]))
            first = last

    def among(self, chosen: Callable[[str], bool]) -> Ints:
        """How many characters of each text are chosen; each distinct character is asked about once."""
        table = np.zeros(len(self.counts), dtype=np.bool_)
        distinct = np.flatnonzero(self.counts)
        table[distinct] = [chosen(chr(one)) for one in distinct.tolist()]
        found = np.zeros(len(self.texts), dtype=np.int64)
        for block in self.blocks():
            found += np.bincount(block.row[table[block.points]], minlength=len(found))
        return found


def letters_of(texts: Sequence[str]) -> Letters:
    """The characters of texts."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    counts = np.zeros(sys.maxunicode + 1, dtype=np.int64)
    for block in Letters(texts, lengths, counts).blocks():
        found = np.bincount(block.points)
        counts[: len(found)] += found
    return Letters(texts, lengths, np.trim_zeros(counts, "b"))


def _points(texts: Sequence[str]) -> Ints:
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)


def bits_per_character(letters: Letters, seed: int) -> NDArray[np.float64]:
    """For each text the mean −log₂ probability of its characters, given the two before; 0 for an empty text.

    The texts are parted into two halves by seed, and each half is judged by the counts of the other: no text vouches for
    itself. Shorter contexts back longer ones up as in the hierarchical Dirichlet model of MacKay and Peto (1995,
    doi:10.1017/S1351324900000218, eq. 13), with one fixed strength.
    """
    n_texts, k = len(letters.texts), N_LETTERS + 1
    half = np.zeros(n_texts, dtype=np.int64)
    half[permutation(n_texts, seed, "surprise")[: n_texts // 2]] = 1
    number = _numbers(letters)
    three = np.zeros((2, k, k, k), dtype=np.int32)
    for block in letters.blocks():
        np.add.at(three.reshape(-1), np.ravel_multi_index((half[block.row], *_triples(block, number)), three.shape), 1)
    two, after_two = three.sum(axis=1), three.sum(axis=3)
    one, after_one = two.sum(axis=1), two.sum(axis=2)
    alone = (one + 0.5) / (one.sum(axis=1, keepdims=True) + 0.5 * k)
    bits = np.zeros(n_texts)
    for block in letters.blocks():
        others = 1 - half[block.row]
        first, second, third = _triples(block, number)
        p = (two[others, second, third] + _BACKING * alone[others, third]) / (after_one[others, second] + _BACKING)
        p = (three[others, first, second, third] + _BACKING * p) / (after_two[others, first, second] + _BACKING)
        bits += np.bincount(block.row, weights=-np.log2(p), minlength=n_texts)
    return bits / np.maximum(1, letters.lengths)


def _numbers(letters: Letters) -> Ints:
    """The number of each code point: 1 for the most frequent one and so on, and one number for all that are rare."""
    known = np.argsort(-letters.counts, kind="stable")[: N_LETTERS - 1]
    number = np.full(len(letters.counts), N_LETTERS, dtype=np.int64)
    number[known] = np.arange(1, len(known) + 1)
    return number


def _triples(block: Block, number: Ints) -> tuple[Ints, Ints, Ints]:
    """Of each character the numbers of the second before it, of the one before it, and its own; a text begins after two beginnings."""
    at = np.arange(len(block.points)) + 2 * (block.row - block.row[:1] + 1)
    codes = np.full(len(at) + 2 * (int(block.row[-1] - block.row[0]) + 1) if len(at) else 0, _START, dtype=np.int64)
    codes[at] = number[block.points]
    return codes[at - 2], codes[at - 1], codes[at]
