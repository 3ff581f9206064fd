"""How much more a row is like its own label's rows than like another's, by its words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.data.profile.word_weights import word_weights

MOST_LABELS = 500
FEWEST_OF_A_LABEL = 5
_MOST_WORDS = 50_000
_AT_ONCE = 2_000


def label_margins(labels: Sequence[str | None], texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Cosine to the centre of the other rows of its label, less the cosine to the nearest centre of another label.

    TF-IDF over words (1–2). NaN for rows without a label, or of one with fewer than `FEWEST_OF_A_LABEL` rows; None where there is
    nothing to tell apart, or too many labels to compare with.
    """
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
    names = sorted(name for name, n in counts.items() if n >= FEWEST_OF_A_LABEL)
    if not 2 <= len(names) <= MOST_LABELS:
        return None
    place = {name: i for i, name in enumerate(names)}
    judged = np.array([i for i, label in enumerate(labels) if label in place], dtype=np.int64)
    own = np.array([place[str(labels[i])] for i in judged], dtype=np.int64)
    vectors = word_weights([texts[i] for i in judged], _MOST_WORDS)
    if vectors is None:
        return None
    import scipy.sparse

    members = scipy.sparse.csr_matrix((np.ones(len(own)), (own, np.arange(len(own)))), shape=(len(names), len(own)))
    sums = members @ vectors
    squares = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    found = np.full(len(labels), np.nan)
    for start in range(0, len(own), _AT_ONCE):
        rows, mine = vectors[start : start + _AT_ONCE], own[start : start + _AT_ONCE]
        dots = (rows @ sums.T).toarray()
        lines = np.arange(len(mine))
        length = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
        alone = squares[mine] - 2 * dots[lines, mine] + length
        to_own = (dots[lines, mine] - length) / np.sqrt(np.maximum(alone, 1e-12))
        cosines = dots / np.sqrt(np.maximum(squares, 1e-12))
        cosines[lines, mine] = -1.0
        found[judged[start : start + _AT_ONCE]] = (to_own - cosines.max(axis=1)).round(9)
    return found
