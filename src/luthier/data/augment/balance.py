"""Labels evened out among the training rows: fewer rows of the frequent ones, or copies of rows of the rare ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from luthier.core.draws import seed_of
from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.core.options import option

WHERE = "[prepare] balance"
TOO_MANY = "more rows of its label than asked for"


@dataclass(frozen=True, kw_only=True)
class Undersample:
    """Drops training rows of labels that have more than `rows`.

    Which ones is drawn by (seed, id), each row by itself: a row that is added pushes out at most one, and moves no other.
    """

    kind: Literal["undersample"] = "undersample"
    rows: Annotated[int, Field(ge=1)] | None = option(
        None, about="training rows that a label keeps at most; none: as many as the rarest label has", why="then all labels have the same"
    )


@dataclass(frozen=True, kw_only=True)
class Oversample:
    """Adds copies of training rows of labels that have fewer than `rows`.

    Each row of a label is copied as often as each other, or once more, which is drawn by (seed, id). A copy has its
    parent's id with a number behind it.
    """

    kind: Literal["oversample"] = "oversample"
    rows: Annotated[int, Field(ge=1)] | None = option(
        None, about="training rows that a label has at least; none: as many as the most frequent has", why="then all labels have the same"
    )


AnyBalance: TypeAlias = Undersample | Oversample


def too_many(step: Undersample, rows: Iterable[AnyExample], seed: int) -> dict[str, str]:
    """The ids of the training rows that go, with what is particular to each.

    Raises:
        LuthierError: the rows have no labels, or none of them has to go.

    """
    by_label = _ids_by_label(rows)
    most = min(map(len, by_label.values())) if step.rows is None else step.rows
    gone: dict[str, str] = {}
    for label, ids in by_label.items():
        for name in sorted(ids, key=lambda one: (seed_of(seed, "undersample", one), one))[most:]:
            gone[name] = f"{label}: {len(ids)} training rows, {most} stay"
    if not gone:
        problem = f'"undersample" would drop nothing: no label has more than {most} training rows'
        raise LuthierError(WHERE, problem, "lower rows, or remove it")
    return gone


def copies(step: Oversample, rows: Iterable[AnyExample], seed: int) -> Mapping[str, int]:
    """How many copies of each training row are made, by its id.

    Raises:
        LuthierError: the rows have no labels, or nothing has to be copied.

    """
    by_label = _ids_by_label(rows)
    least = max(map(len, by_label.values())) if step.rows is None else step.rows
    wanted: Counter[str] = Counter()
    for ids in by_label.values():
        each, more = divmod(max(least - len(ids), 0), len(ids))
        for place, name in enumerate(sorted(ids, key=lambda one: (seed_of(seed, "oversample", one), one))):
            wanted[name] = each + (place < more)
    if not wanted.total():
        problem = f'"oversample" would add nothing: each label has {least} training rows or more'
        raise LuthierError(WHERE, problem, "raise rows, or remove it")
    return wanted


def _ids_by_label(rows: Iterable[AnyExample]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if isinstance(row, Labelled) and row.label is not None:
            found.setdefault(row.label, []).append(row.id)
    if not found:
        raise LuthierError(WHERE, "the rows have no labels to balance", "remove it, or set [goal] task to classify")
    return found
