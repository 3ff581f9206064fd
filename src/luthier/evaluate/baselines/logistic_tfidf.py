"""The classifier that a language model has to beat: logistic regression on words and characters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from luthier.core.errors import LuthierError
from luthier.evaluate.answers import Answer, Gold, System, labelled_answer
from luthier.evaluate.baselines.baseline import WORD, Known, Question
from luthier.evaluate.metrics import AnyMetric, metric_named
from luthier.evaluate.metrics.metric import Floats, goodness, value_of

DEFAULT_C = 10.0
MANY_ROWS = 1_000


@dataclass(frozen=True)
class LogisticTfidf:
    """TF-IDF of words (1–2) and of characters within words (2–5), one logistic regression for each label.

    Term counts are damped (1 + log), and C is the one of `grid` whose answers to the validation rows have the best
    `metric`, the smaller where two are equal; without validation rows it is 10. The probabilities are the labels'
    separate ones, scaled to sum to 1. Measured on an intent data set of 10,003 rows and 77 labels (an 80/20 split of its
    training file): accuracy 0.90 in about 15 s on one core, against 0.89 for one multinomial regression, which takes
    several times as long, and 0.896 with characters across words.
    """

    metric: str = "accuracy"
    grid: tuple[float, ...] = (1.0, 10.0, 100.0)
    name: ClassVar[str] = "classical"

    def answer(self, training: Sequence[Known], validation: Sequence[Known], questions: Sequence[Question]) -> System:
        """The likeliest label of each question."""
        labels = sorted({row.reply for row in training})
        if len(labels) < 2:
            found = f"all of them have the label {labels[0]!r}" if labels else "there are none"
            raise LuthierError("training rows", found, "give rows of two labels or more")
        if not any(row.prompt.strip() for row in training):
            raise LuthierError("training rows", "none of them has any text", "check which column is the text")
        features = _Features.learnt([row.prompt for row in training])
        known = features.of([row.prompt for row in training])
        replies = np.array([labels.index(row.reply) for row in training])
        asked = features.of([row.prompt for row in questions])
        if not validation:
            probabilities = _fitted(known, replies, DEFAULT_C).predict_proba(asked)
            return System(self.name, _answers(questions, labels, probabilities), f"TF-IDF and logistic regression, C = {DEFAULT_C:g}")
        held_out = features.of([row.prompt for row in validation])
        metric = metric_named(self.metric, sorted({*labels, *(row.reply for row in validation)}))
        models = [_fitted(known, replies, c) for c in self.grid]
        scores = [_score(metric, validation, labels, model.predict_proba(held_out)) for model in models]
        best = max(range(len(models)), key=lambda i: (goodness(metric, scores[i]), -self.grid[i]))
        score, probabilities = scores[best], models[best].predict_proba(asked)
        about = f"TF-IDF and logistic regression, C = {self.grid[best]:g} (validation {self.metric} {score:.3f})"
        return System(self.name, _answers(questions, labels, probabilities), about)


@dataclass(frozen=True)
class _Features:
    vectorizers: tuple[Any, ...]

    @classmethod
    def learnt(cls, texts: Sequence[str]) -> _Features:
        # An n-gram of characters that stands in one row of a thousand tells nothing; in a small set it might.
        min_df = 2 if len(texts) >= MANY_ROWS else 1
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=min_df)
        return cls(tuple(vectorizer.fit(texts) for vectorizer in (words, characters)))

    def of(self, texts: Sequence[str]) -> Any:
        return csr_matrix(hstack([vectorizer.transform(texts) for vectorizer in self.vectorizers]))


def _fitted(known: Any, replies: Any, c: float) -> Any:
    model = OneVsRestClassifier(LogisticRegression(C=c, solver="liblinear", dual=True, tol=0.1, random_state=0))
    with warnings.catch_warnings():
        # Large C stops at the iteration limit; validation judges the model that comes out, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(known, replies)


def _score(metric: AnyMetric, validation: Sequence[Known], labels: Sequence[str], probabilities: Floats) -> float:
    gold = [Gold(str(i), row.reply) for i, row in enumerate(validation)]
    said = _answers([Question(row.id, "") for row in gold], labels, probabilities)
    score = value_of(metric, metric.statistics(gold, said))
    assert score is not None, "a classifier answers every validation row"
    return score


def _answers(questions: Sequence[Question], labels: Sequence[str], probabilities: Floats) -> tuple[Answer, ...]:
    rows = zip(questions, probabilities, strict=True)
    return tuple(labelled_answer(row.id, dict(zip(labels, map(float, line), strict=True))) for row, line in rows)
