"""The mean over labels of F1, each label counting alike however rare it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, ratio


@dataclass(frozen=True)
class MacroF1:
    """Unweighted mean over labels of 2·tp / (2·tp + fp + fn).

    The mean is over those of `labels` that stand in the judged rows or in their answers, as in scikit-learn's
    `f1_score(average="macro")`. An answer outside `labels` is a miss for its row's label and nothing else.
    """

    labels: tuple[str, ...]

    name: ClassVar[str] = "macro_f1"
    about: ClassVar[str] = "mean of F1 over labels"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """Per row and label: 1 where the label is both true and said, then how often it is true or said (0, 1, 2)."""
        n_labels = len(self.labels)
        place = {label: i for i, label in enumerate(self.labels)}
        found = np.zeros((len(gold), 2 * n_labels))
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            assert row.text in place, f"{row.text!r} is a true label and must be among the metric's labels"
            if said.text is None:
                found[i] = np.nan
                continue
            found[i, n_labels + place[row.text]] += 1
            if said.text in place:
                found[i, n_labels + place[said.text]] += 1
            if said.text == row.text:
                found[i, place[row.text]] = 1
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row answered outside the labels: a miss for its true label."""
        return self.statistics(gold, [Answer(row.id, "") if "" not in self.labels else Answer(row.id, "\0") for row in gold])

    def values(self, sums: Floats) -> Floats:
        """The mean of F1 over the labels that were seen."""
        n_labels = len(self.labels)
        f1 = ratio(2 * sums[..., :n_labels], sums[..., n_labels:])
        seen = ~np.isnan(f1)
        return ratio(np.where(seen, f1, 0.0).sum(axis=-1), seen.sum(axis=-1).astype(np.float64))
