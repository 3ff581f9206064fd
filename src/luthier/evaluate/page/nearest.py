"""The training rows that are most like a text: where an error may have been learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from luthier.core.examples import AnyExample
from luthier.evaluate.baselines.baseline import WORD
from luthier.evaluate.page.material import asked, replied

MOST_SEARCHED = 50_000
"""Training rows that are searched: enough to find likeness, few enough for some seconds."""


@dataclass(frozen=True)
class Neighbour:
    """A training row, and the cosine of its TF-IDF vector and that of the text it is like (0 to 1)."""

    id: str
    source: str
    text: str
    reply: str
    likeness: float


def searched(training: Sequence[AnyExample]) -> Sequence[AnyExample]:
    """The rows that are searched: all of them, or every second, third, … one of a great many."""
    return training[:: max(1, -(-len(training) // MOST_SEARCHED))]


def nearest(training: Sequence[AnyExample], texts: Sequence[str], k: int = 3) -> tuple[tuple[Neighbour, ...], ...]:
    """For each text, the `k` training rows with the greatest cosine of TF-IDF over words (1–2), the likest first.

    Rows that share no word with a text are left out, so there may be fewer.
    """
    training = searched(training)
    known = [asked(row) for row in training]
    if not texts or not any(text.strip() for text in known):
        return tuple(() for _ in texts)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    likeness = (vectorizer.fit_transform(known) @ vectorizer.transform(texts).T).toarray().T
    # The last bits of a cosine depend on the order of its sum; equal texts must be equally near.
    likeness = np.minimum(likeness.round(9), 1.0)
    best = [[int(i) for i in np.argsort(-line, kind="stable")[:k] if line[i] > 0] for line in likeness]
    return tuple(
        tuple(Neighbour(training[i].id, training[i].source, known[i], replied(training[i]), float(line[i])) for i in row)
        for row, line in zip(best, likeness, strict=True)
    )
