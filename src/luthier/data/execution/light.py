"""Rows without their texts: what splitting goes by, of as many rows as there are."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

from luthier.core.examples import AnyExample, Labelled, Text
from luthier.core.jsonvalue import Json, dump
from luthier.data.likeness.texts import Texts
from luthier.data.shapes.columns import lookup
from luthier.data.sides.kinds import Side


class LightRows(Sequence[AnyExample]):
    """Of each row its id, label, place and parent, and of its other columns the ones that are asked for.

    A row is made anew each time it is looked at: as objects, a million of them would take half a gigabyte.

    Args:
        columns: the names of these.
        folder: for what memory is too small for; the system's folder of temporary files if it is None.

    """

    def __init__(self, columns: Sequence[str] = (), folder: Path | None = None) -> None:
        self._columns = columns
        self._lines = Texts(folder)

    def add(self, example: AnyExample) -> None:
        """Take in one more row."""
        extra: dict[str, Json] = {name: lookup(example.extra, name) for name in self._columns}
        label = [example.label] if isinstance(example, Labelled) else None
        self._lines.add(dump([example.id, example.source, example.parent, extra, label]))

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, i: int) -> AnyExample: ...
    @overload
    def __getitem__(self, i: slice) -> list[AnyExample]: ...
    def __getitem__(self, i: int | slice) -> AnyExample | list[AnyExample]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        name, source, parent, extra, label = json.loads(self._lines[i % len(self)])
        if label is None:
            return Text(name, "", source=source, parent=parent, extra=extra)
        return Labelled(name, "", label[0], source=source, parent=parent, extra=extra)


class OnSides(Collection[tuple[AnyExample, Side]]):
    """The rows that have a side, with it, but for those that are gone; to be gone through as often as one likes."""

    def __init__(self, rows: Sequence[AnyExample], side_of: Mapping[str, Side], gone: Collection[str] = ()) -> None:
        self._rows, self._side_of, self._gone = rows, side_of, gone
        self._n_rows = sum(1 for _ in self)

    def __iter__(self) -> Iterator[tuple[AnyExample, Side]]:
        for row in self._rows:
            side = self._side_of.get(row.id)
            if side is not None and row.id not in self._gone:
                yield row, side

    def __len__(self) -> int:
        return self._n_rows

    def without(self, gone: Collection[str]) -> OnSides:
        """The same without the rows of these ids."""
        return OnSides(self._rows, self._side_of, gone)

    def __contains__(self, one: object) -> bool:
        return any(one == other for other in self)
