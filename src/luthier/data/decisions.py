"""What a cleaning step may decide about a row, and the two kinds of step that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeAlias, runtime_checkable

from luthier.core.examples import AnyExample
from luthier.data.tools import Tools


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
    that stays in its place, where there is one; `shown` is the row as it may be put on record, where it must not be as it was.
    """

    reason: str
    detail: str = ""
    kept_id: str | None = None
    shown: AnyExample | None = None


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
class AppliesToMany(Protocol):
    """A row step that decides about many rows sooner than about each of them by itself, and in the same way."""

    def apply_all(self, examples: Sequence[AnyExample]) -> Iterator[RowDecision]:
        """What `apply` says of each row, in order."""
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


@runtime_checkable
class ComparesTexts(Protocol):
    """A key step for which rows that share a key concern one another only if texts of theirs are alike, too.

    Keys bring together more than is related, and among many rows everything with everything; this takes it apart again.
    """

    @property
    def threshold(self) -> float:
        """The Jaccard similarity of character 5-grams from which texts are alike."""
        ...

    def compared(self, example: AnyExample) -> str:
        """The row's text that is compared."""
        ...


@runtime_checkable
class SetStep(Protocol):
    """Decides about each row in the light of all of them, reading them as often as it likes, one after another."""

    @property
    def kind(self) -> str:
        """The step's name in a recipe."""
        ...

    def decide(self, rows: Callable[[], Iterable[AnyExample]]) -> Iterator[KeyDecision]:
        """One decision for each row, in their order; `rows()` reads them from the beginning."""
        ...


@runtime_checkable
class NeedsTools(Protocol):
    """A step that needs what only a stage can give it: a tokenizer, an embedder, files, a key."""

    def with_tools(self, tools: Tools) -> RowStep | KeyStep | SetStep:
        """The step, ready to run; LuthierError where a tool is missing that it cannot do without."""
        ...


@runtime_checkable
class MayKeepKeys(Protocol):
    """A step that may make or read a key in the folder of secrets, which all processes that run it then have to see."""

    @property
    def keeps_key(self) -> bool:
        """Whether it does."""
        ...


@runtime_checkable
class NamesFiles(Protocol):
    """A step that reads files which the recipe names, so that the result depends on what stands in them."""

    def files(self) -> tuple[str, ...]:
        """The files and folders, as the recipe names them."""
        ...

    def rooted(self, folder: Path) -> Self:
        """The same step with relative paths taken from `folder`."""
        ...

    def shipped(self) -> Self:
        """The same step as it goes with a model: files by what tells them from others, not by where this machine has them."""
        ...


def ready(step: RowStep | KeyStep | SetStep, tools: Tools) -> RowStep | KeyStep | SetStep:
    """The step with the tools that it needs."""
    return step.with_tools(tools) if isinstance(step, NeedsTools) else step


def changed_or_kept(before: AnyExample, after: AnyExample, reason: str) -> Kept | Changed:
    """`Changed` if the two differ, else `Kept`."""
    return Kept() if before == after else Changed(after, reason)
