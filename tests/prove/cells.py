"""The cells of the proof at length: each is one kind of score set at one size, run set by set and kept where it stopped.

`python -m tests.prove.cells` runs what is missing and writes the table into `docs/proofs.md`; `--sets 500` runs fewer, `--only BLEU`
some. What was run is kept in `.prove/intervals.json`, which git ignores, each cell under a hash of the code that decides it.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.prove import score_sets
from tests.prove.score_sets import (
    CALIBRATION,
    CORPUS,
    GROUPS,
    ROWS,
    Found,
    accuracy_interval,
    called_different,
    macro_f1_interval,
    three_errors,
)

from luthier.core.files import write_json, write_text
from luthier.evaluate.metrics.calibration_error import CalibrationError

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".prove" / "intervals.json"
TABLE = ROOT / "docs" / "proofs.md"
BEGIN, END = "<!-- intervals: written by python -m tests.prove.cells -->", "<!-- end of intervals -->"
N_SETS, PART = 5_000, 250
SHARED = ("resampling.py", "estimates.py", "metrics/metric.py")
CODE = {
    "rows": ("bca.py",),
    "groups": ("shares.py",),
    "accuracy": ("answers.py", "intervals.py", "shares.py", "metrics/accuracy.py"),
    "macro-F1": ("answers.py", "intervals.py", "bca.py", "metrics/macro_f1.py"),
    "BLEU": ("bca.py", "metrics/bleu.py"),
    "calibration error": ("calibration_interval.py", "metrics/calibration_error.py"),
    "equal systems": (
        "answers.py", "intervals.py", "bca.py", "compare.py", "metrics/accuracy.py", "metrics/macro_f1.py", "metrics/loss.py",
    ),
}
"""Of each kind of cell, by what its name begins with, the files of `luthier/evaluate` that decide its outcome, beside `SHARED`."""


@dataclass(frozen=True)
class Cell:
    """A kind of score set at one size: how one set is judged, and between which shares the judgements have to fall."""

    name: str
    n: int
    judge: Callable[[int, int], Found]
    least: float
    most: float
    few: bool

    @property
    def key(self) -> str:
        return f"{self.name}, n = {self.n}"

    @property
    def kind(self) -> str:
        return self.name.partition(",")[0]


@dataclass(frozen=True)
class Tally:
    """What a cell has shown so far."""

    n_sets: int = 0
    n_counted: int = 0
    narrowest: float = float("inf")
    few: tuple[bool, ...] = ()

    @property
    def share(self) -> float:
        return self.n_counted / self.n_sets


def _intervals() -> list[Cell]:
    cells = [Cell(f"rows, {name}", n, one.interval, *_wanted(n < 100)) for name, one in ROWS.items() for n in (20, 50, 100, 300)]
    # Groups have 4.3 rows on average, so that 30 of them hold 100 rows nearly always.
    cells += [Cell(f"groups, {name}", n, one.interval, *_wanted(n < 30)) for name, one in GROUPS.items() for n in (10, 25, 30, 60)]
    cells += [Cell("accuracy, any share", n, accuracy_interval(None), *_wanted(n < 100)) for n in (20, 50, 100, 300)]
    cells += [Cell(f"accuracy, {share:g} right", n, accuracy_interval(share), *_wanted(False)) for share in (0.7, 0.9) for n in (100, 300)]
    cells += [Cell("macro-F1", n, macro_f1_interval, *_wanted(n < 100)) for n in (50, 100, 400)]
    cells += [Cell(name, n, one.interval, *_wanted(n < 100)) for name, one in CORPUS.items() for n in (50, 100, 300)]
    few = CalibrationError.few_rows
    cells += [Cell(name, n, one.interval, *_wanted(n < few)) for name, one in CALIBRATION.items() for n in (50, 100, 300, 1_000)]
    return cells


def _wanted(few: bool) -> tuple[float, float, bool]:
    return (0.90, 1.0, True) if few else (0.93, 0.97, False)


def _tests() -> list[Cell]:
    sizes = (("rows", 12), ("rows", 50), ("rows", 200), ("groups", 200), ("rows", 500))
    return [
        Cell(f"equal systems, {metric}, {kind}", n, called_different(metric, kind), 0.035 if n >= 200 else 0.0, 0.057, n < 100)
        for metric in ("accuracy", "macro_f1", "loss_nats")
        for kind, n in sizes
    ]  # fmt: skip


INTERVALS, TESTS = _intervals(), _tests()


def run(cell: Cell, n_sets: int | None = None, kept: Path = KEPT) -> Tally:
    """Judge the cell's sets from where an earlier call stopped; a kill loses at most the last 250."""
    wanted = N_SETS if n_sets is None else min(n_sets, N_SETS)
    tally = _read(kept).get(cell.key, Tally())
    while tally.n_sets < wanted:
        found = [cell.judge(cell.n, seed) for seed in range(tally.n_sets, min(wanted, tally.n_sets + PART))]
        tally = Tally(
            tally.n_sets + len(found),
            tally.n_counted + sum(one.counts for one in found),
            min(tally.narrowest, *(one.width for one in found)),
            tuple(sorted({*tally.few, *(one.few for one in found)})),
        )
        _write(kept, {**_read(kept), cell.key: tally})
    return tally


def holds(cell: Cell, tally: Tally) -> bool:
    """Whether the share lies where it should, give or take three standard errors of its own; the issue's bounds for tests as they are."""
    slack = 0.0 if cell in TESTS else three_errors(0.95, tally.n_sets)
    return cell.least - slack <= tally.share <= cell.most + slack and tally.narrowest > 0


@functools.cache
def code_hash(kind: str) -> str:
    """SHA-256 of the code that decides the cells of one kind, as it was when this process began to judge."""
    total = hashlib.sha256()
    for path in [*(ROOT / "src" / "luthier" / "evaluate" / name for name in (*SHARED, *CODE[kind])), Path(score_sets.__file__)]:
        total.update(_code_of(path).encode())
    return total.hexdigest()


def _code_of(path: Path) -> str:
    """What a file does: its syntax tree, so that a comment or a docstring may change and nothing has to run again."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [line for line in node.body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
    return ast.dump(tree)


def _read(kept: Path) -> dict[str, Tally]:
    """What was run of the cells whose code is still the same."""
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    cells = [cell for cell in (*INTERVALS, *TESTS) if cell.key in found and found[cell.key]["code"] == code_hash(cell.kind)]
    same = {cell.key: {name: value for name, value in found[cell.key].items() if name != "code"} for cell in cells}
    return {key: Tally(**{**one, "few": tuple(one["few"])}) for key, one in same.items()}


def _write(kept: Path, tallies: dict[str, Tally]) -> None:
    code = {cell.key: code_hash(cell.kind) for cell in (*INTERVALS, *TESTS)}
    write_json(kept, {key: {"code": code[key], **dataclasses.asdict(one), "few": list(one.few)} for key, one in tallies.items()})


def table(kept: Path = KEPT) -> str:
    """What was run, as Markdown."""
    found = _read(kept)
    lines = [
        BEGIN, "", "| 95 % intervals of | n | sets | hold the truth | wanted | narrowest |", "|---|---|---|---|---|---|",
        *(_line(cell, found[cell.key], f"{found[cell.key].narrowest:.2g}") for cell in INTERVALS if cell.key in found),
        "", "| paired test at 0.05, two | n | sets | called different | wanted |", "|---|---|---|---|---|",
        *(_line(cell, found[cell.key]) for cell in TESTS if cell.key in found), "", END,
    ]  # fmt: skip
    return "\n".join(lines)


def _line(cell: Cell, tally: Tally, *more: str) -> str:
    unit = "groups" if cell.name.startswith("groups") else "rows"
    few = ", few" if cell.few else ""
    wanted = f"{cell.least:.1%} to {cell.most:.1%}"
    missed = "" if holds(cell, tally) else " **(missed)**"
    return "| " + " | ".join((cell.name, f"{cell.n} {unit}{few}", f"{tally.n_sets:,}", f"{tally.share:.1%}{missed}", wanted, *more)) + " |"


def write_table() -> None:
    """Put the table in its place in `docs/proofs.md`."""
    text = TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    write_text(TABLE, before + table() + rest.partition(END)[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, help="at most so many sets a cell", default=N_SETS)
    parser.add_argument("--only", help="only cells whose name holds this", default="")
    asked = parser.parse_args()
    for cell in [cell for cell in [*INTERVALS, *TESTS] if asked.only in cell.name]:
        tally = run(cell, asked.sets)
        print(f"{cell.key}: {tally.share:.4f} of {tally.n_sets}{'' if holds(cell, tally) else '   MISSED'}", flush=True)
    write_table()


if __name__ == "__main__":
    main()
