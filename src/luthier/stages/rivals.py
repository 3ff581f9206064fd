"""The base model as a rival, untuned: asked as it came, and asked behind the nearest training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from luthier.core.draws import permutation
from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.evaluate.answers import Answer, Gold, System, labelled_answer
from luthier.evaluate.baselines.nearest import nearest
from luthier.evaluate.baselines.prompted import LabelNats, best_reading, read_labels
from luthier.evaluate.metrics import OF_LIKELIHOOD, AnyMetric, metric_named
from luthier.evaluate.metrics.metric import Floats, goodness, value_of
from luthier.serve import bundle
from luthier.stages import answering
from luthier.stages.answering import Speaker
from luthier.stages.recipe import Recipe
from luthier.stages.shots import behind, most_that_fit

E = TypeVar("E")

N_CHOOSING = 300
"""Validation rows that *base* is read on to choose between its readings: enough to tell them apart."""
SHOTS = (1, 4, 8, 16)
"""How many examples *few_shot* may be shown; validation rows choose, and where there are none, it is `SHOTS_UNCHOSEN`."""
SHOTS_UNCHOSEN = 4
N_CHOOSING_SHOTS = 32
"""Validation rows on which the number of examples is chosen: each is asked once for each number, and long prompts cost."""
MOST_SHOT_TOKENS = 4096
"""Prompts with examples are no longer than this, even where the context is: 16 long examples a row could take days to read."""


@dataclass(frozen=True)
class Sides:
    """The prepared examples of the three sides."""

    train: Sequence[AnyExample]
    validation: Sequence[AnyExample]
    test: Sequence[AnyExample]


def base(recipe: Recipe, card: bundle.Card, speaker: Speaker, sides: Sides) -> System:
    """The base model as it came: it picks the likeliest label, or answers in its own template."""
    if recipe.goal.task != "classify":
        said_openly = open_answers(recipe, card, speaker, sides.test, "base")
        return System("base", said_openly, f"{card.base} as it came{speaker.computing}", speaker.shortened.as_text())
    labels, about = card.labels, recipe.goal.about
    chosen = _some(labelled(sides.validation), N_CHOOSING, recipe.seed)
    test = labelled(sides.test)
    validation, said = (
        answering.label_nats(speaker, labels, about, [row.text for row in rows], name)
        for rows, name in ((chosen, "base, validation"), (test, "base"))
    )
    empty = answering.label_nats(speaker, labels, about, [""])[0]
    nats = LabelNats(labels, answering.n_label_tokens(speaker, labels), empty)
    metric, wanted = _metric(recipe, labels, chosen), [row.label or "" for row in chosen]
    answers, reading = read_labels(nats, validation, wanted, said, [row.id for row in test], metric)
    about = f"{card.base} as it came, the likeliest label in its own template: {reading}{speaker.computing}"
    return System("base", _with_loss(answers, test), about, speaker.shortened.as_text())


def few_shot(recipe: Recipe, card: bundle.Card, speaker: Speaker, sides: Sides) -> System:
    """The base model behind the training rows most like the question, as earlier turns, the most alike last.

    How many of them is the number of `SHOTS` that is best on some validation rows by the goal's metric, the least of equals;
    a prompt that has no room for so many shows as many as it has room for, even none. A classifier's labels are read as
    *base*'s are.
    """
    if recipe.goal.task == "classify":
        return _few_shot_labels(recipe, card, speaker, sides)
    return _few_shot_replies(recipe, card, speaker, sides)


def room_for_shots(context: int, max_tokens: int) -> int:
    """The longest prompt with examples, in tokens: what the context holds, up to what anybody would wait for."""
    return min(context, max(max_tokens, MOST_SHOT_TOKENS))


def _few_shot_labels(recipe: Recipe, card: bundle.Card, speaker: Speaker, sides: Sides) -> System:
    train, test, labels = labelled(sides.train), labelled(sides.test), card.labels
    chosen = _some(labelled(sides.validation), N_CHOOSING_SHOTS, recipe.seed)
    nats = LabelNats(labels, answering.n_label_tokens(speaker, labels))
    metric, wanted = _metric(recipe, labels, chosen), [row.label or "" for row in chosen]

    def read(rows: Sequence[Labelled], n_shots: int, name: str) -> Floats:
        texts = [row.text for row in rows]
        closest = nearest([row.text for row in train], texts, n_shots)
        shots = [[(train[i].text, train[i].label or "") for i in reversed(one)] for one in closest]
        return answering.label_nats(speaker, labels, recipe.goal.about, texts, name, shots)

    tried = {n: read(chosen, n, f"few_shot, {n} of validation") for n in _numbers(train, chosen)}
    n_shots, how = _best(metric, {n: best_reading(nats, found, wanted, metric)[1] for n, found in tried.items()})
    validation = tried.get(n_shots, np.empty((0, len(labels))))
    answers, reading = read_labels(nats, validation, wanted, read(test, n_shots, "few_shot"), [row.id for row in test], metric)
    about = f"{card.base} behind the nearest training rows, {how}, the likeliest label: {reading}{speaker.computing}"
    return System("few_shot", _with_loss(answers, test), about, speaker.shortened.as_text())


def _few_shot_replies(recipe: Recipe, card: bundle.Card, speaker: Speaker, sides: Sides) -> System:
    train, validation, test = (_conversations(side) for side in (sides.train, sides.validation, sides.test))
    chosen = _some(validation, N_CHOOSING_SHOTS, recipe.seed)
    metric = _metric(recipe, (), ())
    room = max(1, speaker.max_tokens - card.max_reply_tokens)

    def shown(rows: Sequence[Pair | Chat], n_shots: int) -> list[Chat]:
        closest = nearest([answering.asked_text(row) for row in train], [answering.asked_text(row) for row in rows], n_shots)
        found = []
        for row, one in zip(rows, closest, strict=True):
            fitting = most_that_fit([train[i] for i in reversed(one)], _asking(speaker, row), room)
            found.append(behind(row, fitting[0] if fitting else []))
        return found

    def measured(n_shots: int) -> float | None:
        gold = [Gold(row.id, answering.truth_of(row)) for row in chosen]
        said = open_answers(
            recipe, card, speaker, shown(chosen, n_shots), f"few_shot, {n_shots} of validation", likely=metric.name in OF_LIKELIHOOD,
            replies=metric.name not in OF_LIKELIHOOD,
        )  # fmt: skip
        return value_of(metric, metric.statistics(gold, said))

    n_shots, how = _best(metric, {n: measured(n) for n in _numbers(train, chosen)})
    answers = open_answers(recipe, card, speaker, shown(test, n_shots), "few_shot")
    about = f"{card.base} behind the nearest training rows, {how}{speaker.computing}"
    return System("few_shot", answers, about, speaker.shortened.as_text())


def _conversations(rows: Sequence[AnyExample]) -> list[Pair | Chat]:
    return [row for row in rows if isinstance(row, Pair | Chat)]


def _asking(speaker: Speaker, row: Pair | Chat) -> Callable[[Sequence[Pair | Chat]], list[int]]:
    return lambda shots: speaker.renderer.prompt(answering.question_of(behind(row, shots)))


def _numbers(train: Sequence[object], chosen: Sequence[object]) -> tuple[int, ...]:
    """The numbers of examples worth trying: no more than there are, none where no row can choose."""
    return tuple(n for n in SHOTS if n <= max(len(train), 1)) if chosen else ()


def _best(metric: AnyMetric, values: Mapping[int, float | None]) -> tuple[int, str]:
    """The best number of examples, the least of equals, and how it was found."""
    if not values:
        return SHOTS_UNCHOSEN, f"{SHOTS_UNCHOSEN} of them, as there are no validation rows to choose by"
    best = max(values, key=lambda n: (goodness(metric, values[n]), -n))
    told = ", ".join(f"{n}: {'–' if value is None else f'{value:.3f}'}" for n, value in values.items())
    return best, f"at most {best} of them (validation {metric.name} by number: {told})"


def _metric(recipe: Recipe, labels: Sequence[str], rows: Sequence[Labelled]) -> AnyMetric:
    return metric_named(recipe.goal.judged_by, sorted({*labels, *(row.label or "" for row in rows)}))


def _some(rows: Sequence[E], n: int, seed: int) -> list[E]:
    """`n` of the rows, drawn, since a file may be sorted; in their order."""
    return [rows[i] for i in sorted(permutation(len(rows), seed, "rows to choose by")[:n])]


def _with_loss(answers: Sequence[Answer], rows: Sequence[Labelled]) -> tuple[Answer, ...]:
    return tuple(labelled_answer(answer.id, answer.probabilities or {}, row.label) for answer, row in zip(answers, rows, strict=True))


def open_answers(
    recipe: Recipe, card: bundle.Card, speaker: Speaker, rows: Sequence[AnyExample], name: str, *, likely: bool = True, replies: bool = True
) -> tuple[Answer, ...]:
    """What a model says to rows and how likely it finds their truth; plain text asks nothing, and so is not replied to."""
    texts: Sequence[str | None] = [None] * len(rows)
    if replies and recipe.goal.task != "pretrain":
        texts = answering.reply(speaker, rows, card.max_reply_tokens, name)
    if not likely:
        return tuple(Answer(row.id, text) for row, text in zip(rows, texts, strict=True))
    measured = zip(rows, texts, *answering.truth_nats(speaker, rows, speaker.max_tokens), strict=True)
    return tuple(
        Answer(row.id, text, None, float(nats), int(n_tokens), int(n_bytes)) if n_tokens else Answer(row.id, text)
        for row, text, nats, n_tokens, n_bytes in measured
    )


def labelled(rows: Sequence[AnyExample]) -> list[Labelled]:
    """The rows that have a text and a label."""
    return [row for row in rows if isinstance(row, Labelled)]
