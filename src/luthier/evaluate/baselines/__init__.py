"""The table of baselines that need no language model: `AnyBaseline`, and which of them a task is compared with."""

from __future__ import annotations

from typing import TypeAlias

from luthier.evaluate.baselines.baseline import Known, Question
from luthier.evaluate.baselines.logistic_tfidf import LogisticTfidf
from luthier.evaluate.baselines.majority import Majority
from luthier.evaluate.baselines.nearest_prompt import NearestPrompt
from luthier.evaluate.metrics import Task

AnyBaseline: TypeAlias = Majority | LogisticTfidf | NearestPrompt

__all__ = ["AnyBaseline", "Known", "LogisticTfidf", "Majority", "NearestPrompt", "Question", "baselines_of"]


def baselines_of(task: Task, metric: str = "accuracy") -> tuple[AnyBaseline, ...]:
    """The baselines of a task: none for plain text, which asks nothing.

    Args:
        task: the goal's task.
        metric: the goal's metric, by which a classifier's settings are chosen.

    """
    if task == "classify":
        return (Majority(), LogisticTfidf(metric))
    return (Majority(probabilities=False), NearestPrompt()) if task in ("answer", "chat") else ()
