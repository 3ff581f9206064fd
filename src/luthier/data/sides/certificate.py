"""What the two sides of a split share, counted from rows as they were written, by the exact join."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.data.likeness.alike import Places
from luthier.data.likeness.join import join
from luthier.data.likeness.said import NONE, Distinct, Said


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


def certify(
    rows: Iterable[tuple[AnyExample, str]],
    group_column: str | None,
    threshold: float,
    folder: Path | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> Certificate:
    """Count what sides share, from (example, side) pairs alone: nothing that the splitter knew is used.

    Args:
        rows: read once.
        group_column: the column whose values tie rows together.
        threshold: from which texts are alike.
        folder: for what memory is too small for; the system's folder of temporary files if it is None.
        advance: told of so many texts more that have been compared; it raises where somebody has asked to stop.

    """
    said = Said(group_column, folder)
    sides: dict[str, int] = {"train": 0}
    numbers = bytearray()
    for example, side in rows:
        said.add(example)
        numbers.append(sides.setdefault(side, len(sides)))
    # A side is a bit, and several sides are their sum.
    side_of_row = np.uint64(1) << np.frombuffer(numbers, dtype=np.uint8).astype(np.uint64)
    groups = said.groups()
    sides_of_group = _sides_of(groups, side_of_row)
    leaks = np.zeros(len(said), dtype=np.bool_)
    for view in said.views():
        near = _near(view, _sides_of(view.of_row, side_of_row), threshold, folder, advance)
        has_text = view.of_row != NONE
        leaks[has_text] |= (near[view.of_row[has_text]] & ~side_of_row[has_text]) != 0
    judged = side_of_row != np.uint64(1)
    return Certificate(int((np.bitwise_count(sides_of_group) > 1).sum()), int((leaks & judged).sum()), threshold, group_column)


def _near(
    view: Distinct, sides: NDArray[np.uint64], threshold: float, folder: Path | None, advance: Callable[[int], None]
) -> NDArray[np.uint64]:
    """The sides on which each text or one that is alike it stands."""
    near = sides.copy()

    def note(a: Places, b: Places) -> None:
        np.bitwise_or.at(near, a, sides[b])
        np.bitwise_or.at(near, b, sides[a])

    # Texts that stand on the same sides add none to one another's.
    join(view.texts, threshold, note, sides.__getitem__, folder, advance)
    return near


def _sides_of(numbers: NDArray[np.int64], side_of_row: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sides that each number's rows stand on."""
    found = np.zeros(int(numbers.max(initial=NONE)) + 1, dtype=np.uint64)
    has_one = numbers != NONE
    np.bitwise_or.at(found, numbers[has_one], side_of_row[has_one])
    return found
