"""Compare: paired differences between runs that were tested on the same rows, as two small tables and as a page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from luthier.core.errors import LuthierError
from luthier.core.files import text_hash, write_text
from luthier.core.jsonvalue import Json
from luthier.core.runs import find_run
from luthier.evaluate.estimates import Comparison
from luthier.evaluate.page.compare_page import compare_page
from luthier.evaluate.page.material import Material, read_material
from luthier.evaluate.page.runs_compared import RunsCompared, compared
from luthier.evaluate.table import interval_text, p_text

MOST_LETTERS = 100
"""How long the name of a page may be that is made up of runs' names."""


@dataclass(frozen=True)
class Compared:
    """The runs compared, and the files that the page is made of."""

    found: RunsCompared
    runs: Mapping[str, Material]

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        return self.found.as_dict()

    def as_text(self) -> str:
        """Two small tables, by the metric that decides."""
        found, buffer = self.found, io.StringIO()
        console = Console(file=buffer, width=110, no_color=True)
        table = _table("run", f"{found.metric} (95 % interval)", "rows")
        for name, numbers in found.estimates.items():
            table.add_row(name, interval_text(numbers[found.metric]), f"{numbers[found.metric].n:,}")
        console.print(table)
        pairs = _table("pair", "difference", "p", "p (Holm)", "rows")
        for one in found.comparisons:
            pairs.add_row(f"{one.a} − {one.b}", _difference(one), p_text(one.p), p_text(one.p_holm), f"{one.n:,}")
        console.print(pairs)
        return buffer.getvalue().rstrip("\n")


def compare_runs(names: Sequence[str], runs: Path) -> Compared:
    """Compare the tuned models of runs, by the goal's metric of the first and by every other one.

    Raises:
        LuthierError: fewer than two runs, a run without a report, or runs with other test rows or tasks.

    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise LuthierError("luthier compare", f"it was given {', '.join(names) or 'nothing'}", "name two or more different runs")
    found = [find_run(runs, name) for name in names]
    # Runs of one name in two folders are told apart by the paths that they were given by.
    shown = [run.name for run in found] if len({run.name for run in found}) == len(found) else list(names)
    materials = dict(zip(shown, (read_material(run) for run in found), strict=True))
    return Compared(compared(materials), materials)


def write_comparison(found: Compared, path: Path) -> None:
    """Write the page; the same runs give the same bytes."""
    write_text(path, compare_page(found.found, found.runs))


def page_path(names: Sequence[str], runs: Path) -> Path:
    """Where the page goes unless told otherwise: `compare-NAME-NAME.html` beside the runs."""
    joined = "-".join(Path(name).resolve().name for name in names)
    if len(joined) > MOST_LETTERS:
        joined = f"{joined[: MOST_LETTERS - 9]}-{text_hash(joined)[:8]}"
    return runs / f"compare-{joined}.html"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading)
    return table


def _difference(one: Comparison) -> str:
    return "–" if one.difference is None else f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
