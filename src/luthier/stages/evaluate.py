"""Evaluate: the bundle and its rivals on the untouched test rows, and the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from luthier.core.examples import AnyExample, Labelled
from luthier.core.runs import Run
from luthier.data.relations import group_value
from luthier.evaluate.answers import Answer, Gold, System, answers_hash, gold_hash, labelled_answer
from luthier.evaluate.baselines import Known, Question, baselines_of
from luthier.evaluate.baselines.prompted import LabelNats, read_labels
from luthier.evaluate.looks import count_look
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.report import Evaluation, RunFacts, evaluate, write_evaluation
from luthier.models.load import load
from luthier.models.probe import probe
from luthier.objectives import Classify
from luthier.serve import bundle
from luthier.stages import answering
from luthier.stages.answering import Speaker
from luthier.stages.recipe import Recipe
from luthier.stages.tune import device
from luthier.train.precision import held_for_use

N_CHOOSING = 300
"""Validation rows that *base* is read on to choose between its readings: enough to tell them apart."""


@dataclass(frozen=True)
class Sides:
    """The prepared examples of the three sides."""

    train: Sequence[AnyExample]
    validation: Sequence[AnyExample]
    test: Sequence[AnyExample]


def evaluate_run(recipe: Recipe, run: Run, sides: Sides, facts: RunFacts, runs: Path, pause: Callable[[], None]) -> Evaluation:
    """Answer the test rows with every system that applies, compare, judge, and write `evaluation/`.

    Args:
        recipe: the resolved recipe.
        run: the run's folder, with its bundle's tensors in place.
        sides: the prepared rows.
        facts: what the report says besides; its looks are counted here.
        runs: the folder of runs, which holds the ledger of looks.
        pause: called between two systems; it raises where somebody has asked to stop.

    """
    gold = [Gold(example.id, answering.truth_of(example), _group(example, recipe)) for example in sides.test]
    tuned = bundle.open_bundle(run.bundle, device=str(device()))
    speaker = Speaker(tuned.network, tuned.tokenizer, tuned.card.layout, tuned.card.max_tokens)
    systems = [replace(_tuned(recipe, tuned.card, speaker, sides), shortened=speaker.shortened.as_text())]
    pause()
    systems.append(_base(recipe, tuned.card, sides))
    pause()
    systems += _simple(recipe, sides)
    pause()
    looks = count_look(runs, gold_hash(gold), answers_hash(systems[0]), recipe.name)
    evaluation = evaluate(recipe.goal, gold, systems, replace(facts, looks=looks))
    run.done("evaluate").unlink(missing_ok=True)
    write_evaluation(evaluation, run.evaluation)
    return evaluation


def _group(example: AnyExample, recipe: Recipe) -> str | None:
    return group_value(example, recipe.data.group)


def _tuned(recipe: Recipe, card: bundle.Card, speaker: Speaker, sides: Sides) -> System:
    about = f"{card.base} after {card.method} tuning"
    if recipe.goal.task == "classify":
        objective = Classify(card.labels)
        rows = _labelled(sides.test)
        return System("tuned", answering.label_answers(objective, rows, answering.classify(speaker, objective, rows, "tuned")), about)
    return System("tuned", _open_answers(recipe, card, speaker, sides.test, "tuned"), about)


def _base(recipe: Recipe, card: bundle.Card, sides: Sides) -> System:
    """The base model as it came: it picks the likeliest label, or answers in its own template."""
    base = load(recipe.model.base, held_for_use(card.held, device()), str(device()), recipe.model.weights, recipe.seed)
    layout = probe(base.network, recipe.seed).layout
    speaker = Speaker(base.network, base.tokenizer, layout, card.max_tokens)
    if recipe.goal.task != "classify":
        said_openly = _open_answers(recipe, card, speaker, sides.test, "base")
        return System("base", said_openly, f"{card.base} as it came", speaker.shortened.as_text())
    labels, about = card.labels, recipe.goal.about
    chosen = _labelled(sides.validation)[:N_CHOOSING]
    validation = answering.label_nats(speaker, labels, about, [row.text for row in chosen], "base, validation")
    test = _labelled(sides.test)
    said = answering.label_nats(speaker, labels, about, [row.text for row in test], "base")
    empty = answering.label_nats(speaker, labels, about, [""])[0]
    nats = LabelNats(labels, answering.n_label_tokens(speaker, labels), empty)
    wanted = [row.label or "" for row in chosen]
    metric = metric_named(recipe.goal.judged_by, sorted({*labels, *wanted}))
    answers, reading = read_labels(nats, validation, wanted, said, [row.id for row in test], metric)
    about = f"{card.base} as it came, the likeliest label in its own template: {reading}"
    return System("base", _with_loss(answers, test), about, speaker.shortened.as_text())


def _with_loss(answers: Sequence[Answer], rows: Sequence[Labelled]) -> tuple[Answer, ...]:
    return tuple(labelled_answer(answer.id, answer.probabilities or {}, row.label) for answer, row in zip(answers, rows, strict=True))


def _open_answers(recipe: Recipe, card: bundle.Card, speaker: Speaker, rows: Sequence[AnyExample], name: str) -> tuple[Answer, ...]:
    """Replies where the task asks for them, and in any case the loss of the truth."""
    nats, n_tokens = answering.truth_nats(speaker, rows, speaker.max_tokens)
    texts: Sequence[str | None] = [None] * len(rows)
    if recipe.goal.task != "pretrain":
        texts = answering.reply(speaker, rows, card.max_reply_tokens, name)
    return tuple(
        Answer(row.id, text, None, float(loss) if n else None, int(n) if n else None)
        for row, text, loss, n in zip(rows, texts, nats, np.asarray(n_tokens), strict=True)
    )


def _simple(recipe: Recipe, sides: Sides) -> list[System]:
    """The baselines that need no language model."""
    train, validation = (
        [Known(answering.asked_text(row), answering.truth_of(row)) for row in side] for side in (sides.train, sides.validation)
    )
    questions = [Question(row.id, answering.asked_text(row)) for row in sides.test]
    return [baseline.answer(train, validation, questions) for baseline in baselines_of(recipe.goal.task, recipe.goal.judged_by)]


def _labelled(rows: Sequence[AnyExample]) -> list[Labelled]:
    return [row for row in rows if isinstance(row, Labelled)]
