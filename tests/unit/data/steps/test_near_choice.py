"""Which of many related rows stay: by the definition, spelled out, beside what the step does with sketches."""

from __future__ import annotations

import random

import pytest

from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.messages import Message
from luthier.data.decisions import Dropped
from luthier.data.likeness.compared import answered, whole
from luthier.data.likeness.components import Components
from luthier.data.likeness.neighbours import are_alike, grams
from luthier.data.pipeline import related
from luthier.data.steps import NearDuplicates

WORDS = "the bow of my cello has warped and its bridge leans so that no string will stay in tune for long".split()  # noqa: SIM905


def members(n: int, seed: int) -> list[AnyExample]:
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=25)) for _ in range(3)]
    made: list[AnyExample] = []
    for i in range(n):
        words = draw.choice(texts).split()
        words[draw.randrange(len(words))] = draw.choice(WORDS)
        texts.append(" ".join(words))
        reply = draw.choice(["yes", "no", "please bring it in", "please bring it in!"])
        kind = draw.random()
        if kind < 0.5:
            made.append(Labelled(f"r{i}", texts[-1], draw.choice("ab")))
        elif kind < 0.8:
            made.append(Pair(f"r{i}", texts[-1], reply))
        else:
            made.append(Chat(f"r{i}", (Message("user", texts[-1]), Message("assistant", reply))))
    return made


def label_of(row: AnyExample) -> str | None:
    return row.label if isinstance(row, Labelled) else None


def alike(a: str, b: str, threshold: float) -> bool:
    return are_alike(grams(a), grams(b), threshold)


@pytest.mark.parametrize(("n", "seed", "threshold"), [(5, 0, 0.8), (60, 1, 0.8), (60, 2, 0.6), (120, 3, 0.9)])
def test_each_row_is_held_against_the_kept_rows_before_it(n: int, seed: int, threshold: float) -> None:
    step, rows = NearDuplicates(threshold=threshold), members(n, seed)
    kept: list[int] = []
    first: list[str | None] = []
    for i, row in enumerate(rows):
        near = (j for j in kept if label_of(rows[j]) == label_of(row) and alike(whole(rows[j]), whole(row), threshold))
        found = next((j for j in near if whole(rows[j]) == whole(row) or step._rest_is_alike(row, rows[j])), None)
        first.append(None if found is None else rows[found].id)
        if found is None:
            kept.append(i)
    decisions = step.choose(rows)
    assert [decision.kept_id if isinstance(decision, Dropped) else None for decision in decisions] == first
    assert n < 10 or 5 < len(kept) < n


def test_of_rows_that_share_a_key_only_those_that_are_alike_are_related() -> None:
    step, rows = NearDuplicates(), members(80, 4)
    wanted = Components(len(rows))
    for i, row in enumerate(rows):
        for j in range(i):
            if set(step.keys(row)) & set(step.keys(rows[j])) and alike(whole(row), whole(rows[j]), 0.8):
                wanted.join(i, j)
    assert list(related(step, rows).all()) == list(wanted.all())
    assert 1 < len(wanted.several()) < 60


def test_replies_are_compared_too() -> None:
    same = "when do you open on saturday, and may I bring my cello by without an appointment"
    replies = ["At nine.", "Please call us first, we shall see what can be done.", "At nine."]
    rows = [Pair(str(i), same, reply) for i, reply in enumerate(replies)]
    assert answered(rows[0]) != answered(rows[1])
    assert [isinstance(one, Dropped) for one in NearDuplicates().choose(rows)] == [False, False, True]
