"""The shape of a baseline that needs no language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from luthier.evaluate.answers import System

WORD = r"\w+|[^\w\s]+"
"""What TF-IDF counts as a word: letters and digits, or a run of other marks, so that no text is without words."""


@dataclass(frozen=True)
class Known:
    """A training or validation row: what was asked, and the label or reply that is right."""

    prompt: str
    reply: str


@dataclass(frozen=True)
class Question:
    """A test row as a baseline sees it: without the truth, so that nothing can leak."""

    id: str
    prompt: str


class Baseline(Protocol):
    """Something simple that a tuned model has to be better than to be worth its cost."""

    name: ClassVar[str]
    """The system's name in the report."""

    def answer(self, training: Sequence[Known], validation: Sequence[Known], questions: Sequence[Question]) -> System:
        """Learn from the training rows, make choices on the validation rows, answer the questions.

        Raises:
            LuthierError: the training rows cannot be learnt from.

        """
