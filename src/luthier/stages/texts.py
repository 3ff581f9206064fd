"""What the stages' results look like to a person at a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from luthier.core.proofs import Proofs
from luthier.evaluate.report_file import report_from_dict
from luthier.evaluate.table import report_table


def report_text(report: Mapping[str, Any], folder: Path, next_lines: tuple[str, ...] = ()) -> str:
    """The report's table, where its files are, and what to type next."""
    page = folder / "evaluation" / "report.html"
    lines = [_rendered(report_table(report_from_dict(report))), f"Report: {page}  (the same numbers for programs: report.json)"]
    if next_lines:
        lines += ["", "Next:", *(f"  {line}" for line in next_lines)]
    return "\n".join(lines)


def prepared_text(found: Mapping[str, Any], folder: Path) -> str:
    """What became of the rows."""
    certificate = found["certificate"]
    lines = [found["recognised"], f"{found['read']:,} rows read, {found['kept']:,} kept", *dropped_lines(found["dropped"])]
    lines += [f"  changed by {step}: {n:,}" for step, n in found["changed"].items() if n]
    lines += added_lines(found["added"], found["augmentation"])
    grouped = f"{certificate['groups_shared']} groups and " if certificate["group_column"] else ""
    shared = f"{grouped}{certificate['near_duplicates_shared']} near-duplicates stand on two sides"
    lines += [f"split: {split_text(found['split'])}", f"certificate: {shared} (Jaccard from {certificate['threshold']:g})"]
    lines += [f"! {warning}" for warning in found["warnings"]]
    return "\n".join([*lines, f"Rows: {folder / 'data'}  (in figures: {folder / 'data' / 'profile.html'})"])


def tuned_text(found: Mapping[str, Any], folder: Path) -> str:
    """How training went."""
    fit, layout = found["fit"], found["layout"]
    lines = [f"{tokens_text(found['train'])}; layout {layout['layout']} ({layout['reason']})", *too_long_lines(found["train"])]
    best = "" if fit["best_loss"] is None else f", best validation loss {fit['best_loss']:.4f} nats at step {fit['best_step']}"
    lines.append(f"{fit['last_step']:,} of {fit['n_steps']:,} steps{' (stopped early)' if fit['stopped_early'] else ''}{best}")
    lines += [f"! {difference}" for difference in found["differs"]]
    return "\n".join([*lines, f"Bundle: {folder / 'bundle'}"])


def proofs_text(found: Proofs) -> str:
    """How many proofs hold, and those that do not, with what to do."""
    holding = sum(proof.holds for proof in found.proofs.values())
    lines = [f"{holding} of {len(found.proofs)} proofs hold, {len(found.not_applicable)} do not apply"]
    return "\n".join([*lines, *(f"! {name}: {proof.detail}" for name, proof in found.proofs.items() if not proof.holds)])


def split_text(split: Mapping[str, int]) -> str:
    """The sizes of the three sides."""
    return ", ".join(f"{n:,} {side}" for side, n in split.items())


def dropped_lines(dropped: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each reason for which a step dropped rows."""
    return [f"  dropped by {step}: {n:,}  {reason}" for step, reasons in dropped.items() for reason, n in reasons.items()]


def added_lines(added: Mapping[str, int], tried: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each step that made rows, and for each reason for which it made none of a row."""
    lines = [f"  added by {step}: {n:,}" for step, n in added.items()]
    return lines + [f"  not made by {step}: {n:,}  {why}" for step, counts in tried.items() for why, n in counts["not_made"].items()]


def tokens_text(counts: Mapping[str, int]) -> str:
    """How many rows and tokens there are, and how many of them are trained."""
    rows = f"{counts['n_rows']:,} training rows, {counts['n_tokens']:,} tokens"
    if counts["n_labelled"]:
        return f"{rows}; what is trained is each row's label"
    return f"{rows}, {counts['n_supervised']:,} of them trained"


def too_long_lines(counts: Mapping[str, int]) -> list[str]:
    """What became of rows that were too long; nothing where there were none."""
    if not counts["n_too_long"]:
        return []
    fate = f"{counts['n_cut']:,} cut by {counts['n_tokens_removed']:,} tokens, {counts['n_dropped']:,} dropped"
    return [f"! {counts['n_too_long']:,} rows were too long: {fate}"]


def _rendered(table: Any) -> str:
    """A rich table as text, in colour where stdout is a terminal."""
    console = Console()
    buffer = io.StringIO()
    Console(file=buffer, width=max(console.width, 100), force_terminal=console.is_terminal, no_color=console.no_color).print(table)
    return buffer.getvalue().rstrip("\n")
