"""Parquet: a table by columns."""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json
from luthier.data.files.opening import opened
from luthier.data.files.record import BadRow, RawFile, Record

MAX_HELD = 1 << 30
_ROWS_AT_ONCE = 1_000
_FIX = "write or fetch the file again"


@dataclass(frozen=True)
class Parquet:
    """The rows of a Parquet file, some at a time; a row's place is its number, counted from 1."""

    format: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Nothing is to be found out."""
        return cls()

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The rows as records; dates become ISO 8601 texts, decimals numbers, bytes base64."""
        if file.path.suffix == ".gz" or file.member or any("\ud800" <= letter <= "\udfff" for letter in str(file.path)):
            # The table of contents stands at the end, so that the whole file has to be there; and no path that is no text is opened.
            with opened(file) as packed:
                whole = packed.read(MAX_HELD + 1)
            if len(whole) > MAX_HELD:
                problem = f"a packed Parquet file is held in memory, and this has over {MAX_HELD:,} bytes"
                raise LuthierError(file.where, problem, "unpack it")
            yield from _rows(file, io.BytesIO(whole))
        else:
            yield from _rows(file, file.path)

    def said(self) -> str:
        """How the file is read, for people."""
        return "Parquet"


def _rows(file: RawFile, source: Path | io.BytesIO) -> Iterator[Record | BadRow]:
    number = 0
    try:
        table = polars.scan_parquet(source, glob=False)
        n_rows: int = table.select(polars.len()).collect().item()
        for batch in table.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True):
            for row in batch.iter_rows(named=True):
                number += 1
                yield Record({name: _plain(value) for name, value in row.items()}, number)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise LuthierError(file.where, f"it is not a Parquet file that can be read ({str(error).splitlines()[0]})", _FIX) from error
    # A thread of the library that meets damaged pages ends, and the rows end with it, as if there were no more of them.
    if number != n_rows:
        raise LuthierError(file.place(number + 1), f"the rows end here, though the file says that it holds {n_rows:,}: it is damaged", _FIX)


def _plain(value: object) -> Json:
    """What JSON can hold of a value."""
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | polars.Series):
        return [_plain(item) for item in value]
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)
