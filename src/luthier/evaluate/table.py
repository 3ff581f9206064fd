"""The report on one screen of the terminal: the verdict in words, then the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.metrics import METRICS
from luthier.evaluate.report import Report
from luthier.evaluate.verdict import Reason

MOST_METRICS = 3
"""Metrics that the table shows, the goal's first: more do not fit on a screen. The report has them all."""


def print_report(report: Report, console: Console) -> None:
    """Print the report; give the console that progress goes to when standard output belongs to `--json`."""
    console.print(report_table(report))


def report_table(report: Report) -> RenderableType:
    """The verdict and its reasons, the systems with their metrics, the comparisons, and what to be careful about."""
    parts: list[RenderableType] = [_verdict(report), "", _systems(report)]
    if more := _measured(report)[MOST_METRICS:]:
        parts.append(Text(f"in report.json too: {', '.join(more)}", style="dim"))
    if report.comparisons:
        parts += ["", _comparisons(report.comparisons)]
    warnings = warnings_of(report)
    if warnings:
        parts += ["", *(Text(f"! {warning}", style="yellow") for warning in warnings)]
    return Group(*parts)


def _verdict(report: Report) -> RenderableType:
    word = "SHIP" if report.verdict == "ship" else "HOLD"
    said = "every claim holds" if report.verdict == "ship" else "not every claim holds"
    lines = [Text(f"{word}: {said}", style="bold green" if report.verdict == "ship" else "bold red")]
    lines += [Text(f"  {_mark(reason)} {reason.claim}: {reason.evidence}") for reason in report.reasons]
    return Group(*lines)


def _mark(reason: Reason) -> str:
    """A tick or a cross for a claim; a plain mark for what is no claim of ours but has to be known."""
    if reason.claim.startswith("the classical baseline"):
        return "!"
    return "✓" if reason.holds else "✗"


def _measured(report: Report) -> list[str]:
    """Every metric of the report, the goal's first and then the most telling."""
    return list(dict.fromkeys(metric for found in report.systems.values() for metric in found))


def _systems(report: Report) -> Table:
    names = _measured(report)[:MOST_METRICS]
    table = Table(title="On the test rows (95 % intervals)", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("system")
    for name in names:
        mark = " (lower is better)" if METRICS[name].higher_is_better is False else ""
        table.add_column(f"{name}{mark}", justify="right")
    table.add_column("rows", justify="right")
    for system, found in report.systems.items():
        n = max((one.n for one in found.values()), default=0)
        table.add_row(escape(system), *(interval_text(found.get(name)) for name in names), f"{n:,}")
    return table


def interval_text(found: Estimate | None) -> str:
    """A value with its interval, `–` where there is none, `(n)` after it where some rows were not judged."""
    if found is None or found.value is None or found.low is None or found.high is None:
        return "–"
    digits = 1 if max(abs(found.value), abs(found.high)) >= 10 else 3
    text = f"{found.value:.{digits}f} ({found.low:.{digits}f}–{found.high:.{digits}f})"
    return f"{text} of {found.n:,} rows" if found.n_unjudged else text


def _comparisons(comparisons: Sequence[Comparison]) -> Table:
    metric = comparisons[0].metric
    table = Table(title=f"Paired differences in {metric}", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("systems")
    for name in ("difference", "p", "p (Holm)", "rows"):
        table.add_column(name, justify="right")
    for one in comparisons:
        name = escape(f"{one.a} − {one.b}")
        if one.difference is None or one.low is None or one.high is None:
            table.add_row(name, "–", "–", "–", "0")
            continue
        digits = 1 if max(abs(one.low), abs(one.high)) >= 10 else 3
        text = f"{one.difference:+.{digits}f} ({one.low:+.{digits}f} to {one.high:+.{digits}f})"
        table.add_row(name, text, p_text(one.p), p_text(one.p_holm), f"{one.n:,}")
    return table


def p_text(p: float | None) -> str:
    """A p value for people."""
    if p is None:
        return "–"
    return "<0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def warnings_of(report: Report) -> tuple[str, ...]:
    """What a reader of the numbers should be careful about."""
    tuned = report.systems.get("tuned", {}).get(report.goal.judged_by)
    found = []
    if tuned is not None and tuned.few:
        groups = "" if tuned.n_groups is None else f" in {tuned.n_groups:,} groups"
        found.append(f"few rows: {tuned.n:,}{groups}. Intervals are wide, and hold the truth a little less often than they say.")
    for name, metrics in report.systems.items():
        one = metrics.get(report.goal.judged_by)
        if one is not None and one.n_unjudged:
            found.append(f"{name} was not judged on {one.n_unjudged:,} of {one.n + one.n_unjudged:,} rows by {report.goal.judged_by}.")
    if report.facts.looks > 1:
        found.append(f"look {report.facts.looks} at this test set: the claims are held to p < {0.05 / report.facts.looks:.3g}.")
    if report.goal.defaulted:
        found.append(f"the goal did not say: {', '.join(report.goal.defaulted)} (judged by {report.goal.judged_by}).")
    return tuple(found)
