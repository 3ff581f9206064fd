"""What rows say, gathered row by row for a comparison of all with all: the distinct texts of each view, and groups."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import canonical
from luthier.data.likeness.alike import Places
from luthier.data.likeness.compared import asked, whole
from luthier.data.likeness.texts import Chosen, Texts

VIEWS: Mapping[str, Callable[[AnyExample], str]] = {"asked": asked, "whole": whole}
NONE = -1


def group_value(example: AnyExample, column: str | None) -> str | None:
    """The row's value in the group column as text; None where there is no column, or nothing in it."""
    value = None if column is None else example.extra.get(column)
    return None if value is None or value == "" else canonical(value)


@dataclass(frozen=True, eq=False)
class Distinct:
    """The distinct ones of some texts: where each stands first, and which of them each row's is (`NONE`: the row has none)."""

    texts: Chosen
    of_row: NDArray[np.int64]


class Said:
    """Gathers what rows ask and say and which groups they are of: 64 bytes a row in memory, the texts on the disk."""

    def __init__(self, group_column: str | None, folder: Path | None = None) -> None:
        self._group_column = group_column
        self._texts = Texts(folder)
        self._places: dict[str, array[int]] = {view: array("q") for view in VIEWS}
        self._digests = bytearray()
        self._groups = bytearray()
        self._has_group = array("b")

    def __len__(self) -> int:
        return len(self._has_group)

    def add(self, example: AnyExample) -> None:
        """Take in one more row."""
        group = group_value(example, self._group_column)
        self._has_group.append(group is not None)
        self._groups += _digest(group or "")
        before: tuple[str, int] | None = None
        for view, read in VIEWS.items():
            text = read(example)
            if before is not None and before[0] == text:
                place = before[1]
            elif text:
                place = self._texts.add(text)
                self._digests += _digest(text)
            else:
                place = NONE
            before = (text, place)
            self._places[view].append(place)

    def groups(self) -> NDArray[np.int64]:
        """A number for the group of each row; `NONE` for a row of no group."""
        _, numbers = _distinct(self._groups)
        return np.where(np.asarray(self._has_group, dtype=np.bool_), numbers, NONE)

    def views(self, apart: bool = False) -> list[Distinct]:
        """The distinct texts of each view, without views that are the same as an earlier one.

        `apart` leaves out of a view what a row says in an earlier view already. Empty texts are left out.
        """
        first, number = _distinct(self._digests)
        found: list[Distinct] = []
        seen: list[NDArray[np.int64]] = []
        for view in VIEWS:
            places = np.asarray(self._places[view], dtype=np.int64)
            for earlier in seen if apart else ():
                places = np.where(places == earlier, NONE, places)
            if any(np.array_equal(places, earlier) for earlier in seen) or (places == NONE).all():
                continue
            seen.append(places)
            used, of_row = np.unique(np.where(places == NONE, NONE, number[places]), return_inverse=True)
            if used[0] == NONE:
                used, of_row = used[1:], of_row - 1
            found.append(Distinct(Chosen(self._texts, first[used]), of_row))
        return found


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _distinct(digests: bytearray) -> tuple[Places, Places]:
    """(where each distinct one stands first, the number of each one among the distinct)."""
    if not digests:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    halves = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    is_new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(is_new) - 1
    # Stable, so the first of each run is the first of all.
    return order[is_new], number
