"""Texts as weighted words and pairs of words, in memory that grows by a few numbers a word and not by a string for each pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_WORD = re.compile(r"\w+|[^\w\s]+")
_AT_ONCE = 500
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Words:
    """The words of texts, numbered in the order of their spelling: `flat` one text after another, which begin at `starts`."""

    flat: NDArray[np.int32]
    starts: Ints
    n_words: int

    def features(self) -> Iterator[tuple[Ints, Ints]]:
        """Some texts at a time: each word and each pair of neighbours as one number, words first, and the text that it is of."""
        for first in range(0, len(self.starts) - 1, _AT_ONCE):
            ends = self.starts[first : first + _AT_ONCE + 1]
            text = np.repeat(np.arange(first, first + len(ends) - 1), np.diff(ends))
            word = self.flat[ends[0] : ends[-1]].astype(np.int64)
            inside = np.flatnonzero(text[1:] == text[:-1])
            pair = self.n_words * (word[inside] + 1) + word[inside + 1]
            yield np.concatenate([word, pair]), np.concatenate([text, text[inside]])


def word_weights(texts: Sequence[str], most: int) -> csr_matrix | None:
    """TF-IDF of words and pairs of neighbouring words, a row of length 1 for each text; None where no text has a word.

    A word is a run of letters and digits or one of signs, in lower case. Only the `most` frequent words and pairs count, words and what
    is spelled earlier first among equals. Weights are (1 + ln tf) · (1 + ln((1 + n) / (1 + df))), those of scikit-learn's
    `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)`, whose dictionary of pairs takes hundreds of megabytes on long texts.
    """
    import scipy.sparse

    words = _words(texts)
    if not len(words.flat):
        return None
    chosen = _frequent(words, most)
    n_texts, columns, counts, rows = len(texts), [], [], np.zeros(len(texts) + 1, dtype=np.int64)
    for features, text in words.features():
        column = np.minimum(np.searchsorted(chosen, features), len(chosen) - 1)
        known = chosen[column] == features
        cell, n = np.unique(text[known] * len(chosen) + column[known], return_counts=True)
        columns.append((cell % len(chosen)).astype(np.int32))
        counts.append(n.astype(np.float64))
        rows[1:] += np.bincount(cell // len(chosen), minlength=n_texts)
    column, tf = np.concatenate(columns), np.concatenate(counts)
    df = np.bincount(column, minlength=len(chosen))
    weights = (1 + np.log(tf)) * (1 + np.log((1 + n_texts) / (1 + df)))[column]
    starts = np.cumsum(rows)
    lengths = np.sqrt(np.bincount(np.repeat(np.arange(n_texts), rows[1:]), weights=weights**2, minlength=n_texts))
    weights /= np.repeat(lengths, rows[1:])
    return scipy.sparse.csr_matrix((weights, column, starts), shape=(n_texts, len(chosen)))


def _words(texts: Sequence[str]) -> _Words:
    numbers: dict[str, int] = {}
    flat, lengths = [], [0]
    for text in texts:
        found = [numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text.lower())]
        flat.append(np.array(found, dtype=np.int32))
        lengths.append(len(found))
    # Numbered by spelling, so that the order of the texts decides nothing.
    place = np.empty(len(numbers), dtype=np.int32)
    place[[numbers[word] for word in sorted(numbers)]] = np.arange(len(numbers), dtype=np.int32)
    return _Words(place[np.concatenate(flat)], np.cumsum(lengths), len(numbers))


def _frequent(words: _Words, most: int) -> Ints:
    """The `most` frequent features, in order."""
    ordered = np.concatenate([features for features, _ in words.features()])
    ordered.sort()
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    n = np.diff(begins, append=len(ordered))
    best = np.argsort(-n, kind="stable")[:most]
    return np.sort(ordered[begins[best]])
