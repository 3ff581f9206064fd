"""Always the same answer: the commonest one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from luthier.core.errors import LuthierError
from luthier.evaluate.answers import Answer, System
from luthier.evaluate.baselines.baseline import Known, Question


@dataclass(frozen=True)
class Majority:
    """The commonest training label or reply, the first in the alphabet where several are.

    The probabilities are the labels' shares of the training rows; replies (`probabilities` off) have none.
    """

    probabilities: bool = True
    name: ClassVar[str] = "majority"

    def answer(self, training: Sequence[Known], validation: Sequence[Known], questions: Sequence[Question]) -> System:
        """The same answer to each question."""
        if not training:
            raise LuthierError("training rows", "there are none", "give the training side a larger share of the split")
        counts = Counter(row.reply for row in training)
        reply = min(counts, key=lambda text: (-counts[text], text))
        shares = {text: count / len(training) for text, count in sorted(counts.items())} if self.probabilities else None
        about = f"always {reply[:40]!r}, {counts[reply]:,} of {len(training):,} training rows"
        return System(self.name, tuple(Answer(row.id, reply, shares) for row in questions), about)
