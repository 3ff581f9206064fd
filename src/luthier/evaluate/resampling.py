"""Sums over resampled rows: the bootstrap, the jackknife and the swaps that intervals and tests are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.evaluate.answers import Gold
from luthier.evaluate.metrics.metric import Floats

MAX_DRAWS = 20_000_000
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Clusters:
    """Statistics summed within each unit that is drawn as a whole, and the number of rows in each unit.

    `sums` is units × k. A unit is a group where rows have groups, else a row. `grouped` says that at least one unit
    holds more than one row.
    """

    sums: Floats
    n_rows: NDArray[np.int64]

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return len(self.n_rows)

    @property
    def grouped(self) -> bool:
        """Whether any unit holds more than one row."""
        return bool((self.n_rows > 1).any())

    @property
    def n_effective(self) -> float:
        """How many units of equal size would be worth as much: (Σ rows)² / Σ rows² (Kish 1965)."""
        return float(self.n_rows.sum() ** 2 / (self.n_rows**2).sum()) if self.n_units else 0.0


def clusters_of(gold: Sequence[Gold], statistics: Floats) -> Clusters:
    """Sum `statistics` (rows × k) within groups, in the order in which the groups first appear."""
    place: dict[tuple[str, str], int] = {}
    unit = [place.setdefault(("row", row.id) if row.group is None else ("group", row.group), len(place)) for row in gold]
    index = np.array(unit, dtype=np.int64)
    sums = np.zeros((len(place), statistics.shape[1]))
    np.add.at(sums, index, statistics)
    return Clusters(sums, np.bincount(index, minlength=len(place)).astype(np.int64))


def bootstrap_sums(sums: Floats, n_resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Sums over `n_resamples` samples of the units with replacement, in chunks of (resamples, k)."""
    n_units = len(sums)
    per_chunk = max(1, _CHUNK // n_units)
    for start in range(0, n_resamples, per_chunk):
        n = min(per_chunk, n_resamples - start)
        drawn = rng.integers(0, n_units, size=(n, n_units)) + n_units * np.arange(n)[:, None]
        times = np.bincount(drawn.ravel(), minlength=n * n_units).reshape(n, n_units)
        yield times.astype(np.float64) @ sums


def n_resamples_for(n_units: int) -> int:
    """How many bootstrap samples to draw: 4,000, fewer (but 1,000 at least) where there are many units."""
    return max(1_000, min(4_000, MAX_DRAWS // max(1, n_units)))


def jackknife_sums(sums: Floats) -> Floats:
    """Sums over all units but one, units × k."""
    without: Floats = sums.sum(axis=0) - sums
    return without


def swaps(n_units: int, n_random: int, rng: np.random.Generator) -> tuple[bool, Iterator[Floats]]:
    """Which units change sides, as rows of 0 and 1 in chunks: all 2^n ways where they are no more than `n_random`, else random ones.

    Returns:
        Whether these are all the ways there are, and the chunks of shape (ways, units).

    """
    if n_units < 62 and 2**n_units <= n_random:
        ways = (np.arange(2**n_units)[:, None] >> np.arange(n_units)[None, :]) & 1
        return True, iter((ways.astype(np.float64),))
    return False, _random_swaps(n_units, n_random, rng)


def _random_swaps(n_units: int, n_random: int, rng: np.random.Generator) -> Iterator[Floats]:
    per_chunk = max(1, _CHUNK // n_units)
    for start in range(0, n_random, per_chunk):
        n = min(per_chunk, n_random - start)
        n_bytes = -(-n_units // 8)
        bits = np.unpackbits(rng.integers(0, 256, size=(n, n_bytes), dtype=np.uint8), axis=1, count=n_units)
        yield bits.astype(np.float64)
