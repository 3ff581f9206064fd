"""Which training rows a question is most like, by their words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from luthier.evaluate.baselines.baseline import WORD

_CHUNK = 256


def nearest(training: Sequence[str], questions: Sequence[str], k: int) -> list[list[int]]:
    """For each question the numbers of the `k` most similar training texts, the most similar first.

    Likeness is the cosine of TF-IDF over words (1–2), term counts damped; of equal ones the earlier stands first, also
    where a question shares no word with any text. There are fewer than `k` where there are fewer texts.
    """
    k = min(k, len(training))
    if not k or not any(text.strip() for text in training):
        return [list(range(k)) for _ in questions]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    known = vectorizer.fit_transform(training).T.tocsr()
    asked = vectorizer.transform(questions)
    found: list[list[int]] = []
    for start in range(0, len(questions), _CHUNK):
        # The last bits of a cosine depend on the order of its sum; equal texts must be equally near.
        for likeness in np.asarray((asked[start : start + _CHUNK] @ known).todense()).round(12):
            close = np.flatnonzero(likeness >= np.partition(likeness, -k)[-k])
            order = np.lexsort((close, -likeness[close]))
            found.append([int(i) for i in close[order][:k]])
    return found
