"""Labels in doubt: confident learning, and the cross-validated probabilities that it goes by."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from luthier.core.draws import seed_of

MOST_FITTED = 50_000
"""Rows that a model is fitted on at most, drawn by seed and id; all rows are judged."""
MOST_CHARACTERS = 5_000_000
"""Up to so many characters of them, runs of characters are features beside words: they help most where texts are short."""
_AT_ONCE = 2048
_WORD = r"(?u)\b\w+\b"
_C = 10.0


@dataclass(frozen=True, eq=False)
class Judged:
    """Labelled rows without their texts: ids, the labels in order, each row's label (as a place in `labels`) and cluster."""

    ids: Sequence[str]
    labels: list[str]
    given: NDArray[np.int64]
    clusters: NDArray[np.int64]

    @property
    def can_be_judged(self) -> bool:
        """Whether there is anything to tell apart: two labels, and two clusters to learn from and to judge."""
        return len(self.labels) >= 2 and len(np.unique(self.clusters)) >= 2


@dataclass(frozen=True)
class Doubt:
    """A row whose label is in doubt: the class that it should have instead, and the probabilities of the two."""

    suggested: int
    p_suggested: float
    p_given: float


def doubts(probabilities: NDArray[np.float32], given: NDArray[np.int64]) -> dict[int, Doubt]:
    """The rows off the diagonal of the confident joint, by their places.

    A row counts as of class j if its probability of j is at least the mean probability of j over the rows that are
    labelled j; of several such classes, the likeliest counts (Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068,
    equations 1 and 2). A row that counts as of another class than its label says is in doubt, if it is also likelier of that
    class: a class that no row is likely of has a low mean, and would else be found everywhere.

    Args:
        probabilities: (rows, classes), each row's from a model that was not trained on it.
        given: the rows' classes.

    """
    n_classes = probabilities.shape[1]
    sums = np.zeros(n_classes)
    for start in range(0, len(given), _AT_ONCE):
        mine = given[start : start + _AT_ONCE]
        np.add.at(sums, mine, probabilities[np.arange(start, start + len(mine)), mine].astype(np.float64))
    counts = np.bincount(given, minlength=n_classes)
    # A class without rows is confidently nobody's.
    least = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    found: dict[int, Doubt] = {}
    for start in range(0, len(given), _AT_ONCE):
        part = np.asarray(probabilities[start : start + _AT_ONCE], dtype=np.float64)
        confident = np.where(part >= least, part, -1.0)
        suggested = confident.argmax(axis=1)
        mine = given[start : start + len(part)]
        for i in np.flatnonzero(confident.max(axis=1) > part[np.arange(len(part)), mine]).tolist():
            found[start + i] = Doubt(int(suggested[i]), float(part[i, suggested[i]]), float(part[i, mine[i]]))
    return found


def cross_validated(judged: Judged, texts: Callable[[], Iterable[str]], n_folds: int, seed: int, file: IO[bytes]) -> NDArray[np.float32]:
    """Probabilities (rows, classes) from logistic regression on TF-IDF, each row's from a model fitted without its cluster.

    Args:
        judged: the rows.
        texts: reads their texts from the beginning, in their order.
        n_folds: parts; clusters stay whole.
        seed: of the recipe.
        file: where the probabilities lie, so that they need no memory.

    """
    shape = (len(judged.ids), len(judged.labels))
    file.truncate(shape[0] * shape[1] * 4)
    probabilities = np.memmap(file, np.float32, "r+", shape=shape)
    fold_of = _folds(judged, n_folds, seed)
    chosen = _drawn(judged, seed)
    held = {i: text for i, text in enumerate(texts()) if chosen[i]}
    for fold in range(n_folds):
        known = [i for i in held if fold_of[i] != fold]
        classes = np.unique(judged.given[known])
        model = _Model.fitted([held[i] for i in known], judged.given[known]) if len(classes) > 1 else None
        if model is None:
            # Nothing to tell apart, or nothing to go by: such a row is likely of no class, and never in doubt.
            probabilities[fold_of == fold] = 0
            continue
        for places, part in _some(texts(), fold_of == fold):
            found = np.zeros((len(places), shape[1]), np.float32)
            found[:, classes] = model.probabilities(part)
            probabilities[places] = found
    return probabilities


def _folds(judged: Judged, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each row's fold. Clusters are dealt out in a drawn order, label by label, so that folds have all labels in like shares."""
    first: dict[int, int] = {}
    for i, cluster in enumerate(judged.clusters.tolist()):
        if cluster not in first or judged.ids[i] < judged.ids[first[cluster]]:
            first[cluster] = i
    in_order = sorted(first, key=lambda cluster: (judged.given[first[cluster]], seed_of(seed, "folds", judged.ids[first[cluster]])))
    fold_of = {cluster: k % n_folds for k, cluster in enumerate(in_order)}
    return np.array([fold_of[cluster] for cluster in judged.clusters.tolist()], dtype=np.int64)


def _drawn(judged: Judged, seed: int) -> NDArray[np.bool_]:
    """Which rows models are fitted on."""
    if len(judged.ids) <= MOST_FITTED:
        return np.ones(len(judged.ids), dtype=np.bool_)
    draws = np.array([seed_of(seed, "fitted", name) for name in judged.ids])
    drawn: NDArray[np.bool_] = draws <= np.partition(draws, MOST_FITTED - 1)[MOST_FITTED - 1]
    return drawn


def _some(texts: Iterable[str], wanted: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """The wanted texts with their places, some at a time."""
    waiting = ((i, text) for i, text in enumerate(texts) if wanted[i])
    while part := list(islice(waiting, _AT_ONCE)):
        yield np.array([i for i, _ in part]), [text for _, text in part]


@dataclass(frozen=True, eq=False)
class _Model:
    """Logistic regression on TF-IDF, one label against the rest; None where the texts hold no words at all."""

    features: tuple[Any, ...]
    regression: Any

    @classmethod
    def fitted(cls, texts: Sequence[str], classes: NDArray[np.int64]) -> _Model | None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        vectorizers: list[Any] = [TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD, dtype=np.float32)]
        if sum(map(len, texts)) <= MOST_CHARACTERS:
            vectorizers.append(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32))
        features, matrices = [], []
        for one in vectorizers:
            # Texts without a word in them (or without a character) are refused as an "empty vocabulary".
            with contextlib.suppress(ValueError):
                matrices.append(one.fit_transform(texts))
                features.append(one)
        if not features:
            return None
        matrix = _stacked(matrices)
        regression = OneVsRestClassifier(LogisticRegression(C=_C, solver="liblinear", dual=True, tol=0.1, random_state=0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return cls(tuple(features), regression.fit(matrix, classes))

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, classes that it was fitted on)."""
        found: NDArray[np.float32] = self.regression.predict_proba(_stacked([one.transform(texts) for one in self.features]))
        return found


def _stacked(matrices: Sequence[Any]) -> Any:
    from scipy.sparse import csr_matrix, hstack

    return csr_matrix(hstack(matrices))
