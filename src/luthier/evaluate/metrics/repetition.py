"""How much replies repeat themselves, as models do that are stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio

ORDER = 4


def share_repeated(text: str) -> float:
    """1 − distinct / all of a text's word 4-grams (words stand between white space); 0 where there are none."""
    words = text.split()
    ngrams = [tuple(words[i : i + ORDER]) for i in range(len(words) - ORDER + 1)]
    return 1.0 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


@dataclass(frozen=True)
class Repetition:
    """The mean over replies of the share of word 4-grams that stood in the same reply before.

    *seq-rep-4* of Welleck et al. 2020 (arXiv 1908.04319, section 6). A reply of under four words repeats nothing.
    """

    name: ClassVar[str] = "repetition"
    about: ClassVar[str] = "share of word 4-grams that a reply says again"
    higher_is_better: ClassVar[bool | None] = False
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(share, 1) per row."""
        found = np.full((len(gold), 2), np.nan)
        for i, (_, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None:
                found[i] = (share_repeated(said.text), 1.0)
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Nothing but repetition, which is the limit of long replies."""
        return np.ones((len(gold), 2))

    def values(self, sums: Floats) -> Floats:
        """Shares divided by judged rows."""
        return ratio(sums[..., 0], sums[..., 1])
