"""What a cleaning step may decide about a row, and the two kinds of step that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from luthier.core.examples import AnyExample


@dataclass(frozen=True)
class Kept:
    """The row stays as it is."""


@dataclass(frozen=True)
class Changed:
    """The row stays, changed; `reason` says what about it changed."""

    example: AnyExample
    reason: str


@dataclass(frozen=True)
class Dropped:
    """The row goes.

    `reason` is one of a few that are counted; `detail` says what is particular to this row; `kept_id` names the row
    that stays in its place, where there is one.
    """

    reason: str
    detail: str = ""
    kept_id: str | None = None


@dataclass(frozen=True)
class Parted:
    """The row becomes several, each with an id of its own."""

    children: tuple[AnyExample, ...]


RowDecision: TypeAlias = Kept | Changed | Dropped | Parted
KeyDecision: TypeAlias = Kept | Dropped


class RowStep(Protocol):
    """Decides about one row from that row alone, so that rows can be spread over any number of machines."""

    @property
    def kind(self) -> str:
        """The step's name in a recipe."""
        ...

    def apply(self, example: AnyExample) -> RowDecision:
        """What becomes of the row; a pure function."""
        ...


@runtime_checkable
class KeyStep(Protocol):
    """Decides about rows that share a key; a join by key spreads over machines as well."""

    @property
    def kind(self) -> str:
        """The step's name in a recipe."""
        ...

    def keys(self, example: AnyExample) -> tuple[bytes, ...]:
        """The keys of the row: rows that could concern one another share at least one."""
        ...

    def choose(self, members: Sequence[AnyExample]) -> tuple[KeyDecision, ...]:
        """One decision for each of the rows that keys connect, given in order of precedence."""
        ...


def changed_or_kept(before: AnyExample, after: AnyExample, reason: str) -> Kept | Changed:
    """`Changed` if the two differ, else `Kept`."""
    return Kept() if before == after else Changed(after, reason)
