"""What the two sides of a split share, counted from rows as they were written, by the exact join."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.data.neighbours import similar_pairs
from luthier.data.relations import VIEWS, group_value


@dataclass(frozen=True)
class Certificate:
    """What leaks from one side to another.

    `groups_shared` counts values of the group column that stand on several sides; `near_duplicates_shared` counts
    validation and test rows of which another side holds a row that asks or says the same, by the threshold.
    """

    groups_shared: int
    near_duplicates_shared: int
    threshold: float
    group_column: str | None

    @property
    def holds(self) -> bool:
        """Whether nothing is shared."""
        return self.groups_shared == 0 and self.near_duplicates_shared == 0

    def as_dict(self) -> dict[str, Json]:
        """The certificate as `prepare --json` prints it."""
        return {
            "groups_shared": self.groups_shared,
            "near_duplicates_shared": self.near_duplicates_shared,
            "threshold": self.threshold,
            "group_column": self.group_column,
        }


def certify(rows: Iterable[tuple[AnyExample, str]], group_column: str | None, threshold: float) -> Certificate:
    """Count what sides share, from (example, side) pairs alone: nothing that the splitter knew is used."""
    held = list(rows)
    sides_of_group: dict[str, set[str]] = {}
    for example, side in held:
        group = group_value(example, group_column)
        if group is not None:
            sides_of_group.setdefault(group, set()).add(side)
    shared: set[str] = set()
    for read in VIEWS.values():
        sides_of_text: dict[str, set[str]] = {}
        texts = [read(example) for example, _ in held]
        for text, (_, side) in zip(texts, held, strict=True):
            sides_of_text.setdefault(text, set()).add(side)
        near = {text: set(sides) for text, sides in sides_of_text.items()}
        distinct = list(sides_of_text)
        for i, j, _ in similar_pairs(distinct, threshold):
            near[distinct[i]] |= sides_of_text[distinct[j]]
            near[distinct[j]] |= sides_of_text[distinct[i]]
        judged = ((text, example.id, side) for text, (example, side) in zip(texts, held, strict=True) if text and side != "train")
        shared |= {row for text, row, side in judged if near[text] - {side}}
    return Certificate(sum(len(sides) > 1 for sides in sides_of_group.values()), len(shared), threshold, group_column)
