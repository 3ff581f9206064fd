"""The table of metrics: `AnyMetric`, and which of them a task is measured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from luthier.evaluate.answers import Gold
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.metrics.bits_per_byte import BitsPerByte
from luthier.evaluate.metrics.bleu import Bleu
from luthier.evaluate.metrics.brier import Brier
from luthier.evaluate.metrics.calibration_error import CalibrationError
from luthier.evaluate.metrics.chrf import Chrf
from luthier.evaluate.metrics.exact_match import ExactMatch
from luthier.evaluate.metrics.length import Length
from luthier.evaluate.metrics.loss import Loss
from luthier.evaluate.metrics.macro_f1 import MacroF1
from luthier.evaluate.metrics.numeric_match import MARK, NumericMatch
from luthier.evaluate.metrics.repetition import Repetition
from luthier.evaluate.metrics.rouge_l import RougeL

AnyMetric: TypeAlias = (
    Accuracy | MacroF1 | CalibrationError | Brier
    | ExactMatch | NumericMatch | Chrf | Bleu | RougeL | Loss | BitsPerByte | Length | Repetition
)  # fmt: skip
METRICS: Mapping[str, type[AnyMetric]] = {kind.name: kind for kind in get_args(AnyMetric)}

Task: TypeAlias = Literal["classify", "answer", "chat", "pretrain", "prefer", "regress", "tag"]
TUNED: tuple[Task, ...] = ("classify", "answer", "chat", "pretrain")
"""The tasks that can be tuned and judged; the rows of the others can be prepared."""
_REPLIES = ("bleu", "rouge_l", "bits_per_byte", "length", "repetition")
TASK_METRICS: Mapping[Task, tuple[str, ...]] = {
    "classify": ("macro_f1", "accuracy", "calibration_error", "brier"),
    "answer": ("exact_match", "numeric_match", "chrf", "loss_nats", *_REPLIES),
    "chat": ("chrf", "exact_match", "loss_nats", *_REPLIES),
    "pretrain": ("loss_nats", "bits_per_byte"),
    "prefer": (),
    "regress": (),
    "tag": (),
}
"""The metrics of each task, the most telling first; the first is the one that a goal without a metric is judged by."""
OF_LIKELIHOOD = ("loss_nats", "bits_per_byte")
"""Metrics of how likely a system finds the truth, which only models can say."""


def goal_metrics(task: Task) -> tuple[str, ...]:
    """The metrics that a goal of that task can be judged by: those of which one knows which way is better."""
    return tuple(name for name in TASK_METRICS[task] if METRICS[name].higher_is_better is not None)


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
