"""Which rows belong on one side of a split: equal groups, and texts that are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample
from luthier.data.likeness.alike import Places
from luthier.data.likeness.components import Components
from luthier.data.likeness.join import join
from luthier.data.likeness.said import NONE, Said

Tie: TypeAlias = int


class Ties(Sequence[tuple[Tie, ...]]):
    """The ties of each row: of a table (rows × kinds of tie), what is not `NONE`."""

    def __init__(self, table: NDArray[np.int32]) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, i: int) -> tuple[Tie, ...]: ...
    @overload
    def __getitem__(self, i: slice) -> Ties: ...
    def __getitem__(self, i: int | slice) -> tuple[Tie, ...] | Ties:
        if isinstance(i, slice):
            return Ties(self.table[i])
        return tuple(tie for tie in self.table[i].tolist() if tie != NONE)


@dataclass(frozen=True, eq=False)
class Relations:
    """What ties rows together.

    `ties[i]` are the ties of row i: its group, what it asks and what it says as a whole, each with a number. Rows are
    related if they share a tie, or if a tie of one is in `alike` of a tie of the other, which is so both ways round.
    """

    ties: Ties
    alike: Mapping[Tie, tuple[Tie, ...]]

    @property
    def n_ties(self) -> int:
        """Ties are numbered from 0 to one below this."""
        return 1 + max(int(self.ties.table.max(initial=NONE)), max(self.alike, default=NONE))

    def around(self, i: int) -> Iterator[Tie]:
        """Every tie that a row related to row i has one of."""
        for tie in self.ties[i]:
            yield tie
            yield from self.alike.get(tie, ())

    def clusters(self, rows: Iterable[int]) -> Iterator[list[int]]:
        """These rows, put together as far as relations among them reach."""
        chosen = np.fromiter(rows, dtype=np.int64)
        components = Components(len(chosen))
        first_with = np.full(self.n_ties, NONE, dtype=np.int64)
        for column in self.ties.table[chosen].T:
            k = np.flatnonzero(column != NONE)
            tied, first, member_of = np.unique(column[k], return_index=True, return_inverse=True)
            first_with[tied] = k[first]
            several = np.flatnonzero(k != k[first][member_of])
            for one, other in zip(k[first][member_of][several].tolist(), k[several].tolist(), strict=True):
                components.join(one, other)
        for tie, others in self.alike.items():
            for other in others:
                if tie < other and first_with[tie] != NONE and first_with[other] != NONE:
                    components.join(int(first_with[tie]), int(first_with[other]))
        return (chosen[component].tolist() for component in components.all())


def relations(examples: Iterable[AnyExample], group_column: str | None, threshold: float) -> Relations:
    """The relations of these rows; which texts are alike is decided by the exact join."""
    said = Said(group_column)
    for example in examples:
        said.add(example)
    return relations_of(said, threshold)


def relations_of(
    said: Said, threshold: float, connecting: bool = False, folder: Path | None = None, advance: Callable[[int], None] = lambda n: None
) -> Relations:
    """The relations of rows whose texts are gathered.

    Args:
        said: what the rows say.
        threshold: from which texts are alike.
        connecting: only as many of the alike pairs are noted as hold together what hangs together. That is enough where
            no row is placed or refused before clusters are made, and keeps families of many like rows from filling memory.
        folder: for what memory is too small for.
        advance: told of so many texts more that have been compared; it raises where somebody has asked to stop.

    """
    columns: list[NDArray[np.int64]] = []
    alike: dict[Tie, list[Tie]] = {}
    n_ties = 0
    for view in said.views(apart=True):
        start = n_ties
        together = Components(len(view.texts))

        def note(a: Places, b: Places, together: Components = together, start: int = start) -> None:
            for i, j in zip(a.tolist(), b.tolist(), strict=True):
                if connecting:
                    if together.of(i) == together.of(j):
                        continue
                    together.join(i, j)
                alike.setdefault(start + i, []).append(start + j)
                alike.setdefault(start + j, []).append(start + i)

        join(view.texts, threshold, note, together.of_each if connecting else None, folder, advance)
        columns.append(np.where(view.of_row == NONE, NONE, view.of_row + n_ties))
        n_ties += len(view.texts)
    groups = said.groups()
    columns.append(np.where(groups == NONE, NONE, groups + n_ties))
    table = np.stack(columns, axis=1).astype(np.int32)
    return Relations(Ties(table), {tie: tuple(others) for tie, others in alike.items()})
