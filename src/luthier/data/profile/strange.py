"""The rows that are least like the others, and why: not always wrong, always worth a look."""

from __future__ import annotations

import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.profile.label_distance import label_margins
from luthier.data.profile.sample import Looked
from luthier.data.profile.surprise import Letters, bits_per_character, letters_of

Floats = NDArray[np.float64]
N_STRANGEST = 10
_MOST_ALIKE = 4
FEWEST_ROWS = 20
"""With fewer rows nobody can say what is usual."""
LOOKED_AT = 1_000
"""Characters of a row, from its beginning, that everything but its length is judged by."""
STRANGE_FROM = 3.5
"""How many robust standard deviations from the middle count as strange (Iglewicz and Hoaglin, 1993)."""
_MOST = 10.0
_TO_SIGMA = 1.4826
_RARE = 0.001
_FEW_LETTERS = 20
_COMPRESSED_FROM = 60


@dataclass(frozen=True)
class Why:
    """One thing that is strange about a row: its value, what is usual (the 5th to the 95th percentile), and how far off it is.

    `measure` is a key of `MEASURES`; `z` counts robust standard deviations, below 0 where the value is low.
    """

    measure: str
    value: float
    usual: tuple[float, float]
    z: float

    @property
    def said(self) -> str:
        """It in words."""
        one = MEASURES[self.measure]
        first, last = (one.form.format(value) for value in self.usual)
        return f"{one.high if self.z > 0 else one.low}: {one.form.format(self.value)} {one.unit} (usual: {first} to {last})"


@dataclass(frozen=True)
class Measure:
    """What a high value means, what a low one means ('' where that is not strange), and how a value is written."""

    high: str
    low: str
    form: str
    unit: str


MEASURES = {
    "length": Measure("it is long", "it is short", "{:,.0f}", "characters"),
    "signs": Measure("it is full of signs and digits", "", "{:.0%}", "of its characters"),
    "alphabet": Measure("its characters are rare in this set", "", "{:.1%}", "of them"),
    "repetition": Measure("it hardly repeats anything, as random strings do", "it repeats itself", "{:.0%}", "of its size when compressed"),
    "surprise": Measure("its spelling surprises a model of the other rows", "", "{:.1f}", "bits a character"),
    "label": Measure("", "its words are more like another label’s rows than its own’s", "{:+.2f}", "in cosine"),
}


@dataclass(frozen=True)
class StrangeRow:
    """A strange row with everything that is strange about it, the worst first; `score` adds that up."""

    row: Looked
    score: float
    why: tuple[Why, ...]


@dataclass(frozen=True)
class _Measured:
    """One measure of every row: what is shown, what is compared (NaN: does not say anything), and the least spread that counts."""

    shown: Floats
    compared: Floats
    least: float


def strangest(rows: Sequence[Looked], seed: int) -> tuple[tuple[StrangeRow, ...], int]:
    """Up to `N_STRANGEST` rows that are strange, the strangest first, and how many rows are strange in all.

    A row's score is the sum, over the measures, of how far it lies beyond `STRANGE_FROM` robust standard deviations (of the
    median absolute deviation on its side of the median), each at most 10. No measure fills the list alone: at most four rows are there
    for the same one where others are strange in other ways.
    """
    if len(rows) < FEWEST_ROWS:
        return (), 0
    found = _measure(rows, seed)
    z = {name: _robust(one, bool(MEASURES[name].high), bool(MEASURES[name].low)) for name, one in found.items()}
    beyond = {name: np.minimum(np.maximum(np.abs(values) - STRANGE_FROM, 0.0), _MOST) for name, values in z.items()}
    # What ties in the last bits of a sum must not depend on them.
    score = np.sum(list(beyond.values()), axis=0).round(6)
    worst = np.argmax(list(beyond.values()), axis=0)
    best = various([int(i) for i in np.argsort(-score, kind="stable") if score[i] > 0], worst)
    usual = {name: _usual(one.shown) for name, one in found.items()}

    def why(i: int) -> tuple[Why, ...]:
        reasons = [Why(name, float(found[name].shown[i]), usual[name], float(z[name][i])) for name in found if beyond[name][i] > 0]
        return tuple(sorted(reasons, key=lambda one: -abs(one.z)))

    return tuple(StrangeRow(rows[i], float(score[i]), why(i)) for i in best), int((score > 0).sum())


def various(order: Sequence[int], worst: NDArray[np.int64]) -> list[int]:
    """The first `N_STRANGEST` of an order, but no more than `_MOST_ALIKE` for the same worst measure where there are others."""
    taken: Counter[int] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for i in order:
        taken[int(worst[i])] += 1
        (first if taken[int(worst[i])] <= _MOST_ALIKE else rest).append(i)
    chosen = {*first[:N_STRANGEST], *rest[: max(0, N_STRANGEST - len(first))]}
    return [i for i in order if i in chosen]


def _usual(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    return (float(np.quantile(known, 0.05)), float(np.quantile(known, 0.95))) if len(known) else (0.0, 0.0)


def _robust(one: _Measured, high: bool, low: bool) -> Floats:
    """How many robust standard deviations each row lies off the middle, on the sides that can be strange; 0 where nothing is known."""
    known = one.compared[~np.isnan(one.compared)]
    if len(known) < FEWEST_ROWS:
        return np.zeros(len(one.compared))
    middle = float(np.median(known))
    off = np.nan_to_num(one.compared - middle)
    sides = known[known >= middle] - middle, middle - known[known <= middle]
    above, below = (max(one.least, _TO_SIGMA * float(np.median(side))) for side in sides)
    z = np.where(off > 0, off / above, off / below)
    return np.where((z > 0) & high | (z < 0) & low, z, 0.0)


def _measure(rows: Sequence[Looked], seed: int) -> dict[str, _Measured]:
    texts = [row.own[:LOOKED_AT] for row in rows]
    letters = letters_of(texts)
    n_letters = letters.lengths.astype(np.float64)
    trust = n_letters / (n_letters + _FEW_LETTERS)
    lengths = np.array([row.n_characters for row in rows], dtype=np.float64)
    visible = np.maximum(1, n_letters - letters.among(str.isspace))
    signs, rare = letters.among(_is_sign) / visible, letters.among(_rare_of(letters).__contains__) / visible
    bits = bits_per_character(letters, seed)
    found = {
        "length": _Measured(lengths, np.log1p(lengths), 0.15),
        "signs": _Measured(signs, _shrunk(signs, trust), 0.03),
        "alphabet": _Measured(rare, _shrunk(rare, trust), 0.01),
        "repetition": _repetition(texts),
        "surprise": _Measured(bits, _shrunk(bits, trust), 0.1),
    }
    margins = label_margins([row.label for row in rows], texts)
    return found if margins is None else {**found, "label": _Measured(margins, margins, 0.05)}


def _shrunk(values: Floats, trust: Floats) -> Floats:
    """Values drawn towards their median where they rest on few characters."""
    middle = np.median(values)
    shrunk: Floats = middle + (values - middle) * trust
    return shrunk


def _is_sign(one: str) -> bool:
    """Whether a character is neither a letter, nor a mark on one, nor space."""
    return not one.isalpha() and not one.isspace() and unicodedata.category(one)[0] != "M"


def _rare_of(letters: Letters) -> frozenset[str]:
    """The characters that are rare: the rarest, as far as they make up `_RARE` of all together."""
    distinct = np.flatnonzero(letters.counts)
    counts = letters.counts[distinct]
    order = np.argsort(counts, kind="stable")
    n_rare = int(np.searchsorted(np.cumsum(counts[order]), _RARE * counts.sum(), side="right"))
    return frozenset(one for one in map(chr, distinct[order[:n_rare]].tolist()) if not one.isspace())


def _repetition(texts: Sequence[str]) -> _Measured:
    """Compressed bytes over bytes, compared with what is usual at that length: short texts compress worse; NaN for very short ones."""
    coded = [text.encode("utf-8", "surrogatepass") for text in texts]
    n_bytes = np.array([len(one) for one in coded], dtype=np.float64)
    ratio = np.array([len(zlib.compress(one, 6)) / max(1, len(one)) for one in coded])
    ratio[n_bytes < _COMPRESSED_FROM] = np.nan
    known = np.flatnonzero(~np.isnan(ratio))
    expected = np.full(len(ratio), np.nan)
    if len(known) >= FEWEST_ROWS:
        # A straight line through the logarithm of the length, by the medians of rows in groups of like length.
        order = known[np.argsort(n_bytes[known], kind="stable")]
        groups = np.array_split(order, min(20, len(order) // 10))
        x, y = (np.array([np.median(values[group]) for group in groups]) for values in (np.log(n_bytes), ratio))
        expected[known] = np.interp(np.log(n_bytes[known]), x, y)
    return _Measured(ratio, ratio - expected, 0.03)
