"""Rows that wait for their answer: read by the columns of the training rows, whose truth may be absent, each with its raw record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.data.files.record import BadRow, RowError
from luthier.data.shapes import LAYOUTS
from luthier.data.shapes.columns import lookup
from luthier.data.source.reading import records_of
from luthier.data.source.survey import SourceFile, survey

TRUTHS = ("label", "completion", "output", "answers")
"""The roles that say what is right, and so what a row may lack while it waits."""


@dataclass(frozen=True)
class Waiting:
    """A raw record, and the example that it asks; what stands in the place of the truth means nothing."""

    record: Mapping[str, Json]
    example: AnyExample


def read_questions(source: str, layout: str, fields: Mapping[str, str], format_: str = "auto") -> Iterator[Waiting | BadRow]:
    """Every row of a file, or of all files of a folder, by the layout and the columns that were trained.

    Raises:
        LuthierError: the file cannot be read, or lacks a column that is asked with.

    """
    # A text file is read by lines or whole as the training rows were; tables say themselves what they are.
    for one in survey(source, format_ if format_ == "text" else "auto", None):
        yield from _questions_of(one, layout, fields)


def _questions_of(one: SourceFile, layout: str, fields: Mapping[str, str]) -> Iterator[Waiting | BadRow]:
    shape = LAYOUTS[layout](fields)
    truths = [column for role, column in fields.items() if role in TRUTHS]
    asked = {role: column for role, column in fields.items() if role not in TRUTHS and role in shape.needs}
    for n, row in enumerate(records_of(one), 1):
        if isinstance(row, BadRow):
            yield row
            continue
        for role, column in asked.items():
            if n == 1 and lookup(row.values, column) is None:
                there = ", ".join(row.values)
                raise LuthierError(
                    one.file.place(row.line),
                    f'there is no column "{column}" ({role}); there are {there}',
                    "name the columns as in the training rows",
                )
        place = one.file.place(row.line)
        try:
            filled = {**row.values, **dict.fromkeys(truths, "?")}
            yield Waiting(row.values, shape.example(filled, str(n), {"source": place, "extra": {}}))
        except RowError as error:
            yield BadRow(place, error.problem, error.fix)
