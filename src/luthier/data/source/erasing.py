"""Taking rows out of the files that they came from, without touching a byte of the others."""

from __future__ import annotations

import contextlib
import gzip
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import atomic_writer
from luthier.data.files.opening import opened
from luthier.data.files.record import BadRow, Record
from luthier.data.readers import Csv, Jsonl, Tsv
from luthier.data.source.reading import Data, Recognised, read
from luthier.data.source.survey import SourceFile

_BY_LINES = (Csv, Tsv, Jsonl)


def erase_from_sources(data: Data, recognised: Recognised, theirs: Callable[[AnyExample], bool]) -> dict[str, int]:
    """Take somebody's rows out of the files of a source; gives how many went, by path, of the files that had any.

    Raises:
        LuthierError: a file is of a kind whose rows are not lines, or could not be rewritten without changing other rows;
            it is as it was then.

    """
    places = {example.source for example in read(data, recognised) if not isinstance(example, BadRow) and theirs(example)}
    found: dict[str, int] = {}
    for one in recognised.files:
        starts = [row.line for row in one.reader.read(one.file) if isinstance(row, Record) and one.file.place(row.line) in places]
        if starts:
            _rewrite(one, set(starts))
            found[str(one.file.path)] = len(starts)
    return found


def _rewrite(one: SourceFile, gone: set[int]) -> None:
    """Write the file without the records that start on these lines, and put it in place if every other one reads as before."""
    path = one.file.path
    fix = "take the rows out of it by hand: data/dropped.jsonl.gz says where they stand"
    if not isinstance(one.reader, _BY_LINES) or one.file.member:
        kind = "an archive" if one.file.member else one.reader.said()
        raise LuthierError(one.file.where, f"rows of {kind} cannot be taken out one by one", fix)
    rows = list(one.reader.read(one.file))
    starts = sorted({_line(row) for row in rows})
    draft = path.with_name(path.name + ".luthier-draft")
    try:
        with opened(one.file) as file, atomic_writer(draft) as raw, _packed(path, raw) as out:
            for number, line in enumerate(file, 1):
                # A line belongs to the last record that starts on it or before; above all records there is the header.
                record = bisect_right(starts, number) - 1
                if record < 0 or starts[record] not in gone:
                    out.write(line)
        kept = [row.values for row in rows if isinstance(row, Record) and row.line not in gone]
        if not _reads_as(replace(one, file=replace(one.file, path=draft)), kept, sum(isinstance(row, BadRow) for row in rows)):
            raise LuthierError(str(path), "its other rows would not read as before", fix)
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _packed(path: Path, raw: object) -> Iterator[gzip.GzipFile]:
    """Where the lines go: packed if the file was."""
    with open(path, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    if not is_packed:
        yield raw  # type: ignore[misc]
        return
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:  # type: ignore[call-overload]
        yield packed


def _reads_as(one: SourceFile, wanted: Sequence[object], n_bad: int) -> bool:
    try:
        rows = list(one.reader.read(one.file))
    except LuthierError:
        return False
    return [row.values for row in rows if isinstance(row, Record)] == list(wanted) and sum(isinstance(row, BadRow) for row in rows) == n_bad


def _line(row: Record | BadRow) -> int:
    return row.line if isinstance(row, Record) else int(row.source.rpartition(":")[2])
