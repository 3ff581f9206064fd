"""Rows out: the kept rows of a run as a file that other tools read, in their source's layout or in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import read_json
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run, find_run
from luthier.data.kept.prepared import read_rows
from luthier.data.shapes import LAYOUTS
from luthier.data.shapes.conversion import converted, layout_named
from luthier.data.shapes.written import as_record
from luthier.data.sides.split import SIDES
from luthier.data.source.writing import write_records


@dataclass(frozen=True)
class RowsOut:
    """Where the rows went, how many there are, and in which layout they are written."""

    out: Path
    n_rows: int
    layout: str

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        return {"out": str(self.out), "n_rows": self.n_rows, "layout": self.layout}


def write_rows(name: str, out: Path, side: str | None, layout: str | None, runs: Path) -> RowsOut:
    """Write the kept rows of a run, in the order of their source.

    Args:
        name: the run, by name or folder.
        out: the file; its ending says the format.
        side: the side whose rows are wanted, None for all.
        layout: the layout to write, None for the source's own: there rows that cleaning left alone come out exactly as they went in.
        runs: the folder of runs.

    Raises:
        LuthierError: no such run, rows that are not prepared yet, or rows that the layout or the format cannot hold.

    """
    run = find_run(runs, name)
    if not run.kept.is_file():
        raise LuthierError(str(run.folder), "its rows are not prepared yet", "run `luthier prepare` on the recipe first")
    if side is not None and side not in SIDES:
        raise LuthierError("--side", f'"{side}" is no side of a split', f"choose from {', '.join(SIDES)}")
    source, fields, columns = _source_layout(run)
    wanted = LAYOUTS[source](fields) if layout is None else layout_named(layout)

    def records() -> Iterator[dict[str, Json]]:
        for example, on in read_rows(run.kept.parent):
            if side is None or on == side:
                yield as_record(example, wanted, columns) if layout is None else converted(example, wanted)

    return RowsOut(out, write_records(out, records, wanted.name == "squad"), wanted.name)


def _source_layout(run: Run) -> tuple[str, Mapping[str, str], tuple[str, ...]]:
    """The layout of the run's source, its fields, and the columns in order."""
    cleaning = read_json(run.cleaning)
    assert isinstance(cleaning, Mapping), "what prepare writes is an object"
    layout, fields, columns = cleaning.get("layout"), cleaning.get("fields"), cleaning.get("columns")
    if not isinstance(layout, str) or not isinstance(fields, Mapping) or not isinstance(columns, list):
        raise LuthierError(str(run.cleaning), "it was written by an older version", "run `luthier prepare` on the recipe again")
    return layout, {str(role): str(column) for role, column in fields.items()}, tuple(map(str, columns))
