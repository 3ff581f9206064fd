"""Which column plays which role, and the values in it: what all layouts share."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, Self, TypedDict

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError

_MOST_LISTED = 40
_PLACE = re.compile("[0-9]{1,9}")


class Common(TypedDict):
    """What every example has beside its own fields."""

    source: str
    extra: Mapping[str, Json]


@dataclass(frozen=True)
class Sample:
    """The first records of a source, from which its layout is recognised."""

    records: tuple[Mapping[str, Json], ...]
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = dict.fromkeys(name for record in self.records for name in record)
        object.__setattr__(self, "columns", tuple(found))

    def values(self, path: str) -> list[Json]:
        """The values of a column that are there and not null."""
        found = (lookup(record, path) for record in self.records)
        return [value for value in found if value is not None]

    def has(self, path: str) -> bool:
        """Whether any record has this column."""
        return path in self.columns or any(lookup(record, path) is not None for record in self.records)

    def mostly(self, path: str, fits: Callable[[Json], bool]) -> bool:
        """Whether there are values in the column, and at least nine in ten fit: a few rows may be broken."""
        values = self.values(path)
        return bool(values) and sum(map(fits, values)) >= 0.9 * len(values)

    def holds_texts(self, path: str) -> bool:
        """Whether the column's values can be read as texts: they are no lists and no objects."""
        return not self.values(path) or self.mostly(path, is_single)

    def pick(self, names: Sequence[str], taken: Sequence[str | None] = ()) -> str | None:
        """The first column, in the order of `names`, that is spelled like one of them and is not taken."""
        spelled: dict[str, str] = {}
        for column in self.columns:
            spelled.setdefault(normal(column), column)
        return next((spelled[name] for name in names if name in spelled and spelled[name] not in taken), None)


def is_single(value: Json) -> bool:
    """Whether a value is a text, a number or a truth value, and no list or object."""
    return not isinstance(value, list | Mapping)


class Layout(Protocol):
    """A way in which people write examples down; `fields` says which column (or `a.b` path) plays which role.

    `roles` are all the roles it knows, `needs` those without which it is not this layout.
    """

    name: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[str, ...]]

    @property
    def fields(self) -> Mapping[str, str]:
        """Role to column."""

    @property
    def shape(self) -> str:
        """The shape of the examples it gives."""

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """The layout with its columns, if the sample is written so; the roles in `given` are settled."""

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> AnyExample:
        """The example in a record; RowError if its values do not make one."""

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The columns that the example was made of, in the order in which the layout has them.

        `style` are the row's columns as they were spelled, empty where nothing is known of them.
        """

    def said(self) -> str:
        """What the rows are, in words."""


def normal(name: str) -> str:
    """A column's name without the differences that mean nothing: case, spaces, hyphens."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def lookup(record: Mapping[str, Json], path: str) -> Json:
    """The value of a column, or of a path `a.b` into one; None where there is none. `a.*` is the texts of a list with a space between."""
    if path in record:
        return record[path]
    value: Json = record
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and _PLACE.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, list) and part == "*" and value and all(isinstance(one, str) for one in value):
            value = " ".join(str(one) for one in value)
        else:
            return None
    return value


def put(record: dict[str, Json], path: str, value: Json, style: Mapping[str, Json]) -> dict[str, Json]:
    """Write a value into a column, or along a path `a.b` into the column that the row had (`style`); gives the record, changed."""
    top, _, rest = path.partition(".")
    if path in style or not rest or top not in style:
        record[path] = value
        return record
    record[top] = _with(record.get(top, style[top]), rest.split("."), value)
    return record


def _with(whole: Json, path: list[str], value: Json) -> Json:
    """A value with another one in it at a path."""
    if not path:
        return value
    if path[0] == "*":
        return [value]
    if isinstance(whole, Mapping):
        return {**whole, path[0]: _with(whole.get(path[0]), path[1:], value)}
    if isinstance(whole, Sequence) and not isinstance(whole, str) and _PLACE.fullmatch(path[0]) and int(path[0]) < len(whole):
        at = int(path[0])
        return [*whole[:at], _with(whole[at], path[1:], value), *whole[at + 1 :]]
    return whole if value in (None, "", []) else {path[0]: _with(None, path[1:], value)}


def text_of(record: Mapping[str, Json], path: str) -> str:
    """The text in a column; numbers become texts.

    Raises:
        RowError: there is none, or it is not text.

    """
    value = lookup(record, path)
    if value is None:
        raise RowError(_absent(record, path))
    return scalar_text(value, f'the column "{path}"')


def optional_text_of(record: Mapping[str, Json], path: str | None) -> str:
    """The text in a column that may be absent or null: then it is empty."""
    return "" if path is None or lookup(record, path) is None else text_of(record, path)


def label_of(record: Mapping[str, Json], path: str) -> str:
    """The label in a column, without white space around it; numbers and truth values become texts.

    Raises:
        RowError: there is none, or it is not one label.

    """
    label = text_of(record, path).strip()
    if not label:
        raise RowError(f'the column "{path}" is empty: the row has no label')
    return label


def scalar_text(value: Json, what: str) -> str:
    """A text, number or truth value as text; a truth value as JSON spells it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise RowError(f"{what} holds {_kind(value)}, not text")


def unpacked(value: Json, what: str) -> Json:
    """A value that may stand in its column as JSON text, as tables keep lists."""
    if isinstance(value, str):
        try:
            found: Json = json.loads(value)
        except (ValueError, RecursionError):
            raise RowError(f"{what} holds a text that is not JSON") from None
        return found
    return value


def listing(names: Sequence[str]) -> str:
    """Names in quotes, as a sentence lists them; of very many the first."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(f'"{name}"' for name in names[:_MOST_LISTED]) + more


def _absent(record: Mapping[str, Json], path: str) -> str:
    if path in record:
        return f'the column "{path}" is null'
    return f'the column "{path}" is missing; this row has {listing(tuple(record)) or "no columns"}'


def _kind(value: Json) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else "a number that is not finite"
