"""chrF: how much of the true text's character n-grams a reply has, and how little else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats

MAX_ORDER = 6
BETA = 2.0


@dataclass(frozen=True)
class Chrf:
    """Corpus chrF, 0 to 100 (Popović 2015, aclanthology W15-3049): characters 1–6, beta 2, white space left out.

    The value is the *corpus* score, of n-gram counts summed over all rows, equal to `sacrebleu.corpus_chrf`: long
    replies weigh more, and a row's own value (sentence chrF) does not average to it. Interval and paired test are
    about this very number, since both only sum other sets of rows. Orders in which reply or truth have no n-gram are
    left out of the mean over orders.
    """

    name: ClassVar[str] = "chrf"
    about: ClassVar[str] = "overlap of character n-grams with the true text, 0 to 100"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """Per row and order: n-grams of the reply, of the truth, and common to both (18 numbers)."""
        found = np.full((len(gold), 3 * MAX_ORDER), np.nan)
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None:
                found[i] = _counts("".join(said.text.split()), "".join(row.text.split()))
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each reply as long as the truth, and nothing of it right."""
        found = self.statistics(gold, [Answer(row.id, row.text) for row in gold])
        found[:, 2::3] = 0.0
        return found

    def values(self, sums: Floats) -> Floats:
        """F of the mean precision and the mean recall over orders, times 100; NaN where there is no text at all."""
        said, true, common = (np.asarray(sums[..., i::3], dtype=np.float64) for i in range(3))
        there = (said > 0) & (true > 0)
        n_orders = there.sum(axis=-1)
        precision = np.divide(common, said, out=np.zeros_like(common), where=there).sum(axis=-1) / np.maximum(n_orders, 1)
        recall = np.divide(common, true, out=np.zeros_like(common), where=there).sum(axis=-1) / np.maximum(n_orders, 1)
        below = BETA**2 * precision + recall
        score = np.divide((1 + BETA**2) * precision * recall, below, out=np.zeros_like(below), where=below > 0)
        nothing = ~np.isfinite(sums).all(axis=-1) | (sums.sum(axis=-1) <= 0)
        return np.where(nothing, np.nan, 100 * score)


def _counts(said: str, true: str) -> list[float]:
    counts: list[float] = []
    for order in range(1, MAX_ORDER + 1):
        ours, theirs = _ngrams(said, order), _ngrams(true, order)
        common = sum(min(count, theirs[ngram]) for ngram, count in ours.items() if ngram in theirs)
        # An order that the truth is too short for cannot be hit, so the reply's n-grams are not held against it.
        counts += [float(max(0, len(said) - order + 1) if theirs else 0), float(max(0, len(true) - order + 1)), float(common)]
    return counts


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[i : i + order] for i in range(len(text) - order + 1))
