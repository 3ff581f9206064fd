"""Evaluate: the bundle and its rivals on the untouched test rows, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from luthier.core.examples import AnyExample
from luthier.core.runs import Run
from luthier.data.likeness.said import group_value
from luthier.evaluate.answers import Gold, System, answers_hash, gold_hash
from luthier.evaluate.baselines import Known, Question, baselines_of
from luthier.evaluate.looks import count_look
from luthier.evaluate.report import Evaluation, RunFacts, evaluate, write_evaluation
from luthier.models.load import load
from luthier.models.probe import probe
from luthier.objectives import Classify
from luthier.serve import bundle
from luthier.stages import answering, rivals
from luthier.stages.answering import speaker_of
from luthier.stages.recipe import Recipe
from luthier.stages.rivals import Sides
from luthier.stages.tune import device
from luthier.train.precision import type_for_use

__all__ = ["Sides", "evaluate_run", "systems_of"]


def evaluate_run(recipe: Recipe, run: Run, sides: Sides, facts: RunFacts, runs: Path, pause: Callable[[], None]) -> Evaluation:
    """Answer the test rows with every system that applies, compare, judge, and write `evaluation/`.

    Args:
        recipe: the resolved recipe.
        run: the run's folder, with its bundle's tensors in place.
        sides: the prepared rows.
        facts: what the report says besides; its looks are counted here.
        runs: the folder of runs, which holds the ledger of looks.
        pause: called between two systems and between two batches of one; it raises where somebody has asked to stop.

    """
    gold = gold_of(recipe, sides.test)
    card = bundle.read_card(run.bundle)
    systems = list(systems_of(recipe, run, card, sides, pause))
    looks = count_look(runs, gold_hash(gold), answers_hash(systems[0]), recipe.name)
    evaluation = evaluate(recipe.goal, gold, systems, replace(facts, looks=looks))
    run.done("evaluate").unlink(missing_ok=True)
    write_evaluation(evaluation, run.evaluation)
    return evaluation


def systems_of(recipe: Recipe, run: Run, card: bundle.Card, sides: Sides, pause: Callable[[], None]) -> Iterator[System]:
    """Every system that applies, with its answers, one after the other: the tuned one, the base as a rival, the simple baselines."""
    yield tuned_answers(recipe, run, sides, pause)
    yield from _untuned(recipe, card, sides, pause)
    pause()
    yield from _simple(recipe, sides)
    pause()


def gold_of(recipe: Recipe, test: Sequence[AnyExample]) -> list[Gold]:
    """What is true of the test rows."""
    return [Gold(example.id, answering.truth_of(example), group_value(example, recipe.data.group)) for example in test]


def tuned_answers(recipe: Recipe, run: Run, sides: Sides, pause: Callable[[], None]) -> System:
    """The bundle's answers; its network is let go of before another is loaded."""
    tuned = bundle.open_bundle(run.bundle, device=str(device()))
    card = tuned.card
    speaker = speaker_of(tuned, card.layout, card.max_tokens, card.trained_in, pause)
    if recipe.goal.task == "classify":
        objective, rows = Classify(card.labels), rivals.labelled(sides.test)
        answers = answering.label_answers(objective, rows, answering.classify(speaker, objective, rows, "tuned"))
    else:
        answers = rivals.open_answers(recipe, card, speaker, sides.test, "tuned")
    return System("tuned", answers, f"{card.base} after {card.method} tuning{speaker.computing}", speaker.shortened.as_text())


def _untuned(recipe: Recipe, card: bundle.Card, sides: Sides, pause: Callable[[], None]) -> Iterator[System]:
    """*base* and *few_shot*, of one base model loaded once; plain text asks nothing that examples could show."""
    base = load(recipe.model.base, type_for_use(card.held, device()), str(device()), recipe.model.weights, recipe.seed)
    layout = probe(base.network, recipe.seed).layout
    pause()
    yield rivals.base(recipe, card, speaker_of(base, layout, card.max_tokens, card.trained_in, pause), sides)
    if recipe.goal.task != "pretrain":
        room = rivals.room_for_shots(base.context, card.max_tokens)
        yield rivals.few_shot(recipe, card, speaker_of(base, layout, room, card.trained_in, pause), sides)


def _simple(recipe: Recipe, sides: Sides) -> list[System]:
    """The baselines that need no language model."""
    train, validation = (
        [Known(answering.asked_text(row), answering.truth_of(row)) for row in side] for side in (sides.train, sides.validation)
    )
    questions = [Question(row.id, answering.asked_text(row)) for row in sides.test]
    return [baseline.answer(train, validation, questions) for baseline in baselines_of(recipe.goal.task, recipe.goal.judged_by)]
