"""Texts that are alike: Jaccard similarity of their sets of character 5-grams, found two ways.

`band_keys` gives keys that alike texts share almost surely (MinHash and bands), one text at a time, so that a join by
key can spread over machines. `similar_pairs` is the exact join: it finds every pair at or over the threshold, and
does not know of the keys.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import rensa
import scipy.sparse
from numpy.typing import NDArray

N_CHARACTERS = 5
_N_HASHES = 128
_RECALL = 0.999
_SEED = 1
_BLOCK = 512
_FEW = 16
SLACK = 1e-9
"""What is allowed for rounding where a similarity is compared with a threshold."""
_MAX_GRAMS_AT_ONCE = 4_000_000


def grams(text: str) -> frozenset[str]:
    """The set of character 5-grams of a text; a shorter text is filled up with NULs to one 5-gram."""
    text = text.ljust(N_CHARACTERS, "\0")
    return frozenset(text[i : i + N_CHARACTERS] for i in range(len(text) - N_CHARACTERS + 1))


def similarity(a: str, b: str) -> float:
    """The Jaccard similarity of two texts: 5-grams in both over 5-grams in either, from 0 to 1."""
    grams_a, grams_b = grams(a), grams(b)
    return len(grams_a & grams_b) / len(grams_a | grams_b)


def are_alike(grams_a: frozenset[str], grams_b: frozenset[str], threshold: float) -> bool:
    """Whether two sets of grams reach the threshold."""
    n_both = len(grams_a & grams_b)
    return n_both >= threshold * (len(grams_a) + len(grams_b) - n_both) - SLACK


def band_shape(threshold: float) -> tuple[int, int]:
    """(bands, hashes in a band): the longest bands that still catch 999 of 1,000 pairs just at the threshold.

    A pair of similarity s shares a band with probability 1 - (1 - s^r)^b.
    """
    shapes = [(_N_HASHES // n_rows, n_rows) for n_rows in range(_N_HASHES, 0, -1)]
    return next(((b, r) for b, r in shapes if 1 - (1 - threshold**r) ** b >= _RECALL), shapes[-1])


def band_keys(text: str, threshold: float) -> tuple[bytes, ...]:
    """One key for each band of the text's MinHash; alike texts share at least one."""
    n_bands, n_rows = band_shape(threshold)
    sketch = rensa.RMinHash(n_bands * n_rows, _SEED)
    sketch.update([gram.encode("utf-8", "surrogatepass") for gram in grams(text)])
    digest = np.asarray(sketch.digest(), dtype="<u4").reshape(n_bands, n_rows)
    return tuple(band.tobytes() for band in digest)


def similar_pairs(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Every pair of texts with a Jaccard similarity at or over the threshold, as (i, j, similarity) with i < j.

    Exact. Two sets whose similarity reaches t share one of their rarest grams: if every set is sorted by rarity, they
    do so within the first |x| - ceil(t |x|) + 1. So a product of the matrices of those prefixes gives the candidates,
    and counting their common grams decides. Source: Chaudhuri, Ganti and Kaushik, 2006 (prefix filter); Xiao,
    Wang, Lin and Yu, 2008 (length and position filters).

    Equal texts count as pairs like any others: where there may be many, compare distinct texts only.
    """
    if len(texts) <= _FEW:
        yield from _compared_one_by_one(texts, threshold)
        return
    sets = _gram_matrix(texts)
    by_size = np.argsort(np.diff(sets.indptr), kind="stable")
    sets = sets[by_size]
    n_grams = np.diff(sets.indptr)
    prefixes = _prefixes(sets, threshold)
    n_suffix = n_grams - np.diff(prefixes.indptr)
    last = prefixes.indices[prefixes.indptr[1:] - 1]
    for start in range(0, len(texts), _BLOCK):
        stop = min(start + _BLOCK, len(texts))
        # Rows are in order of size: a partner has at least t times the grams of the smallest row of the block.
        low = int(np.searchsorted(n_grams, threshold * n_grams[start] - SLACK))
        shared = (prefixes[start:stop] @ prefixes[low:stop].T).tocoo()
        a, b = shared.row.astype(np.int64) + start, shared.col.astype(np.int64) + low
        # Common grams outside both prefixes are in the rest of the set whose prefix ends first.
        at_most = shared.data + np.where(last[a] <= last[b], n_suffix[a], n_suffix[b])
        wanted = (b < a) & (at_most >= threshold / (1 + threshold) * (n_grams[a] + n_grams[b]) - SLACK)
        for i, j, value in _verified(sets, n_grams, a[wanted], b[wanted], threshold):
            first, second = int(by_size[i]), int(by_size[j])
            yield min(first, second), max(first, second), value


def compared_pairs(texts: Sequence[str], a: NDArray[np.int64], b: NDArray[np.int64], threshold: float) -> NDArray[np.bool_]:
    """Of the pairs (a[k], b[k]) of texts, which reach the threshold: counted, gram by gram."""
    if len(a) <= _FEW:
        few = {i: grams(texts[i]) for i in {*a.tolist(), *b.tolist()}}
        pairs = zip(a.tolist(), b.tolist(), strict=True)
        return np.array([are_alike(few[i], few[j], threshold) for i, j in pairs], dtype=np.bool_)
    sets = _gram_matrix(texts)
    n_grams = np.diff(sets.indptr)
    alike = np.zeros(len(a), dtype=np.bool_)
    for start, stop in _portions(n_grams[a] + n_grams[b]):
        i, j = a[start:stop], b[start:stop]
        n_both = np.asarray(sets[i].multiply(sets[j]).sum(axis=1)).ravel()
        alike[start:stop] = n_both >= threshold * (n_grams[i] + n_grams[j] - n_both) - SLACK
    return alike


def _compared_one_by_one(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """The same for so few texts that a matrix would not pay."""
    sets = [grams(text) for text in texts]
    for i, j in itertools.combinations(range(len(sets)), 2):
        n_both = len(sets[i] & sets[j])
        n_either = len(sets[i]) + len(sets[j]) - n_both
        if n_both >= threshold * n_either - SLACK:
            yield i, j, n_both / n_either


def _gram_matrix(texts: Sequence[str]) -> scipy.sparse.csr_matrix:
    """Texts × grams, 1 where a text has a gram; the columns run from the rarest gram to the most frequent."""
    padded = [text.ljust(N_CHARACTERS, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    joined = "".join(padded).encode("utf-32-le", "surrogatepass")
    fives = _fives(np.frombuffer(joined, dtype="<u4"))
    # The positions at which a 5-gram begins and does not run into the next text.
    row_of = np.repeat(np.arange(len(texts)), lengths)[: len(fives)]
    inside = np.arange(len(fives)) + N_CHARACTERS <= np.cumsum(lengths)[row_of]
    columns = _dense(fives[inside])
    n_columns = int(columns.max()) + 1
    pairs = np.sort(row_of[inside] * n_columns + columns)
    rows, columns = np.divmod(pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])], n_columns)
    n_texts_with = np.bincount(columns)
    rank = np.empty(len(n_texts_with), dtype=np.int64)
    rank[np.argsort(n_texts_with, kind="stable")] = np.arange(len(n_texts_with))
    shape = (len(texts), len(n_texts_with))
    matrix = scipy.sparse.csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, rank[columns])), shape=shape)
    matrix.sort_indices()
    return matrix


def _fives(characters: NDArray[np.uint32]) -> NDArray[np.int64]:
    """A number for each run of five characters, the same for the same run and for no other."""
    is_used = np.zeros(int(characters.max()) + 1, dtype=np.bool_)
    is_used[characters] = True
    letters = (np.cumsum(is_used) - 1)[characters].astype(np.int64)
    n_bits = int(is_used.sum()).bit_length()
    if n_bits * 5 <= 63:
        fives = letters[:-4]
        for i in range(1, 5):
            fives = (fives << n_bits) | letters[i : len(letters) - 4 + i]
        return fives
    # Three code points fit (21 bits each); the number that then stands for the three fits with the other two.
    threes = _dense((letters[:-4] << 42) | (letters[1:-3] << 21) | letters[2:-2])
    return (_dense((threes << 21) | letters[3:-1]) << 21) | letters[4:]


def _dense(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values renumbered from 0 without gaps, in the same order."""
    order = np.argsort(values)
    ordered = values[order]
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[order] = np.cumsum(np.concatenate([[False], ordered[1:] != ordered[:-1]]))
    return numbers


def _prefixes(sets: scipy.sparse.csr_matrix, threshold: float) -> scipy.sparse.csr_matrix:
    """The rarest grams of each set, as many as any partner must share one of."""
    n_grams = np.diff(sets.indptr)
    n_prefix = n_grams - np.ceil(threshold * n_grams - SLACK).astype(np.int64) + 1
    position = np.arange(sets.nnz) - np.repeat(sets.indptr[:-1], n_grams)
    taken = position < np.repeat(n_prefix, n_grams)
    starts = np.concatenate([[0], np.cumsum(n_prefix)])
    return scipy.sparse.csr_matrix((sets.data[taken], sets.indices[taken], starts), shape=sets.shape)


def _verified(
    sets: scipy.sparse.csr_matrix, n_grams: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64], threshold: float
) -> Iterator[tuple[int, int, float]]:
    """The candidates (a[k], b[k]) whose sets really are that similar."""
    for start, stop in _portions(n_grams[a] + n_grams[b]):
        i, j = a[start:stop], b[start:stop]
        n_both = np.asarray(sets[i].multiply(sets[j]).sum(axis=1)).ravel()
        n_either = n_grams[i] + n_grams[j] - n_both
        alike = n_both >= threshold * n_either - SLACK
        yield from zip(i[alike].tolist(), j[alike].tolist(), (n_both[alike] / n_either[alike]).tolist(), strict=True)


def _portions(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of things that are held at once, each of `_MAX_GRAMS_AT_ONCE` grams or a little more."""
    cost = np.cumsum(sizes)
    n_chunks = math.ceil(cost[-1] / _MAX_GRAMS_AT_ONCE) if len(cost) else 0
    bounds = np.unique(np.concatenate([[0], np.searchsorted(cost, np.arange(1, n_chunks) * _MAX_GRAMS_AT_ONCE), [len(cost)]]))
    yield from itertools.pairwise(bounds.tolist())
