"""What a reader yields: the raw records of a file, and the rows that are broken, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json

OR_DROP = ', or set bad_rows = "drop" under [data] to leave such rows out'
"""How a fix ends where rows may be left out; rows that wait for an answer may not."""
MEND = f"mend the row{OR_DROP}"


@dataclass(frozen=True)
class RawFile:
    """A file to read: where it is, how messages call it, and how its bytes become text."""

    path: Path
    name: str
    encoding: str = "utf-8"

    def place(self, line: int) -> str:
        """`file:line`, as rows and errors name it."""
        return f"{self.name}:{line}"


@dataclass(frozen=True, slots=True)
class Record:
    """One raw record and the line (for Parquet: the row) on which it starts, counted from 1."""

    values: Mapping[str, Json]
    line: int


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read; the caller decides whether that is an error or a drop.

    `source` is `file:line`; `problem` and `fix` read as those of a `LuthierError` do.
    """

    source: str
    problem: str
    fix: str = MEND

    def as_error(self) -> LuthierError:
        """The error that this row is when bad rows are not allowed."""
        return LuthierError(self.source, self.problem, self.fix)


class RowError(ValueError):
    """A record whose values do not make an example; becomes a `BadRow` where its place is known."""

    def __init__(self, problem: str, fix: str = MEND) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
