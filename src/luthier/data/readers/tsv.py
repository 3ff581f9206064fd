"""TSV: rows of cells parted by tabs, below a header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.data.files.encoding import lines
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.readers.cells import read_table


@dataclass(frozen=True)
class Tsv:
    """Tab-separated values. Half of the world's TSV files quote cells as CSV does; in the other half a quote is just a quote."""

    quoted: bool = False

    format: ClassVar[str] = "tsv"
    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tab")

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Take quotes as quoting only if some cell begins with one and the whole file then reads with no more broken rows than without."""
        if not any(not isinstance(line, BadRow) and (line[1].startswith('"') or '\t"' in line[1]) for line in lines(file)):
            return cls(quoted=False)
        n_bad = {quoted: sum(isinstance(row, BadRow) for row in read_table(file, "\t", quoted)) for quoted in (True, False)}
        return cls(quoted=n_bad[True] <= n_bad[False])

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The rows below the header."""
        return read_table(file, "\t", self.quoted)

    def said(self) -> str:
        """How the file is read, for people."""
        return "TSV with quoted cells" if self.quoted else "TSV"
