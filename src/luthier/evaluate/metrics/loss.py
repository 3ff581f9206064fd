"""Loss per token: how surprised a system is by the true text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio


def nats_and(counts: Sequence[int | None], answers: Sequence[Answer]) -> Floats:
    """(nats, count) per answer, rows × 2; NaN where there is nothing to count or no finite loss."""
    found = [
        (said.loss_nats, count) if said.loss_nats is not None and math.isfinite(said.loss_nats) and count else (math.nan, math.nan)
        for said, count in zip(answers, counts, strict=True)
    ]
    return np.array(found, dtype=np.float64).reshape(len(answers), 2)


@dataclass(frozen=True)
class Loss:
    """Nats of the true text summed over rows, divided by its tokens summed over rows.

    A ratio of sums, so each token weighs alike, as in training. It compares systems that share a tokenizer; systems
    without a likelihood (majority, nearest prompt) are unjudged.
    """

    name: ClassVar[str] = "loss_nats"
    about: ClassVar[str] = "nats per token of the true text; lower is better"
    higher_is_better: ClassVar[bool | None] = False
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(nats, tokens) per row; a row without tokens or without a finite loss cannot be judged."""
        assert len(gold) == len(answers), "one answer for each row"
        return nats_and([said.n_tokens for said in answers], answers)

    def failure(self, gold: Sequence[Gold]) -> None:
        """None: a loss has no upper bound."""
        return

    def values(self, sums: Floats) -> Floats:
        """Nats divided by tokens."""
        return ratio(sums[..., 0], sums[..., 1])
