"""A Python function of the user's own that keeps, drops or changes rows, run in a confined process."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.confined import RIGHTS, CannotConfineError, Confined, ConfinedError, Limits
from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, from_record, to_record
from luthier.core.files import expanded
from luthier.core.jsonvalue import Json, canonical
from luthier.core.options import option, required
from luthier.data.decisions import Changed, Dropped, Kept, RowStep, changed_or_kept
from luthier.data.files.record import RowError
from luthier.data.source.ids import record_hash
from luthier.data.tools import Tools

_MAX_REASON = 100
_AT_ONCE = 1 << 20
"""Characters of rows, as JSON, that the function is sent at once."""
_MAY_BE_NONE: Mapping[str, tuple[type, ...]] = {"label": (str, NoneType), "target": (int, float, NoneType), "tags": (NoneType,)}
_RETURN = "return True, False, a reason to drop the row, or a dict of changed fields"


@dataclass(frozen=True, kw_only=True)
class OwnFilter:
    """Asks `function` about each row: `{"id", "shape", the row's fields by their usual names, "extra": other columns}`.

    It returns True (keep), False (drop), a text (drop, for this reason) or, with `changes`, a mapping of fields to their new
    values. It should decide from the row alone: rows come in no promised order, and a served model's come one at a time.
    What it may do and what it may not is in docs/confinement.md. It prints to nowhere.
    """

    kind: Literal["own_filter"] = "own_filter"
    function: str = required(about='the file and the function in it, such as "filters.py:keep"; the file is read alone')
    changes: bool = option(False, about="whether it may change rows", why="a served model's rows then have to be changed too")
    call_s: Annotated[float, Field(gt=0, le=3600)] = option(10.0, about="seconds that one row may take", why="rows are many")
    memory_mb: Annotated[int, Field(ge=64)] = option(1024, about="MiB that it may use, Python included", why="enough for most libraries")
    confinement: Literal["full", "possible"] = option(
        "full", about='what if the machine cannot confine it: "full" is an error, "possible" goes on', why="silence would be a promise"
    )
    sha256: str = option("", about="what the file must hash to; filled in when the recipe is read", why="the run knows what was run")
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """A function that is not said as file and name."""
        path, _, name = self.function.rpartition(":")
        if not path.endswith(".py") or not name.isidentifier():
            yield "function", f'is "{self.function}", not a file and a function', 'write it as "filters.py:keep"'

    def files(self) -> tuple[str, ...]:
        """None besides the function's own, whose hash is part of the recipe."""
        return ()

    def rooted(self, folder: Path) -> OwnFilter:
        """The same with its file's whole path, and its hash.

        Raises:
            LuthierError: the file cannot be read.

        """
        path, _, name = self.function.rpartition(":")
        whole = (folder / expanded(path)).resolve()
        return dataclasses.replace(self, function=f"{whole}:{name}", sha256=self.sha256 or _hash(_source(whole)))

    def shipped(self) -> OwnFilter:
        """The same with its file's name and hash alone; where it changes what a served model is asked, it has to be found there."""
        path, _, name = self.function.rpartition(":")
        return self if self.changes else dataclasses.replace(self, function=f"{Path(path).name}:{name}")

    def apply(self, example: AnyExample) -> Kept | Changed | Dropped:
        """What it makes of a row that waits for its answer: one that only keeps and drops has nothing to say about it."""
        return self._running().apply(example) if self.changes else Kept()

    def with_tools(self, tools: Tools) -> RowStep:
        """The step with a process to run the function in; LuthierError where its file is not what it was."""
        return self._running()

    def _running(self) -> _Running:
        path = self.function.rpartition(":")[0]
        source = _source(Path(path))
        if self.sha256 and _hash(source) != self.sha256:
            problem = "it is not the file that the rows were prepared with (sha256 differs)"
            raise LuthierError(path, problem, "restore it, or prepare and tune again")
        return _running(self, source)


@lru_cache(maxsize=4)
def _running(step: OwnFilter, source: str) -> _Running:
    """One process for one function, however often it is asked for."""
    return _Running(step, source)


class _Running:
    """The function in its process."""

    def __init__(self, step: OwnFilter, source: str) -> None:
        path, _, self._name = step.function.rpartition(":")
        self._file = Path(path).name
        limits = Limits(memory_bytes=step.memory_mb << 20, call_s=step.call_s)
        taken = RIGHTS if step.confinement == "full" else frozenset[str]()
        self._step, self._lock = step, threading.Lock()
        self._confined = Confined(source, self._name, self._file, limits, taken)

    @property
    def kind(self) -> str:
        """The step's name in a recipe."""
        return self._step.kind

    def apply(self, example: AnyExample) -> Kept | Changed | Dropped:
        """What the function says of the row.

        Raises:
            LuthierError: it raised, ran into a limit, or returned something else than it may; with the row's place.

        """
        (decision,) = self.apply_all([example])
        return decision

    def apply_all(self, examples: Sequence[AnyExample]) -> Iterator[Kept | Changed | Dropped]:
        """What it says of each row, as `apply` would; the first that goes wrong is raised."""
        for some in _batches(examples):
            said: list[Json] = []
            failure: ConfinedError | CannotConfineError | None = None
            with self._lock:
                try:
                    for one in self._confined.call_all([row for _, row in some]):
                        said.append(one)
                except (ConfinedError, CannotConfineError) as error:
                    failure = error
            yield from map(self._decided, (example for example, _ in some), said)
            if failure is not None:
                raise self._failed(some[len(said)][0], failure) from failure

    def _failed(self, example: AnyExample, error: ConfinedError | CannotConfineError) -> LuthierError:
        if isinstance(error, CannotConfineError):
            fix = 'prepare on Linux 5.13 or newer, or trust the file and set confinement = "possible" in its step'
            return LuthierError(self._step.function, str(error), fix)
        fix = f"mend {self._name} in {self._file}, or raise call_s or memory_mb if it needs more"
        return LuthierError(_place(example), f"{self._step.function}: {error.problem}", fix)

    def _decided(self, example: AnyExample, said: Json) -> Kept | Changed | Dropped:
        where = _place(example)
        if said is True:
            return Kept()
        if said is False:
            return Dropped(f"{self._name} says no")
        if isinstance(said, str) and said.strip():
            return Dropped(said.strip()[:_MAX_REASON])
        if not isinstance(said, Mapping):
            raise LuthierError(where, f"{self._step.function} returned {_shown(said)}", _RETURN)
        if not self._step.changes:
            raise LuthierError(where, f"{self._step.function} returned changes", "set changes = true in its step, and read what follows")
        return changed_or_kept(example, self._changed(example, said, where), f"{self._file}:{self._name}")

    def _changed(self, example: AnyExample, said: Mapping[str, Json], where: str) -> AnyExample:
        fields = example.fields()
        for name, value in said.items():
            fix = f"a row of the shape {example.shape} has {', '.join(fields)}"
            if name not in fields:
                raise LuthierError(where, f'{self._step.function} changed "{name}", which the row does not have', fix)
            if not _fits(name, value, fields[name]):
                raise LuthierError(where, f'{self._step.function} changed "{name}" to {_shown(value)}', "return the same kind of value")
        try:
            record_hash(said)
            return from_record({**to_record(example), **said})
        except RowError as error:
            raise LuthierError(where, f"{self._step.function} returned fields of no row: {error}", _RETURN) from error
        except ValueError as error:
            raise LuthierError(where, f"{self._step.function} returned messages that are none: {error}", _RETURN) from error


def _batches(examples: Sequence[AnyExample]) -> Iterator[list[tuple[AnyExample, Json]]]:
    """The rows, each with what the function is given of it, as many at a time as `_AT_ONCE` allows, and one at least."""
    found: list[tuple[AnyExample, Json]] = []
    n_characters = 0
    for example in examples:
        row: dict[str, Json] = {"id": example.id, "shape": example.shape, **example.fields(), "extra": dict(example.extra)}
        size = len(canonical(row))
        if found and n_characters + size > _AT_ONCE:
            yield found
            found, n_characters = [], 0
        found.append((example, row))
        n_characters += size
    if found:
        yield found


def _place(example: AnyExample) -> str:
    return example.source or f"row {example.id}"


def _fits(name: str, value: Json, before: Json) -> bool:
    """Whether a value is of the kind that the field holds; a row that waits for its answer has none of the fields that may be None."""
    if name in ("tokens", "tags") and isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    allowed = _MAY_BE_NONE.get(name) or (type(before),)
    return isinstance(value, allowed)


def _shown(value: Json) -> str:
    said = "nothing (None)" if value is None else repr(value)
    return said if len(said) <= 60 else said[:60] + "…"


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error}"
        raise LuthierError(str(path), problem, "see [[prepare.steps]] function, whose path is taken from the recipe's folder") from error


def _hash(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
