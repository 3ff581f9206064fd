"""How much the rows of each class count, from how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

Weighting: TypeAlias = Literal["equal", "inverse_frequency", "effective_number"]
BETA = 0.999
"""Of the effective number: rows beyond about 1 / (1 - BETA) of a class hardly count as more."""


def class_weights(counts: Sequence[int], weighting: Weighting) -> tuple[float, ...]:
    """One weight a class, so that the rows' weights are 1 on average; empty where all rows count the same.

    `inverse_frequency`: w = 1 / n, so each class counts the same in all. `effective_number`: w = (1 - β) / (1 - βⁿ), which
    lies between that and equal weights (Cui and others, 2019, arXiv:1901.05555, proposition 1; β = `BETA`).
    """
    if weighting == "equal" or len(set(counts)) == 1:
        return ()
    raw = [1 / n if weighting == "inverse_frequency" else (1 - BETA) / (1 - BETA**n) for n in counts]
    scale = sum(counts) / sum(w * n for w, n in zip(raw, counts, strict=True))
    return tuple(w * scale for w in raw)
