"""What the systems said about the test rows, and what is true of those rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.core.errors import Complaints
from luthier.core.files import text_hash
from luthier.core.jsonvalue import canonical


@dataclass(frozen=True)
class Gold:
    """The truth about one test row.

    `text` is the label, the reply, or the text itself; rows of the same `group` (one customer, one document) are not
    independent, and intervals and tests treat them as one draw. None: the row stands for itself.
    """

    id: str
    text: str
    group: str | None = None


@dataclass(frozen=True)
class Answer:
    """What one system said about one test row.

    `text` is the label or the reply; None means that the system abstained or could not be asked, which is never the
    same as a wrong answer. `probabilities` are by label and sum to 1. `loss_nats` is minus the natural logarithm of
    the likelihood that the system gave to the true text, summed over its `n_tokens` tokens, which spell `n_bytes` bytes of
    UTF-8; only systems that have a likelihood give them.
    """

    id: str
    text: str | None
    probabilities: Mapping[str, float] | None = None
    loss_nats: float | None = None
    n_tokens: int | None = None
    n_bytes: int | None = None


@dataclass(frozen=True)
class System:
    """One thing that answers (`tuned`, `base`, `majority`, …), its answers, and a line on how it was made.

    `shortened` says in words which questions did not fit it and were cut; '' where none were.
    """

    name: str
    answers: tuple[Answer, ...]
    about: str = ""
    shortened: str = ""


def labelled_answer(name: str, probabilities: Mapping[str, float], gold: str | None = None) -> Answer:
    """The answer of a classifier to the row `name`: its likeliest label, the first in the mapping where several are.

    With `gold`, the answer also has the loss of that label in nats, as one token; a probability of 0 has no finite
    loss and leaves it None.
    """
    best = max(probabilities, key=lambda label: probabilities[label])
    p = None if gold is None else probabilities.get(gold, 0.0)
    loss = -math.log(p) if p else None
    return Answer(name, best, probabilities, loss, None if loss is None else 1)


def aligned(gold: Sequence[Gold], *systems: System) -> tuple[tuple[Gold, ...], tuple[tuple[Answer, ...], ...]]:
    """The test rows in the order of their ids, and each system's answers in the same order.

    The order of the ids, not of the rows, is what makes every seeded number independent of how the rows came.

    Raises:
        LuthierError: an id stands twice, or a system did not answer exactly the test rows.

    """
    complaints = Complaints()
    _complain_of_repeats("test set", [row.id for row in gold], complaints)
    rows = tuple(sorted(gold, key=lambda row: row.id))
    wanted = {row.id for row in rows}
    found = []
    for system in systems:
        where = f"answers of {system.name}"
        _complain_of_repeats(where, [answer.id for answer in system.answers], complaints)
        by_id = {answer.id: answer for answer in system.answers}
        for problem, ids in (("has no answer for", wanted - by_id.keys()), ("answers what is no test row:", by_id.keys() - wanted)):
            if ids:
                some = ", ".join(sorted(ids)[:3])
                fix = "give one answer for each test row, with the text None where the system abstains"
                complaints.add(where, f"it {problem} {some} ({len(ids):,} in all)", fix)
        found.append(tuple(by_id[row.id] for row in rows if row.id in by_id))
    complaints.raise_if_any()
    return rows, tuple(found)


def _complain_of_repeats(where: str, ids: Sequence[str], complaints: Complaints) -> None:
    n_repeated = len(ids) - len(set(ids))
    if n_repeated:
        first = next(name for name, count in Counter(ids).items() if count > 1)
        complaints.add(where, f"the id {first!r} stands more than once ({n_repeated:,} repeats in all)", "give each row an id of its own")


def gold_hash(gold: Sequence[Gold]) -> str:
    """A hash of a test set: of its ids, texts and groups, in any order."""
    return text_hash(canonical([[row.id, row.text, row.group] for row in sorted(gold, key=lambda row: row.id)]))


def answers_hash(system: System) -> str:
    """A hash of what a system said, in any order; two evaluations with the same answers are the same look."""
    said = sorted(system.answers, key=lambda answer: answer.id)
    return text_hash(canonical([[answer.id, answer.text, answer.loss_nats, answer.n_tokens] for answer in said]))


def labels_of(gold: Sequence[Gold], *systems: System) -> tuple[str, ...]:
    """Every label that the test rows or the systems use, sorted."""
    said = {answer.text for system in systems for answer in system.answers if answer.text is not None}
    return tuple(sorted({row.text for row in gold} | said))
