"""Compare: paired differences between runs that were tested on the same rows."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, read_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run, find_run
from luthier.evaluate.answers import Answer, Gold, System, gold_hash, labels_of
from luthier.evaluate.compare import compare, corrected
from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.table import interval_text, p_text


@dataclass(frozen=True)
class Compared:
    """The runs' values on the first run's metric, and every pair's difference."""

    metric: str
    estimates: Mapping[str, Estimate]
    comparisons: tuple[Comparison, ...]

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints: systems and comparisons as in the report contract."""
        systems: dict[str, Json] = {name: {self.metric: one.as_dict()} for name, one in self.estimates.items()}
        return {"schema": 1, "metric": self.metric, "systems": systems, "comparisons": [one.as_dict() for one in self.comparisons]}

    def as_text(self) -> str:
        """Two small tables."""
        buffer = io.StringIO()
        console = Console(file=buffer, width=110, no_color=True)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("run", f"{self.metric} (95 % interval)", "rows"):
            table.add_column(heading)
        for name, one in self.estimates.items():
            table.add_row(name, interval_text(one), f"{one.n:,}")
        console.print(table)
        pairs = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("pair", "difference", "p", "p (Holm)", "rows"):
            pairs.add_column(heading)
        for found in self.comparisons:
            said = "–" if found.difference is None else f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
            pairs.add_row(f"{found.a} − {found.b}", said, p_text(found.p), p_text(found.p_holm), f"{found.n:,}")
        console.print(pairs)
        return buffer.getvalue().rstrip("\n")


def compare_runs(names: Sequence[str], runs: Path) -> Compared:
    """Compare the tuned models of runs, by the goal's metric of the first.

    Raises:
        LuthierError: fewer than two runs, a run without a report, or runs with other test rows or tasks.

    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise LuthierError("luthier compare", f"it was given {', '.join(names) or 'nothing'}", "name two or more different runs")
    found = [find_run(runs, name) for name in names]
    reports = [_report(run) for run in found]
    golds, systems = zip(*(_answers(run) for run in found), strict=True)
    if len({gold_hash(gold) for gold in golds}) > 1:
        raise LuthierError(" and ".join(names), "they were tested on different rows", "compare runs with the same data, seed and split")
    goal = reports[0]["goal"]
    metric = metric_named(goal["metric"], labels_of(golds[0], *systems) if goal["task"] == "classify" else ())
    estimates = {system.name: estimate(metric, golds[0], system.answers, seed=reports[0]["seed"]) for system in systems}
    pairs = [compare(metric, golds[0], a, b, seed=reports[0]["seed"]) for a, b in itertools.combinations(systems, 2)]
    return Compared(goal["metric"], estimates, corrected(pairs))


def _report(run: Run) -> Mapping[str, Any]:
    if not run.report.is_file():
        raise LuthierError(str(run.folder), "it has no report", "evaluate it first: luthier evaluate RECIPE")
    report: Any = read_json(run.report)
    return dict(report)


def _answers(run: Run) -> tuple[tuple[Gold, ...], System]:
    """The test rows of a run and what its tuned model said, in the order of the ids."""
    gold, answers = [], []
    for row in read_jsonl(run.scores):
        said: Any = row["systems"]
        gold.append(Gold(str(row["id"]), str(row["gold"]), row["group"]))  # type: ignore[arg-type]
        one = said["tuned"]
        answers.append(Answer(str(row["id"]), one["answer"], None, one.get("loss_nats"), one.get("n_tokens")))
    return tuple(gold), System(f"run:{run.name}", tuple(answers))
