"""An untuned model as a classifier: which label it finds likeliest after the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.evaluate.answers import Answer, Gold, labelled_answer
from luthier.evaluate.metrics import AnyMetric
from luthier.evaluate.metrics.metric import Floats, goodness, value_of


@dataclass(frozen=True)
class Reading:
    """How label likelihoods become scores.

    `per_token` divides a label's log-likelihood by its number of tokens. `prior` says what is subtracted afterwards:
    nothing; each label's mean over the validation rows (after Zhou et al. 2023, arXiv 2309.17249, in log space); or its
    value under a prompt without content (Zhao et al. 2021, arXiv 2102.09690; Holtzman et al. 2021, arXiv 2104.08315).
    """

    per_token: bool
    prior: str

    @property
    def about(self) -> str:
        """The reading in words."""
        corrections = {
            "none": "no prior correction",
            "validation": "label prior from the validation rows removed",
            "empty": "label prior of an empty prompt removed",
        }
        return ("per token, " if self.per_token else "summed over tokens, ") + corrections[self.prior]


@dataclass(frozen=True)
class LabelNats:
    """A model's log-likelihoods of labels.

    `rows` is rows × labels, the natural logarithm of each label's likelihood after the row's prompt, summed over the
    label's tokens; `n_tokens` is how many tokens each label has; `empty` are the log-likelihoods after a prompt without
    content, where they were measured.
    """

    labels: tuple[str, ...]
    n_tokens: NDArray[np.int64]
    empty: Floats | None = None

    def scores(self, rows: Floats, validation: Floats, reading: Reading) -> Floats:
        """Scores of `rows`, rows × labels, as `reading` says."""
        per = self.n_tokens if reading.per_token else np.ones_like(self.n_tokens)
        found: Floats = rows / per
        if reading.prior == "validation":
            found = found - (validation / per).mean(axis=0)
        if reading.prior == "empty":
            assert self.empty is not None, "readings by an empty prompt are offered only where it was measured"
            found = found - self.empty / per
        return found

    def readings(self, *, with_validation: bool) -> tuple[Reading, ...]:
        """The readings there are, the plainest first."""
        priors = ["none", *(["validation"] if with_validation else []), *(["empty"] if self.empty is not None else [])]
        return tuple(Reading(per_token, prior) for prior in priors for per_token in (False, True))


def read_labels(
    nats: LabelNats, validation: Floats, validation_gold: Sequence[str], rows: Floats, ids: Sequence[str], metric: AnyMetric
) -> tuple[tuple[Answer, ...], str]:
    """Answer with the likeliest label, read in the way that is best on the validation rows.

    Args:
        nats: the labels, their numbers of tokens and their likelihoods after an empty prompt.
        validation: log-likelihoods of the validation rows, rows × labels.
        validation_gold: their true labels; without validation rows the plainest reading is taken.
        rows: log-likelihoods of the test rows, rows × labels.
        ids: of the test rows.
        metric: the goal's, by which readings are compared; the plainer wins where two are equal.

    Returns:
        An answer for each test row, with probabilities (softmax of the scores), and the reading in words.

    """
    chosen, score = best_reading(nats, validation, validation_gold, metric)
    about = "no validation rows to choose by" if score is None else f"validation {metric.name} {score:.3f}"
    return _answers(ids, nats.labels, nats.scores(rows, validation, chosen)), f"{chosen.about} ({about})"


def best_reading(
    nats: LabelNats, validation: Floats, validation_gold: Sequence[str], metric: AnyMetric
) -> tuple[Reading, float | None]:
    """The reading that is best on the validation rows, the plainer of equals, and its value; the plainest without rows."""
    readings = nats.readings(with_validation=len(validation_gold) > 0)
    gold = [Gold(str(i), label) for i, label in enumerate(validation_gold)]
    if not gold:
        return readings[0], None
    values = []
    for reading in readings:
        said = _answers([row.id for row in gold], nats.labels, nats.scores(validation, validation, reading))
        values.append(value_of(metric, metric.statistics(gold, said)))
    best = max(range(len(readings)), key=lambda i: (goodness(metric, values[i]), -i))
    return readings[best], values[best]


def _answers(ids: Sequence[str], labels: Sequence[str], scores: Floats) -> tuple[Answer, ...]:
    likelihood = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = likelihood / likelihood.sum(axis=1, keepdims=True)
    return tuple(labelled_answer(name, dict(zip(labels, map(float, line), strict=True))) for name, line in zip(ids, shares, strict=True))
