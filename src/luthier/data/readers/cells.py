"""Lines to cells, for CSV and TSV: our own splitter, because rows must know their lines and one stray quote must not eat the file.

Quoting is that of RFC 4180 (Shafranovich 2005): a cell that begins with a quote ends at the next single quote, may span lines, and
writes a quote as two. A quote inside a cell that does not begin with one is ordinary text. A cell may hold `MAX_CELL_CHARS`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from luthier.core.errors import LuthierError
from luthier.data.files.encoding import lines
from luthier.data.files.record import OR_DROP, BadRow, RawFile, Record, RowError

MAX_CELL_CHARS = 1 << 26
_CELLS_FIX = f"quote cells that hold the delimiter or a line break{OR_DROP}"
_QUOTE_FIX = f'close the quote; inside a quoted cell, write a quote as two (""){OR_DROP}'


def split_rows(file: RawFile, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]] | BadRow]:
    """The cells of each row with the line on which it starts; blank lines are passed over.

    A row whose quotes are wrong is a bad row, and reading goes on at the line after its first: the rows below an unclosed quote survive.
    """
    coming = lines(file)
    ahead: deque[tuple[int, str] | BadRow] = deque()
    while True:
        item = ahead.popleft() if ahead else next(coming, None)
        if item is None:
            return
        if isinstance(item, BadRow):
            yield item
            continue
        number, line = item
        if not line:
            continue
        if not quoted or '"' not in line:
            yield number, line.split(delimiter)
            continue
        taken: list[tuple[int, str] | BadRow] = []

        def more(taken: list[tuple[int, str] | BadRow] = taken) -> str:
            found = ahead.popleft() if ahead else next(coming, None)
            if found is None:
                raise RowError("a quote opens on this row and is never closed", _QUOTE_FIX)
            taken.append(found)
            if isinstance(found, BadRow):
                raise RowError(f"a quoted cell of this row runs into a line that cannot be read ({found.source})", _QUOTE_FIX)
            return found[1]

        try:
            yield number, _cells(line, delimiter, more)
        except RowError as error:
            ahead.extendleft(reversed(taken))
            yield BadRow(file.place(number), error.problem, error.fix)


def _cells(line: str, delimiter: str, more: Callable[[], str]) -> list[str]:
    cells = []
    at = 0
    while True:
        if line.startswith('"', at):
            cell, line, at = _quoted_cell(line, at + 1, more)
            cells.append(cell)
            if at == len(line):
                return cells
            if not line.startswith(delimiter, at):
                raise RowError(f"text follows the closing quote of cell {len(cells)}", _QUOTE_FIX)
            at += 1
        else:
            end = line.find(delimiter, at)
            if end < 0:
                cells.append(line[at:])
                return cells
            cells.append(line[at:end])
            at = end + 1


def _quoted_cell(line: str, at: int, more: Callable[[], str]) -> tuple[str, str, int]:
    """The cell that begins after its quote at `at`; also the line on which it ends and the place behind its closing quote."""
    pieces: list[str] = []
    size = 0
    while True:
        end = line.find('"', at)
        if end < 0:
            pieces += (line[at:], "\n")
            size += len(line) - at + 1
            if size > MAX_CELL_CHARS:
                raise RowError(f"a quote opens on this row and is not closed within {MAX_CELL_CHARS:,} characters", _QUOTE_FIX)
            line, at = more(), 0
        elif line.startswith('"', end + 1):
            pieces.append(line[at : end + 1])
            at = end + 2
        else:
            pieces.append(line[at:end])
            return "".join(pieces), line, end + 1


def read_table(file: RawFile, delimiter: str, quoted: bool, n_skipped: int = 0) -> Iterator[Record | BadRow]:
    """The rows below the header as records; a row with another number of cells than the header is a bad row."""
    names: list[str] | None = None
    for row in split_rows(file, delimiter, quoted):
        if isinstance(row, BadRow):
            if names is None:
                raise LuthierError(row.source, f"the header cannot be read: {row.problem}", row.fix)
            yield row
            continue
        number, cells = row
        if number <= n_skipped:
            continue
        if names is None:
            names = _header(file, number, cells)
        elif len(cells) != len(names):
            yield BadRow(file.place(number), f"the row has {_count(len(cells))} where the header has {len(names)}",
                         _CELLS_FIX)
        else:
            yield Record(dict(zip(names, cells, strict=True)), number)


def _count(n_cells: int) -> str:
    return "1 cell" if n_cells == 1 else f"{n_cells} cells"


def _header(file: RawFile, number: int, cells: list[str]) -> list[str]:
    names = [cell.strip() or f"column_{i}" for i, cell in enumerate(cells, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LuthierError(file.place(number), f"the header names {', '.join(twice)} more than once", "give each column its own name")
    return names
