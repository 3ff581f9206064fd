"""How long replies are beside the true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio


@dataclass(frozen=True)
class Length:
    """Characters of the replies summed over rows, divided by characters of the true ones: 1 is as long as the truth.

    It describes and does not judge: neither longer nor shorter is better. Characters (code points) and not words, since
    not every language puts spaces between words. White space at the ends is not counted, and a row whose true reply is
    empty cannot be judged.
    """

    name: ClassVar[str] = "length"
    about: ClassVar[str] = "characters of the replies for each character of the true ones; 1 is as long"
    higher_is_better: ClassVar[bool | None] = None
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(characters of the reply, characters of the truth) per row."""
        found = np.full((len(gold), 2), np.nan)
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None and row.text.strip():
                found[i] = (len(said.text.strip()), len(row.text.strip()))
        return found

    def failure(self, gold: Sequence[Gold]) -> None:
        """None: no length is the worst."""
        return

    def values(self, sums: Floats) -> Floats:
        """The replies' characters divided by the truths'."""
        return ratio(sums[..., 0], sums[..., 1])
