"""What a reader yields: the raw records of a file, and the rows that are broken, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json

OR_DROP = ', or set bad_rows = "drop" under [data] to leave such rows out'
"""How a fix ends where rows may be left out; rows that wait for an answer may not."""
_LONGEST_SAID = 600
MEND = f"mend the row{OR_DROP}"


@dataclass(frozen=True)
class RawFile:
    """A file to read: where it is, how messages call it, and how its bytes become text.

    `member` is the file's path inside the archive that stands at `path`, '' for a file that stands there itself.
    """

    path: Path
    name: str
    encoding: str = "utf-8"
    member: str = ""

    @property
    def where(self) -> str:
        """The file as errors name it: a path that can be opened, with the member behind it."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

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

    def __post_init__(self) -> None:
        # A row may be broken by what it holds, and its names and values stand in what is said of it.
        object.__setattr__(self, "problem", printable(self.problem))

    def as_error(self) -> LuthierError:
        """The error that this row is when bad rows are not allowed."""
        return LuthierError(self.source, self.problem, self.fix)


def printable(text: str) -> str:
    """A text that a message can hold: no longer than `_LONGEST_SAID`, and of characters that can be seen."""
    short = text if len(text) <= _LONGEST_SAID else f"{text[: _LONGEST_SAID // 2]} … {text[-_LONGEST_SAID // 2 :]}"
    if short.isprintable():
        return short
    return "".join(one if one.isprintable() else " " if one.isspace() else one.encode("unicode_escape").decode("ascii") for one in short)


class RowError(ValueError):
    """A record whose values do not make an example; becomes a `BadRow` where its place is known."""

    def __init__(self, problem: str, fix: str = MEND) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
