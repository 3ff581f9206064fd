"""The table of metrics: `AnyMetric`, and which of them a task is measured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from luthier.evaluate.answers import Gold
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.metrics.chrf import Chrf
from luthier.evaluate.metrics.exact_match import ExactMatch
from luthier.evaluate.metrics.loss import Loss
from luthier.evaluate.metrics.macro_f1 import MacroF1
from luthier.evaluate.metrics.numeric_match import MARK, NumericMatch

AnyMetric: TypeAlias = Accuracy | MacroF1 | ExactMatch | NumericMatch | Chrf | Loss
METRICS: Mapping[str, type[AnyMetric]] = {kind.name: kind for kind in get_args(AnyMetric)}

Task: TypeAlias = Literal["classify", "answer", "chat", "pretrain"]
TASK_METRICS: Mapping[Task, tuple[str, ...]] = {
    "classify": ("macro_f1", "accuracy"),
    "answer": ("exact_match", "numeric_match", "chrf", "loss_nats"),
    "chat": ("chrf", "exact_match", "loss_nats"),
    "pretrain": ("loss_nats",),
}
"""The metrics of each task; the first is the one that a goal without a metric is judged by."""


def metric_named(name: str, labels: Sequence[str] = ()) -> AnyMetric:
    """The metric of that name; `labels` are what a metric over labels averages over."""
    kind = METRICS[name]
    return MacroF1(tuple(labels)) if kind is MacroF1 else kind()  # type: ignore[call-arg]


def metrics_of(task: Task, gold: Sequence[Gold], labels: Sequence[str] = (), goal_metric: str | None = None) -> tuple[AnyMetric, ...]:
    """The metrics that a task's rows are measured by, the goal's first.

    Numbers are compared only where most true replies end in one behind `####`, or where the goal asks for it.
    """
    names = list(TASK_METRICS[task])
    with_number = sum(MARK in row.text for row in gold)
    if "numeric_match" in names and goal_metric != "numeric_match" and 2 * with_number <= len(gold):
        names.remove("numeric_match")
    if goal_metric in names:
        names.insert(0, names.pop(names.index(goal_metric)))
    return tuple(metric_named(name, labels) for name in names)
