"""How long things are: quantiles, and counts over lengths that double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.core.jsonvalue import Json

QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
_BINS_PER_DOUBLING = 2
_MOST_BINS = 40


@dataclass(frozen=True)
class Lengths:
    """Quantiles by name (`min`, `p5`, …, `max`), the mean, and rows by length: `counts[i]` from `edges[i]` up to below `edges[i + 1]`."""

    quantiles: dict[str, float]
    mean: float
    edges: tuple[int, ...]
    counts: tuple[int, ...]

    def as_dict(self) -> dict[str, Json]:
        """The object that profile.json holds; the quantiles stand on their own."""
        return {**self.quantiles, "mean": self.mean, "histogram": {"edges": list(self.edges), "counts": list(self.counts)}}


def lengths_of(values: Sequence[int] | NDArray[np.int64]) -> Lengths | None:
    """The lengths of some rows; None without any."""
    found = np.asarray(values, dtype=np.int64)
    if not len(found):
        return None
    edges = _edges(int(found.min()), int(found.max()))
    counts = np.histogram(found, bins=np.array(edges))[0]
    quantiles = {name: float(np.quantile(found, at)) for name, at in QUANTILES.items()}
    return Lengths(quantiles, round(float(found.mean()), 2), edges, tuple(int(n) for n in counts))


def _edges(low: int, high: int) -> tuple[int, ...]:
    """Whole numbers from at most `low` to over `high`: evenly spaced where lengths are much alike, else each √2 times the last."""
    n_alike = high - low + 1
    if high < 4 * max(1, low):
        width = max(1, -(-n_alike // (_MOST_BINS // 2)))
        return tuple(range(low, high + width + 1, width))
    edges, at = [0] if low == 0 else [], float(max(1, low))
    while not edges or edges[-1] <= high:
        if not edges or int(at) > edges[-1]:
            edges.append(int(at))
        at *= 2 ** (1 / _BINS_PER_DOUBLING)
    return tuple(edges)
