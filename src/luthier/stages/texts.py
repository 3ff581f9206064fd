"""What the stages' results look like to a person at a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from luthier.evaluate.report_file import report_from_dict
from luthier.evaluate.table import report_table


def report_text(report: Mapping[str, Any], folder: Path, next_lines: tuple[str, ...] = ()) -> str:
    """The report's table, where its files are, and what to type next."""
    lines = [_rendered(report_table(report_from_dict(report))), f"Report: {folder / 'evaluation' / 'report.json'}"]
    if next_lines:
        lines += ["", "Next:", *(f"  {line}" for line in next_lines)]
    return "\n".join(lines)


def prepared_text(found: Mapping[str, Any], folder: Path) -> str:
    """What became of the rows."""
    split, certificate = found["split"], found["certificate"]
    lines = [found["recognised"], f"{found['read']:,} rows read, {found['kept']:,} kept"]
    for step, reasons in found["dropped"].items():
        lines += [f"  dropped by {step}: {n:,}  {reason}" for reason, n in reasons.items()]
    lines += [f"  changed by {step}: {n:,}" for step, n in found["changed"].items() if n]
    lines += [f"split: {split['train']:,} train, {split['validation']:,} validation, {split['test']:,} test"]
    grouped = f"{certificate['groups_shared']} groups and " if certificate["group_column"] else ""
    lines += [f"certificate: {grouped}{certificate['near_duplicates_shared']} near-duplicates stand on two sides (Jaccard from {certificate['threshold']:g})"]
    lines += [f"! {warning}" for warning in found["warnings"]]
    return "\n".join([*lines, f"Rows: {folder / 'data'}"])


def tuned_text(found: Mapping[str, Any], folder: Path) -> str:
    """How training went."""
    fit, layout, train = found["fit"], found["layout"], found["train"]
    lines = [f"{train['n_rows']:,} rows, {train['n_tokens']:,} tokens, {train['n_supervised']:,} of them trained; layout {layout['layout']} ({layout['reason']})"]
    if train["n_too_long"]:
        lines.append(f"! {train['n_too_long']:,} rows were too long: {train['n_cut']:,} cut by {train['n_tokens_removed']:,} tokens, {train['n_dropped']:,} dropped")
    best = "" if fit["best_loss"] is None else f", best validation loss {fit['best_loss']:.4f} nats at step {fit['best_step']}"
    lines.append(f"{fit['last_step']:,} of {fit['n_steps']:,} steps{' (stopped early)' if fit['stopped_early'] else ''}{best}")
    lines += [f"! {difference}" for difference in found["differs"]]
    return "\n".join([*lines, f"Bundle: {folder / 'bundle'}"])


def _rendered(table: Any) -> str:
    """A rich table as text, in colour where stdout is a terminal."""
    console = Console()
    buffer = io.StringIO()
    Console(file=buffer, width=max(console.width, 100), force_terminal=console.is_terminal, no_color=console.no_color).print(table)
    return buffer.getvalue().rstrip("\n")
