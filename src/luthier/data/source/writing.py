"""Records to a file, in the format that its name asks for.

What we wrote is read back as the same records, and these are written as the same bytes again.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import polars

from luthier.core.errors import LuthierError
from luthier.core.files import atomic_writer
from luthier.core.jsonvalue import Json, dump, to_bytes
from luthier.data.readers.nested_squad import nested
from luthier.data.source.survey import suffix_of

Records = Callable[[], Iterable[Mapping[str, Json]]]
"""The records, from the beginning each time they are asked for."""
JSONL_FIX = "write JSONL, which holds everything: give the file a name that ends in .jsonl"


def write_records(path: Path, records: Records, is_squad: bool = False) -> int:
    """Write records in the format that a path's ending says; gives their number. All formats but Parquet may have .gz behind them.

    Args:
        path: the file; one that exists is replaced, and never by half of the new one.
        records: what to write.
        is_squad: a .json file is nested as SQuAD was published.

    Raises:
        LuthierError: the name's ending tells no format, or the format cannot hold a record.

    """
    suffix = suffix_of(path)
    writer = _WRITERS.get(suffix)
    if writer is None:
        known = ", ".join(_WRITERS)
        raise LuthierError(str(path), f'"{suffix}" is no ending of a format that is written', f"choose one of {known}")
    if suffix == ".json" and is_squad:
        writer = _squad
    n_rows = 0

    def counted() -> Iterator[Mapping[str, Json]]:
        nonlocal n_rows
        n_rows = 0
        for record in records():
            n_rows += 1
            yield record

    with atomic_writer(path) as raw:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
                writer(packed, path, counted)
        else:
            writer(raw, path, counted)
    return n_rows


Out = IO[bytes] | gzip.GzipFile


def _jsonl(out: Out, path: Path, records: Records) -> None:
    for record in records():
        out.write(to_bytes(dump(record) + "\n"))


def _json(out: Out, path: Path, records: Records) -> None:
    opening = "[\n  "
    for record in records():
        out.write(to_bytes(opening + dump(record)))
        opening = ",\n  "
    out.write(b"\n]\n" if opening.startswith(",") else b"[]\n")


def _squad(out: Out, path: Path, records: Records) -> None:
    out.write(to_bytes(json.dumps(nested(iter(records())), ensure_ascii=False, indent=2) + "\n"))


def _table(delimiter: str) -> Callable[[Out, Path, Records], None]:
    def write(out: Out, path: Path, records: Records) -> None:
        names = list(dict.fromkeys(name for record in records() for name in record))
        text = io.StringIO()
        rows = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        rows.writerow(names)
        for n, record in enumerate(records(), 1):
            rows.writerow([_cell(record.get(name), path, n) for name in names])
            out.write(text.getvalue().encode("utf-8"))
            text.seek(0)
            text.truncate()
        out.write(text.getvalue().encode("utf-8"))

    return write


def _cell(value: Json, path: Path, n: int) -> str:
    """A value as the text of a cell; lists and objects as JSON, line breaks as line feeds."""
    text = "" if value is None else value if isinstance(value, str) else dump(value)
    if "\0" in text:
        raise LuthierError(str(path), f"row {n} holds a NUL character, which no table can hold", JSONL_FIX)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parquet(out: Out, path: Path, records: Records) -> None:
    if isinstance(out, gzip.GzipFile):
        raise LuthierError(str(path), "Parquet is packed by itself", "leave .gz out of the name")
    try:
        polars.DataFrame([dict(record) for record in records()], infer_schema_length=None).write_parquet(out)
    except (polars.exceptions.PolarsError, TypeError) as error:
        raise LuthierError(str(path), f"Parquet cannot hold these columns ({str(error).splitlines()[0]})", JSONL_FIX) from error


def _conll(out: Out, path: Path, records: Records) -> None:
    for n, record in enumerate(records(), 1):
        comments = record.get("comments")
        columns = [value for value in record.values() if isinstance(value, list) and value is not comments]
        if not columns or len({len(column) for column in columns}) != 1:
            raise LuthierError(str(path), f"row {n} is no sentence: its columns are not lists of equal length", JSONL_FIX)
        cells = [[str(one) for one in column] for column in columns]
        if any(not cell.strip() or "\t" in cell or "\n" in cell for column in cells for cell in column):
            raise LuthierError(str(path), f"row {n} has a token or a tag that is blank or holds a tab or a line break", JSONL_FIX)
        lines = [*(map(str, comments) if isinstance(comments, list) else ()), *("\t".join(row) for row in zip(*cells, strict=True))]
        out.write(("\n".join(lines) + "\n\n").encode("utf-8"))


def _text(out: Out, path: Path, records: Records) -> None:
    for n, record in enumerate(records(), 1):
        text = record.get("text")
        if len(record) != 1 or not isinstance(text, str):
            raise LuthierError(str(path), f"a text file holds one text a row, and row {n} has {', '.join(record)}", JSONL_FIX)
        if not text.strip() or len(text.splitlines()) != 1:
            raise LuthierError(str(path), f"the text of row {n} is not one line, as those of a text file are", JSONL_FIX)
        out.write((text + "\n").encode("utf-8"))


_WRITERS: Mapping[str, Callable[[Out, Path, Records], None]] = {
    ".jsonl": _jsonl, ".json": _json, ".csv": _table(","), ".tsv": _table("\t"), ".parquet": _parquet, ".conll": _conll,
    ".conllu": _conll, ".txt": _text,
}  # fmt: skip
