"""BLEU: how much of a reply's word n-grams stand in the true text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from sacrebleu.metrics import BLEU

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats

MAX_ORDER = 4


@cache
def _counter() -> Any:
    # The effective order only spares a warning: what is read off are counts.
    return BLEU(tokenize="13a", effective_order=True)


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002, aclanthology P02-1040): words of tokenizer 13a, orders 1–4, case kept.

    Equal to `sacrebleu.corpus_bleu`, whose counts it sums: an order without a hit is smoothed (*exp*, NIST's mteval), and
    the brevity penalty is the corpus's. Short texts make it harsh: replies that have no four words anywhere give 0. The
    words are made for languages that put spaces between them; for others chrF says more.
    """

    name: ClassVar[str] = "bleu"
    about: ClassVar[str] = "overlap of word n-grams with the true text, 0 to 100"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """Per row: hits of each order, n-grams of each order in the reply, words of the reply, words of the truth, 1."""
        found = np.full((len(gold), 2 * MAX_ORDER + 3), np.nan)
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None:
                score = _counter().sentence_score(said.text, [row.text])
                found[i] = [*score.counts, *score.totals, score.sys_len, score.ref_len, 1.0]
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each reply as long as the truth, and nothing of it right."""
        found = self.statistics(gold, [Answer(row.id, row.text) for row in gold])
        found[:, :MAX_ORDER] = 0.0
        return found

    def values(self, sums: Floats) -> Floats:
        """The brevity penalty times the geometric mean of the precisions, times 100."""
        hits, said = (np.asarray(sums[..., low : low + MAX_ORDER], dtype=np.float64) for low in (0, MAX_ORDER))
        ours, theirs, n_rows = (np.asarray(sums[..., i], dtype=np.float64) for i in (-3, -2, -1))
        # The first order without a hit counts as half a one, the next as a quarter, and so on.
        smoothed = np.where(hits > 0, hits, 0.5 ** np.cumsum(hits <= 0, axis=-1))
        logs = np.log(np.divide(smoothed, said, out=np.ones_like(said), where=said > 0))
        ratio = np.divide(theirs, ours, out=np.ones_like(ours), where=ours > 0)
        score = 100 * np.exp(logs.mean(axis=-1) + np.minimum(0.0, 1 - ratio))
        score = np.where((said > 0).all(axis=-1) & (hits > 0).any(axis=-1), score, 0.0)
        return np.where(n_rows > 0, score, np.nan)
