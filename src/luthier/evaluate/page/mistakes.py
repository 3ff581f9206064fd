"""Where is it wrong? Labels, confusions, and the worst rows with the training rows that are most like them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import METRICS
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.page.label_f1 import LabelF1
from luthier.evaluate.page.material import TUNED, Material, asked
from luthier.evaluate.page.nearest import Neighbour, nearest
from luthier.evaluate.page.words import Number, direction, number_of

N_WORST = 10
N_CONFUSIONS = 15
MANY_LABELS = 12
"""With more labels than this, a table of all confusions is unreadable and the most frequent ones are shown."""


@dataclass(frozen=True)
class LabelScore:
    """How one label fares; `n_train` is the number of its training rows."""

    label: str
    f1: Number
    precision: Number
    recall: Number
    n_train: int


@dataclass(frozen=True)
class Confusion:
    """Rows of one label that were answered with another; `share` is of that label's judged rows."""

    gold: str
    said: str
    n: int
    share: Number


@dataclass(frozen=True)
class WorstRow:
    """A test row that tuned got wrong, or as wrong as any.

    `score` is the row's own, by the metric that decides, and `sure` the probability that tuned gave to its answer.
    `others` are the other systems' answers.
    """

    id: str
    source: str
    text: str
    gold: str
    said: str | None
    score: float | None
    sure: float | None
    others: tuple[tuple[str, str | None, float | None], ...]
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Mistakes:
    """All of it; `labels` and `confusions` are empty where there are no labels, and `n_wrong` is None there.

    `matrix` is (labels, rows of counts: true label × answer), None with many labels. `row_scores` are tuned's, by row.
    """

    n: int
    n_wrong: int | None
    labels: tuple[LabelScore, ...]
    confusions: tuple[Confusion, ...]
    n_confusions: int
    matrix: tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None
    worst: tuple[WorstRow, ...]
    row_scores: tuple[float, ...]


def mistakes_of(material: Material) -> Mistakes:
    """What tuned got wrong."""
    gold, said = material.gold, material.system(TUNED).answers
    wrong: int | None = None
    labels: tuple[LabelScore, ...] = ()
    pairs: list[tuple[str, str, int]] = []
    if material.task == "classify":
        wrong = sum(one.text is not None and one.text != row.text for row, one in zip(gold, said, strict=True))
        labels = tuple(_label_score(material, label, gold, said) for label in _labels(material))
        pairs = [(one["gold"], one["said"], one["n"]) for one in material.details.get(TUNED, {}).get("confusions", ())]
    values = [row["systems"].get(TUNED, {}).get(material.metric) for row in material.scores]
    return Mistakes(
        n=len(gold),
        n_wrong=wrong,
        labels=tuple(sorted(labels, key=lambda one: (one.f1.value if one.f1.value is not None else -1.0, one.label))),
        confusions=tuple(_confusion(material, *pair) for pair in pairs[:N_CONFUSIONS]),
        n_confusions=int(material.details.get(TUNED, {}).get("n_confusions", len(pairs))),
        matrix=_matrix(gold, said, [one.label for one in labels]),
        worst=_worst(material),
        row_scores=tuple(float(value) for value in values if value is not None),
    )


def subset(rows: Sequence[Gold], answers: Sequence[Answer], keep: Sequence[bool]) -> tuple[list[Gold], list[Answer]]:
    """The rows and answers that are kept."""
    return [row for row, kept in zip(rows, keep, strict=True) if kept], [one for one, kept in zip(answers, keep, strict=True) if kept]


def _labels(material: Material) -> list[str]:
    said = {one.text for one in material.system(TUNED).answers if one.text is not None}
    return sorted({row.text for row in material.gold} | said)


def _label_score(material: Material, label: str, gold: Sequence[Gold], said: Sequence[Answer]) -> LabelScore:
    seed = material.seed
    true = subset(gold, said, [row.text == label for row in gold])
    answered = subset(gold, said, [one.text == label for one in said])
    either = subset(gold, said, [label in (row.text, one.text) for row, one in zip(gold, said, strict=True)])
    return LabelScore(
        label,
        f1=number_of(estimate(LabelF1(label), *either, seed=seed)),
        precision=number_of(estimate(Accuracy(), *answered, seed=seed)),
        recall=number_of(estimate(Accuracy(), *true, seed=seed)),
        n_train=material.label_counts.get(label, {}).get("train", 0),
    )


def _confusion(material: Material, gold: str, said: str, n: int) -> Confusion:
    rows, answers = subset(material.gold, material.system(TUNED).answers, [row.text == gold for row in material.gold])
    # The share of rows that got this one wrong answer is an accuracy with that answer taken for the true one.
    turned = [Gold(row.id, said, row.group) for row in rows]
    return Confusion(gold, said, n, number_of(estimate(Accuracy(), turned, answers, seed=material.seed)))


def _matrix(
    gold: Sequence[Gold], said: Sequence[Answer], labels: Sequence[str]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None:
    if not labels or len(labels) > MANY_LABELS:
        return None
    counts = [[0] * len(labels) for _ in labels]
    place = {label: i for i, label in enumerate(labels)}
    for row, one in zip(gold, said, strict=True):
        if one.text is not None:
            counts[place[row.text]][place[one.text]] += 1
    return tuple(labels), tuple(tuple(line) for line in counts)


def _worst(material: Material) -> tuple[WorstRow, ...]:
    """The worst rows: wrong labels by how sure tuned was of them, replies by their own score."""
    metric, turn = METRICS.get(material.metric), direction(material.metric) or 1
    best = math.inf if metric is None else turn * metric.range[turn > 0]
    ranked: list[tuple[float, str, Mapping[str, Any]]] = []
    for row in material.scores:
        said = row["systems"].get(TUNED, {})
        if material.task == "classify":
            if said.get("answer") is not None and said["answer"] != row["gold"]:
                ranked.append((-(said.get("probability") or 0.0), str(row["id"]), row))
        elif said.get(material.metric) is not None and turn * said[material.metric] < best:
            ranked.append((turn * said[material.metric], str(row["id"]), row))
    rows = [row for _, _, row in sorted(ranked, key=lambda one: one[:2])[:N_WORST]]
    texts = [asked(material.test[str(row["id"])]) if str(row["id"]) in material.test else "" for row in rows]
    alike = nearest(material.rows.get("train", ()), texts)
    return tuple(_worst_row(material, *one) for one in zip(rows, texts, alike, strict=True))


def _worst_row(material: Material, row: Mapping[str, Any], text: str, neighbours: tuple[Neighbour, ...]) -> WorstRow:
    said = row["systems"][TUNED]
    others = tuple(
        (name, one.get("answer"), one.get("probability")) for name, one in row["systems"].items() if name != TUNED and one.get("answer")
    )
    example = material.test.get(str(row["id"]))
    source = example.source if example is not None else ""
    return WorstRow(
        str(row["id"]), source, text, str(row["gold"]), said.get("answer"), said.get(material.metric), said.get("probability"), others,
        neighbours,
    )  # fmt: skip
