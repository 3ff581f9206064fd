"""The 5-grams of many texts at once, as numbers: what sketches and signatures are made of.

A gram's number is a 64-bit hash of its five characters. Two grams may share a number; whoever uses them must stay right
then, and `n_grams` counts the grams themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.likeness.neighbours import N_CHARACTERS

MOST_CHARACTERS = 400_000
"""How many characters are looked at together: arrays of this length stay in a processor's cache."""
MOST_ROWS = 1024
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], dtype=np.uint64
)  # fmt: skip
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, eq=False)
class GramSets:
    """The distinct 5-grams of some texts: `numbers` of all texts, one after another, and the text that each is of.

    `n_grams` says how many distinct grams each text has.
    """

    numbers: NDArray[np.uint64]
    rows: NDArray[np.int64]
    n_grams: NDArray[np.int64]


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers in which every bit depends on every bit (the finisher of splitmix64; Steele, Lea and Flood, 2014)."""
    found = (numbers ^ (numbers >> np.uint64(30))) * _MIX
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def blocks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The texts in order, as many at a time as are looked at together, with the number of the first."""
    some: list[str] = []
    n_characters = 0
    for i, text in enumerate(texts):
        some.append(text)
        n_characters += len(text)
        if n_characters >= MOST_CHARACTERS or len(some) == MOST_ROWS:
            yield i + 1 - len(some), some
            some, n_characters = [], 0
    if some:
        yield len(texts) - len(some), some


def gram_sets(texts: Sequence[str]) -> GramSets:
    """The 5-grams of a block of texts; a text shorter than five characters is filled up with NULs."""
    padded = [text.ljust(N_CHARACTERS, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    characters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    ends = np.cumsum(lengths)
    row_of = np.repeat(np.arange(len(texts)), lengths)[: len(characters) - N_CHARACTERS + 1]
    inside = np.arange(len(row_of)) + N_CHARACTERS <= ends[row_of]
    row_of = row_of[inside]
    codes, n_bits, points = _codes(characters)
    if n_bits * N_CHARACTERS + len(texts).bit_length() <= 63:
        pairs = np.sort((row_of << (n_bits * N_CHARACTERS)) | codes[inside])
        pairs = pairs[_is_new(pairs)]
        rows = pairs >> (n_bits * N_CHARACTERS)
        numbers = np.zeros(len(pairs), dtype=np.uint64)
        for i, factor in enumerate(_FACTORS):
            letters = (pairs >> (n_bits * (N_CHARACTERS - 1 - i))) & ((1 << n_bits) - 1)
            numbers += (points.astype(np.uint64) * factor)[letters]
    else:
        places = np.flatnonzero(inside)
        dense, one_place = _dense(characters, places)
        pairs = np.sort(row_of * len(one_place) + dense)
        pairs = pairs[_is_new(pairs)]
        rows, kinds = np.divmod(pairs, len(one_place))
        of_kind = np.zeros(len(one_place), dtype=np.uint64)
        for i, factor in enumerate(_FACTORS):
            of_kind += characters[one_place + i].astype(np.uint64) * factor
        numbers = of_kind[kinds]
    return GramSets(mixed(numbers), rows, np.bincount(rows, minlength=len(texts)))


def _codes(characters: NDArray[np.uint32]) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
    """(five letters as one number at each place, bits of a letter, the letters' code points); no numbers where they would not fit."""
    is_used = np.zeros(int(characters.max()) + 1, dtype=np.bool_)
    is_used[characters] = True
    points = np.flatnonzero(is_used)
    n_bits = max(1, (len(points) - 1).bit_length())
    if n_bits * N_CHARACTERS > 63:
        return np.zeros(0, dtype=np.int64), n_bits, points
    letters = (np.cumsum(is_used) - 1)[characters].astype(np.int64)
    n = len(letters) - N_CHARACTERS + 1
    codes = letters[:n]
    for i in range(1, N_CHARACTERS):
        codes = (codes << n_bits) | letters[i : i + n]
    return codes, n_bits, points


def _dense(characters: NDArray[np.uint32], places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(a number without gaps for the gram at each of the places, a place for each number); for alphabets of any size."""
    wide = characters.astype(np.uint64)
    first = (wide[places] << np.uint64(42)) | (wide[places + 1] << np.uint64(21)) | wide[places + 2]
    second = (wide[places + 3] << np.uint64(21)) | wide[places + 4]
    order = np.lexsort((second, first))
    is_new = np.concatenate([[True], (first[order][1:] != first[order][:-1]) | (second[order][1:] != second[order][:-1])])
    dense = np.empty(len(places), dtype=np.int64)
    dense[order] = np.cumsum(is_new) - 1
    return dense, places[order[is_new]]


def _is_new(ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.concatenate([[True], ordered[1:] != ordered[:-1]])
