"""From files to examples: what a source is recognised as, and its rows, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from luthier.core.errors import Complaints, LuthierError, LuthierErrors
from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.core.options import option, required
from luthier.data.engine import EngineName
from luthier.data.files.opening import refuse_changed
from luthier.data.files.record import BadRow, Record, RowError
from luthier.data.readers import Parquet, PlainText
from luthier.data.shapes import LAYOUTS, AnyLayout, no_column, settle
from luthier.data.shapes.columns import Sample, listing, lookup
from luthier.data.shapes.written import with_spelling
from luthier.data.sides.split import AnySplit, ByColumn, Split, TimeSplit
from luthier.data.source.ids import RowIds, record_hash, unique_id_column
from luthier.data.source.survey import SourceFile, left_aside, survey

__all__ = ["BadRow", "Data", "Recognised", "read", "recognise"]

_EMPTY_FIX = "fill it, or name another column under [data] fields"
_NO_ROWS_FIX = "give a file whose rows are records, or say its format under [data]"
N_SAMPLED = 200
_MAX_FILES_SAMPLED = 50


@dataclass(frozen=True)
class Data:
    """Where the rows are, how they are written down, and how they are parted: the recipe's `[data]`."""

    source: str | tuple[str, ...] = required(
        about="a file, several, a folder, or an archive; relative paths are taken from the recipe's folder"
    )
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "conll", "parallel", "paragraphs", "text"] = option(
        "auto", about="how the files are written", why="their endings and their content say it"
    )
    fields: Mapping[str, str] = option(
        {},
        about="our name for a column → its name in the files; a.b reaches into objects, a.0 and a.* into lists",
        why="recognised from the first rows",
    )
    id: str | None = option(
        None, about="the column that names each row", why='a column called "id" whose values are unique, else a hash of the record'
    )
    group: str | None = option(
        None, about="a column whose equal values stay on one side of the split", why="no column is known to tie rows together"
    )
    encoding: str | None = option(None, about="the encoding of text files", why="detected from their bytes")
    bad_rows: Literal["error", "drop"] = option(
        "error", about="whether a row that cannot be read stops everything", why="nothing is left out unless you say so"
    )
    sha256: Mapping[str, str] = option(
        {}, about="file name → the SHA-256 that its content must have", why="files may change unless you pin them"
    )
    licence: str = option(
        "unknown", about='the licence of the rows: an SPDX id such as "CC-BY-4.0", or words', why="nobody has said; the model card says so"
    )
    split: AnySplit = option(Split(), about="how the rows are parted", why="a tenth each to choose by and to judge by")
    split_from: str | None = option(
        None, about="a run, or its folder, whose sides are taken over, so that both are judged on the same rows", why="sides of its own"
    )
    engine: EngineName = option(
        "local",
        about="what the work is spread over: processes of this machine, or Ray, on the cluster that RAY_ADDRESS names or on this machine; "
        "the rows are the same",
        why="there is nothing to install or to start",
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """A source without a name, a column with two roles, and groups that would keep a label on one side."""
        if not all(one.strip() for one in ((self.source,) if isinstance(self.source, str) else self.source)):
            yield "source", "names no file", "give a file, several, or a folder"
        columns = list(self.fields.values())
        for column in sorted({one for one in columns if columns.count(one) > 1}):
            roles = " and ".join(role for role, one in self.fields.items() if one == column)
            yield "fields", f'names the column "{column}" for {roles}', "give each its own column"
        if self.group is not None and self.group == self.fields.get("label"):
            fix = "name a column that ties rows together, such as the customer's, or remove it"
            yield "group", "is the column of the labels, so each label would stand on one side only", fix
        if isinstance(self.split, TimeSplit | ByColumn) and self.split.column in columns:
            yield "split.column", "is a column that the model reads or is to say", "name the column that says when, or on which side"
        if self.split_from is not None and any(one == "split" or one.startswith("split.") for one in given):
            yield "split", "has no effect with split_from, which brings the other run's settings along", "remove it, or split_from"


@dataclass(frozen=True)
class Recognised:
    """What a source was found to be.

    `fields` says which column plays which role; `said` tells it in one sentence for people; `files` are the files with their settled
    readers, so that they need not be looked over twice; `columns` are the columns of the first records, in order.
    """

    format: str
    encoding: str
    shape: str
    layout: str
    fields: Mapping[str, str]
    said: str
    files: tuple[SourceFile, ...] = ()
    columns: tuple[str, ...] = ()


def recognise(data: Data, want: str | None = None) -> Recognised:
    """Look at the first records and say what they are; `want` is the shape that the task needs (`labelled`, `pair`, `chat`, `text`).

    Raises:
        LuthierError: the files cannot be read, hold no rows, lack a column that the recipe names, or fit no layout; all that is
            found is raised at once.

    """
    files = survey(data.source, data.format, data.encoding)
    if data.encoding is not None and all(isinstance(one.reader, Parquet) for one in files):
        raise LuthierError("[data] encoding", "it has no effect on Parquet, which says itself how its texts are written", "remove it")
    samples = _sample(files)
    sample = Sample(tuple(record for records in samples.values() for record in records))
    layout = settle(sample, data.fields, want, files[0].file.name)
    complaints = Complaints()
    by = data.split.column if isinstance(data.split, TimeSplit | ByColumn) else None
    for key, column in (("id", data.id), ("group", data.group), ("split.column", by)):
        if column is not None and not sample.has(column):
            complaints.extend(no_column(f"[data] {key}", column, sample))
    for role in layout.needs:
        _check_column(samples, role, layout.fields[role], complaints)
    complaints.raise_if_any()
    return Recognised(
        format=_listed(one.reader.format for one in files),
        encoding=_listed(one.file.encoding for one in files),
        shape=layout.shape,
        layout=layout.name,
        fields=dict(layout.fields),
        said=_sentence(files, layout, sample, data),
        files=files,
        columns=sample.columns,
    )


def read(data: Data, recognised: Recognised) -> Iterator[AnyExample | BadRow]:
    """Every row of the source, as an example or as a bad row with its place; the caller decides what bad rows mean.

    Only ids are held in memory. A file that breaks off (damaged gzip, a syntax error in a JSON document) or that changes while it is
    read raises LuthierError.
    """
    files = recognised.files or survey(data.source, data.format, data.encoding)
    layout = LAYOUTS[recognised.layout](recognised.fields)
    ids = RowIds(data.id, named=True) if data.id is not None else RowIds(unique_id_column(_records(files)))
    used = {*layout.fields.values(), ids.column}
    if layout.name == "label first in the line":
        used.add("text")
    made = _Made(layout, ids, used, recognised.columns)
    for one in files:
        for row in records_of(one):
            yield row if isinstance(row, BadRow) else _example(row, one, made, data.group)


def records_of(one: SourceFile) -> Iterator[Record | BadRow]:
    """The raw rows of a file.

    Raises:
        LuthierError: it cannot be read to its end, or is not what it was when it was looked over: rows may be missing or halved.

    """
    yield from one.reader.read(one.file)
    for path, before in one.stamps.items():
        refuse_changed(path, before)


@dataclass(frozen=True)
class _Made:
    """How records become examples."""

    layout: AnyLayout
    ids: RowIds
    used: set[str | None]
    columns: tuple[str, ...]


def _example(row: Record, one: SourceFile, made: _Made, group: str | None) -> AnyExample | BadRow:
    place = one.file.place(row.line)
    try:
        extra: dict[str, Json] = {name: value for name, value in row.values.items() if name not in made.used}
        if group is not None:
            extra[group] = lookup(row.values, group)
        row_id = made.ids.of(row.values, one.file.name, row.line)
        example = made.layout.example(row.values, row_id, {"source": place, "extra": extra})
        return with_spelling(example, row.values, made.layout, made.columns)
    except RowError as error:
        return BadRow(place, error.problem, error.fix)


def _records(files: tuple[SourceFile, ...]) -> Iterator[Mapping[str, Json]]:
    for one in files:
        for row in records_of(one):
            if isinstance(row, Record):
                yield row.values


def _sample(files: tuple[SourceFile, ...]) -> dict[str, list[Mapping[str, Json]]]:
    """The first records of each of the first files, by the file's name.

    Raises:
        LuthierError: files without rows, or whose first rows are all broken.

    """
    complaints = Complaints()
    samples: dict[str, list[Mapping[str, Json]]] = {}
    chosen = files[:_MAX_FILES_SAMPLED]
    for one in chosen:
        try:
            rows = list(islice(one.reader.read(one.file), max(N_SAMPLED // len(chosen), 10)))
        except LuthierError as error:
            complaints.extend(error)
            continue
        sound = [_that_can_be_told(row, one) for row in rows]
        samples[one.file.name] = [row.values for row in sound if isinstance(row, Record)]
        bad = [row.as_error() for row in sound if isinstance(row, BadRow)]
        if samples[one.file.name]:
            continue
        if len(bad) > 1 and len({error.problem for error in bad}) == 1:
            complaints.add(bad[0].where, f"{bad[0].problem}, nor is any of the {len(bad) - 1} rows behind it fit to be read", _NO_ROWS_FIX)
        elif bad:
            complaints.extend(LuthierErrors(tuple(bad)))
        else:
            what = "has a header and no rows below it" if one.reader.format in ("csv", "tsv") else "holds no rows"
            complaints.add(one.file.where, f"the file {what}", "give a file with rows in it")
    complaints.raise_if_any()
    return samples


def _that_can_be_told(row: Record | BadRow, one: SourceFile) -> Record | BadRow:
    """The row; a bad row where it holds what no file in UTF-8 can, so that whatever is said of the sample can be printed."""
    if isinstance(row, BadRow):
        return row
    try:
        record_hash(row.values)
    except RowError as error:
        return BadRow(one.file.place(row.line), error.problem, error.fix)
    return row


def _check_column(samples: Mapping[str, list[Mapping[str, Json]]], role: str, column: str, complaints: Complaints) -> None:
    """Complain of files that lack a needed column or in which it holds nothing."""
    for name, records in samples.items():
        if not Sample(tuple(records)).has(column):
            columns = listing(tuple(records[0]))
            complaints.add(
                name,
                f'there is no column "{column}" for {role}; there are {columns}',
                "give all files the same columns, or leave this file out of the source",
            )
        elif all(lookup(record, column) in (None, "", []) or str(lookup(record, column)).isspace() for record in records):
            complaints.add(name, f'the column "{column}" ({role}) is empty in the first {len(records)} rows', _EMPTY_FIX)


def _listed(names: Iterator[str]) -> str:
    return " + ".join(dict.fromkeys(names))


def _sentence(files: tuple[SourceFile, ...], layout: AnyLayout, sample: Sample, data: Data) -> str:
    """What was recognised, for people."""
    how = _listed(one.reader.said() for one in files)
    encodings = _listed(one.file.encoding.upper() for one in files if not isinstance(one.reader, Parquet))
    guess = " (a guess: set encoding if letters look wrong)" if data.encoding is None and not encodings.startswith("UTF") else ""
    n_files = "" if len(files) == 1 else f"{len(files):,} files of "
    found = f"{n_files}{how} in {encodings}{guess}" if encodings else f"{n_files}{how}"
    beside = left_aside(data.source, files)
    if beside:
        found += f" (not read: {', '.join(beside[:3])}{f' and {len(beside) - 3:,} more' if len(beside) > 3 else ''})"
    aside = [name for name in sample.columns if name not in layout.fields.values()] if layout.fields else []
    if any(one.reader == PlainText("file") for one in files) and data.format == "auto":
        found += ' (format = "text" reads files without blank lines line by line)'
    return f"{found}; {layout.said()}{'; kept aside: ' + listing(aside) if aside else ''}."
