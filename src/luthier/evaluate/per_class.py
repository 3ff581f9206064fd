"""How each label fares, and which labels are taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.jsonvalue import Json
from luthier.evaluate.answers import Answer, Gold


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one label over the judged rows.

    `support` is the number of judged rows of the label and `n_said` the number of rows answered with it. Precision is None
    for a label that was never said, recall for one without rows, F1 for one with neither.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    n_said: int

    def as_dict(self) -> dict[str, Json]:
        """Its fields by name, without the label."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, "support": self.support, "n_said": self.n_said}


def per_class(gold: Sequence[Gold], answers: Sequence[Answer]) -> tuple[ClassScore, ...]:
    """The scores of each label that is true of a judged row or was said, sorted by label; `answers` stand in `gold`'s order."""
    counts = confusion(gold, answers)
    support: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for (true, answered), n in counts.items():
        support[true] += n
        said[answered] += n
    found = []
    for label in sorted(support.keys() | said.keys()):
        right = counts[label, label]
        precision = right / said[label] if said[label] else None
        recall = right / support[label] if support[label] else None
        found.append(ClassScore(label, precision, recall, 2 * right / (support[label] + said[label]), support[label], said[label]))
    return tuple(found)


def confusion(gold: Sequence[Gold], answers: Sequence[Answer]) -> Counter[tuple[str, str]]:
    """How many judged rows have each pair of true label and answer; `answers` stand in `gold`'s order."""
    return Counter((row.text, said.text) for row, said in zip(gold, answers, strict=True) if said.text is not None)
