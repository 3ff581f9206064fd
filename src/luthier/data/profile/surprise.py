"""How surprising each text is to a small model of characters that was learnt from the other texts of the same set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.core.draws import permutation

N_LETTERS = 160
"""Characters that the model knows apart; all rarer ones count as one, so that the tables stay small (N³ counts)."""
_BACKING = 5.0
"""How many observations the shorter context is worth: the strength of a Dirichlet prior."""
_START = 0


@dataclass(frozen=True)
class Letters:
    """The characters of some texts, one after another: their code points, and where each text begins (and the last ends)."""

    points: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The characters of each text."""
        return np.diff(self.starts)

    def among(self, chosen: Callable[[str], bool]) -> NDArray[np.int64]:
        """How many characters of each text are chosen; each distinct character is asked about once."""
        distinct = np.unique(self.points)
        table = np.zeros(int(distinct.max(initial=0)) + 1, dtype=np.bool_)
        table[distinct] = [chosen(chr(int(one))) for one in distinct]
        before = np.concatenate([[0], np.cumsum(table[self.points])])
        found: NDArray[np.int64] = before[self.starts[1:]] - before[self.starts[:-1]]
        return found


def letters_of(texts: Sequence[str]) -> Letters:
    """The characters of texts."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    return Letters(points, np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)]))


def bits_per_character(letters: Letters, seed: int) -> NDArray[np.float64]:
    """For each text the mean −log₂ probability of its characters, given the two before; 0 for an empty text.

    The texts are parted into two halves by seed, and each half is judged by the counts of the other: no text vouches for
    itself. Shorter contexts back longer ones up as in the hierarchical Dirichlet model of MacKay and Peto (1995,
    doi:10.1017/S1351324900000218, eq. 13), with one fixed strength.
    """
    n_texts, n_letters = len(letters.lengths), letters.lengths
    half = np.zeros(n_texts, dtype=np.int64)
    half[permutation(n_texts, seed, "surprise")[: n_texts // 2]] = 1
    row = np.repeat(np.arange(n_texts), n_letters)
    codes, at = _codes(letters, row)
    k = N_LETTERS + 1
    third, second, first = codes[at], codes[at - 1], codes[at - 2]
    pair, triple = second * k + third, (first * k + second) * k + third
    bits = np.zeros(len(at))
    for side in (0, 1):
        judged = half[row] == side
        one, two, three = (np.bincount(found[~judged], minlength=size) for found, size in ((third, k), (pair, k * k), (triple, k**3)))
        p = (one + 0.5) / (one.sum() + 0.5 * k)
        before = two.reshape(k, k).sum(axis=1)
        p = (two[pair[judged]] + _BACKING * p[third[judged]]) / (before[second[judged]] + _BACKING)
        pairs_before = three.reshape(k * k, k).sum(axis=1)
        p = (three[triple[judged]] + _BACKING * p) / (pairs_before[(first * k + second)[judged]] + _BACKING)
        bits[judged] = -np.log2(p)
    return np.bincount(row, weights=bits, minlength=n_texts) / np.maximum(1, n_letters)


def _codes(letters: Letters, row: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Characters as numbers by their frequency, each text after two beginnings; and where in them the characters stand."""
    counts = np.bincount(letters.points, minlength=1)
    known = np.argsort(-counts, kind="stable")[: N_LETTERS - 1]
    number = np.full(len(counts), N_LETTERS, dtype=np.int64)
    number[known] = np.arange(1, len(known) + 1)
    at = np.arange(len(letters.points)) + 2 * (row + 1)
    codes = np.full(len(letters.points) + 2 * len(letters.lengths), _START, dtype=np.int64)
    codes[at] = number[letters.points]
    return codes, at
