"""Answering by looking up: the reply to the training prompt that is most alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from luthier.core.errors import LuthierError
from luthier.evaluate.answers import Answer, System
from luthier.evaluate.baselines.baseline import Known, Question
from luthier.evaluate.baselines.nearest import nearest


@dataclass(frozen=True)
class NearestPrompt:
    """The reply of the training prompt with the greatest cosine of TF-IDF over words (1–2), the first where several are.

    A question that shares no word with any training prompt gets the first training row's reply, as any would do.
    """

    name: ClassVar[str] = "classical"

    def answer(self, training: Sequence[Known], validation: Sequence[Known], questions: Sequence[Question]) -> System:
        """A training reply for each question."""
        if not any(row.prompt.strip() for row in training):
            raise LuthierError("training rows", "there are none with a prompt", "check which column is the prompt")
        closest = nearest([row.prompt for row in training], [row.prompt for row in questions], 1)
        answers = tuple(Answer(row.id, training[i].reply) for row, (i,) in zip(questions, closest, strict=True))
        return System(self.name, answers, "the reply to the most similar training prompt (TF-IDF cosine)")
