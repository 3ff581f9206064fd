"""ROUGE-L: how many words of the true text a reply has in their order, and how few others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio


@cache
def _scorer() -> Any:
    # Imported when it is asked for: it brings all of nltk, which would make every command most of a second slower.
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=False)


@dataclass(frozen=True)
class RougeL:
    """The mean over rows of ROUGE-L's F-measure, 0 to 1 (Lin 2004, aclanthology W04-1013), of the whole text as one sentence.

    F is of precision and recall alike: the longest common subsequence divided by the reply's words and by the truth's.
    Computed by rouge-score, without stemming. Its words are a–z and 0–9 only, so texts in other scripts score 0; chrF is
    for those.
    """

    name: ClassVar[str] = "rouge_l"
    about: ClassVar[str] = "longest common sequence of words with the true text (F, for a–z and digits)"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(F, 1) per row."""
        found = np.full((len(gold), 2), np.nan)
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None:
                found[i] = (_scorer().score(row.text, said.text)["rougeL"].fmeasure, 1.0)
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """No word right in any row."""
        return np.tile(np.array([0.0, 1.0]), (len(gold), 1))

    def values(self, sums: Floats) -> Floats:
        """F summed, divided by judged rows."""
        return ratio(sums[..., 0], sums[..., 1])
