"""Texts that need not fit into memory: a sequence of strings that lies in a file without a name."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 1 << 20
"""Bytes up to which texts stay in memory, so that small data make no file."""


class Texts(Sequence[str]):
    """Texts that are added one by one and read in any order; what is beyond `IN_MEMORY` bytes goes to a file that no kill leaves behind."""

    def __init__(self, folder: Path | None = None) -> None:
        where = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=where)  # noqa: SIM115 - closed with the texts
        self._ends = array("q", [0])
        self._at_end = True

    def __del__(self) -> None:
        self._file.close()

    def add(self, text: str) -> int:
        """Append a text; gives its place."""
        content = text.encode("utf-8", "surrogatepass")
        if not self._at_end:
            self._file.seek(0, os.SEEK_END)
            self._at_end = True
        self._file.write(content)
        self._ends.append(self._ends[-1] + len(content))
        return len(self._ends) - 2

    @property
    def n_bytes(self) -> int:
        """How long all of them are together."""
        return self._ends[-1]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        self._file.seek(self._ends[place])
        self._at_end = False
        return self._file.read(self._ends[place + 1] - self._ends[place]).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))


class Chosen(Sequence[str]):
    """Some of the texts of a sequence, by their places."""

    def __init__(self, texts: Sequence[str], places: NDArray[np.int64]) -> None:
        self._texts, self._places = texts, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self._texts[int(i)] for i in self._places[place]]
        return self._texts[int(self._places[place])]
