"""Rows written back as their source had them: the same columns in the same order, spelled as they were where they say what they said.

An example holds what a model is told. How its row was spelled (a number where we hold text, an instruction and its input where we hold
one prompt, a message in last year's vocabulary) is kept beside it only where the layout, writing the example, would spell it otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json, dump
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Layout, scalar_text

A = TypeVar("A", bound=AnyExample)


def with_spelling(example: A, raw: Mapping[str, Json], layout: Layout, usual: Sequence[str]) -> A:
    """The example with whatever `as_record` needs to give its record back exactly; `usual` are the source's columns in order."""
    found = _composed(example, layout, usual, {}, None)
    if _same(found, raw):
        return example
    values = {name: value for name, value in raw.items() if name not in found or not _equal(found[name], value)}
    found = _composed(example, layout, usual, values, None)
    written: dict[str, Json] = {"values": values} if values else {}
    if not _same(found, raw):
        written["columns"] = list(raw)
    return dataclasses.replace(example, written=written)


def as_record(example: AnyExample, layout: Layout, usual: Sequence[str]) -> dict[str, Json]:
    """The row in its source's layout: exactly as it was read, or with only that spelled anew which was changed since."""
    values, columns = _spelling(example)
    if not values:
        return _composed(example, layout, usual, {}, columns)
    own = _own_id(values, example)
    as_it_was = _composed(example, layout, usual, own, columns)
    before = _read(as_it_was, example, layout)
    if before is not None and before.fields() == example.fields():
        return as_it_was
    style = {**example.extra, **values}
    now = layout.record(example, style)
    was = {} if before is None else layout.record(before, style)
    # A column from which nothing was changed stands as it stood, as long as the row then says what it says now.
    kept = {name: value for name, value in own.items() if name not in now or (name in was and _equal(was[name], now[name]))}
    found = _composed(example, layout, usual, kept, columns, values)
    again = _read(found, example, layout)
    if again is not None and again.fields() == example.fields():
        return found
    return _composed(example, layout, usual, {name: value for name, value in kept.items() if name not in now}, columns, values)


def _read(record: Mapping[str, Json], example: AnyExample, layout: Layout) -> AnyExample | None:
    """What a record says; None if nothing."""
    try:
        return layout.example(record, example.id, {"source": example.source, "extra": example.extra})
    except RowError:
        return None


def _spelling(example: AnyExample) -> tuple[Mapping[str, Json], list[str] | None]:
    values, columns = example.written.get("values"), example.written.get("columns")
    return (
        values if isinstance(values, Mapping) else {},
        [str(name) for name in columns] if isinstance(columns, Sequence) and not isinstance(columns, str) else None,
    )


def _composed(
    example: AnyExample,
    layout: Layout,
    usual: Sequence[str],
    values: Mapping[str, Json],
    columns: Sequence[str] | None,
    style: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """A record of the example's columns; `values` are taken as they are."""
    made = layout.record(example, {**example.extra, **(values if style is None else style)})
    whole: dict[str, Json] = {**example.extra, **made, **values}
    if columns is None:
        names = [name for name in usual if name in whole]
        return {name: whole[name] for name in dict.fromkeys((*names, *whole))}
    more = [name for name, value in made.items() if name not in columns and value not in (None, "", [])]
    return {name: whole[name] for name in (*columns, *more) if name in whole}


def _own_id(values: Mapping[str, Json], example: AnyExample) -> dict[str, Json]:
    """The spelled values; a row that was made of another does not go by the other's id."""
    if example.parent is None:
        return dict(values)
    return {name: example.id if _is_id(value, example.parent) else value for name, value in values.items()}


def _is_id(value: Json, name: str) -> bool:
    try:
        return scalar_text(value, "").strip() == name
    except RowError:
        return False


def _same(a: Mapping[str, Json], b: Mapping[str, Json]) -> bool:
    return list(a) == list(b) and all(_equal(a[name], b[name]) for name in a)


def _equal(a: Json, b: Json) -> bool:
    """Whether two values are the same JSON, down to the order of members and 1 not being 1.0 or true."""
    return a is b or (type(a) is type(b) and (a == b if isinstance(a, str) else dump(a) == dump(b)))
