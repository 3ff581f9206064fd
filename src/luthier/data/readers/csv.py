"""CSV: rows of cells below a header, with the delimiter that the file uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Self

from luthier.data.files.encoding import lines
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.readers.cells import read_table, split_rows

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_N_SNIFFED = 50


@dataclass(frozen=True)
class Csv:
    """Comma-separated values; spreadsheets of many countries write semicolons, which are recognised.

    `n_skipped` lines stand before the header: a spreadsheet's `sep=;`.
    """

    delimiter: str = ","
    n_skipped: int = 0

    format: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Take the delimiter that splits the first rows evenly into as many cells as the header has."""
        first = next((line[1] for line in lines(file) if not isinstance(line, BadRow)), "")
        if first.lower().startswith("sep=") and len(first) == 5:
            return cls(first[4], 1)
        candidates = [mark for mark in DELIMITERS if mark in first] or [","]
        return cls(max(candidates, key=lambda mark: _evenness(file, mark)))

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The rows below the header."""
        return read_table(file, self.delimiter, quoted=True, n_skipped=self.n_skipped)

    def said(self) -> str:
        """How the file is read, for people."""
        return "CSV" if self.delimiter == "," else f"CSV with {DELIMITERS.get(self.delimiter, self.delimiter)}"


def _evenness(file: RawFile, delimiter: str) -> tuple[float, int]:
    rows = list(islice(split_rows(file, delimiter, quoted=True), _N_SNIFFED))
    sizes = [len(row[1]) for row in rows if not isinstance(row, BadRow)]
    if not sizes or sizes[0] == 1:
        return 0.0, 0
    return sum(size == sizes[0] for size in sizes) / len(rows), -list(DELIMITERS).index(delimiter)
