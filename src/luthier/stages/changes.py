"""What changed from one version of prepared data to another, in the way of a diff."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run, find_run
from luthier.data.kept import prepared, versions
from luthier.data.kept.versions import Diff, Entry
from luthier.stages.shown import PLAIN, shortened, visible

ADDED, REMOVED, CHANGED = "\x1b[32m", "\x1b[31m", "\x1b[33m"
_LETTERS = 12


@dataclass(frozen=True)
class RowChange:
    """One row that was added (`+`), removed (`-`) or changed (`~`), as it is, else as it was.

    `was` says what of a changed row is other than before. `text` is its beginning, '' where only its hash is kept.
    """

    mark: str
    row: Entry
    was: Entry | None
    text: str

    def line(self, color: bool) -> str:
        """For the terminal."""
        label = "" if self.row.label is None else f" [{visible(self.row.label)}]"
        if self.was is not None and self.was.label != self.row.label:
            label = f" [{visible(str(self.was.label))} → {visible(str(self.row.label))}]"
        side = self.row.side if self.was is None or self.was.side == self.row.side else f"{self.was.side} → {self.row.side}"
        line = f"{self.mark} {side} {visible(self.row.id)}{label}" + (f": {shortened(self.text)}" if self.text else "")
        code = {"+": ADDED, "-": REMOVED, "~": CHANGED}[self.mark]
        return f"{code}{line}{PLAIN}" if color else line

    def as_dict(self) -> dict[str, Json]:
        """For `--json`."""
        was = None if self.was is None else {"id": self.was.id, "side": self.was.side, "label": self.was.label}
        return {"change": self.mark, "id": self.row.id, "side": self.row.side, "label": self.row.label, "was": was, "text": self.text}


@dataclass(frozen=True)
class Changes:
    """From `before` to `after`: how many rows of each kind, and the first of each."""

    before: str
    after: str
    counts: Mapping[str, Any]
    rows: tuple[RowChange, ...]

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        return {"from": self.before, "to": self.after, **self.counts, "rows": [one.as_dict() for one in self.rows]}

    def as_text(self, color: bool) -> str:
        """For the terminal."""
        lines = [f"Data: {self.after}, from {self.before}", counts_text(self.counts)]
        lines += [one.line(color) for one in self.rows]
        n_all = self.counts["added"] + self.counts["removed"] + self.counts["changed"]
        if n_all > len(self.rows):
            lines.append(f"and {n_all - len(self.rows):,} more rows")
        return "\n".join(lines)


def counts_text(counts: Mapping[str, Any]) -> str:
    """A diff's numbers in words."""
    if not any(counts[name] for name in ("added", "removed", "changed")):
        return "  no row differs"
    sides = f"{counts['sides_moved']:,} rows stand on other sides" if counts["sides_moved"] else "no row moved to another side"
    moves = "; ".join(f"{n:,} {move}" for move, n in itertools.islice(counts["labels"].items(), 5))
    labels = f" ({counts['labels_moved']:,} in their label: {visible(moves)})" if counts["labels_moved"] else ""
    return f"  {counts['added']:,} added, {counts['removed']:,} removed, {counts['changed']:,} changed{labels}; {sides}"


def changes_between(name: str, against: str, n_rows: int, runs: Path) -> Changes:
    """What the data of one run have that those of another have not: from `against` to `name`.

    Raises:
        LuthierError: one of them is no run, or its rows are not prepared yet.

    """
    after, before = (find_run(runs, one) for one in (name, against))
    for run in (after, before):
        if not run.kept.is_file():
            raise LuthierError(str(run.folder), "its rows are not prepared yet", "run `luthier prepare` on the recipe first")
    new, old = versions.Lying(after.data), versions.Lying(before.data)
    found = versions.diff(old, new)
    rows = _chosen(found, n_rows, [after, before])
    return Changes(_named(before, versions.version_hash(old)), _named(after, versions.version_hash(new)), found.counts(), rows)


def newest_changes(run: Run, n_rows: int, color: bool = False) -> str:
    """What the newest version of a run's data changed about its parent, in words; '' where no versions were recorded."""
    known = versions.history(run.data)
    if not known:
        return ""
    newest: Mapping[str, Any] = known[-1]
    title = f"version {newest['number']} ({newest['sha256'][:_LETTERS]})"
    parent = newest["parent"]
    if parent is None:
        return f"Data: {title}, the first"
    if parent["run"] is not None:
        return f"Data: {title}, the first; its sides are those of {visible(parent['run'])} ({parent['sha256'][:_LETTERS]})"
    before = f"version {newest['number'] - 1} ({parent['sha256'][:_LETTERS]})"
    old = versions.former(run.data, parent["sha256"])
    if old is None:
        return f"Data: {title}, from {before}, which is not kept any more"
    found = versions.diff(old, versions.Lying(run.data))
    return Changes(before, title, found.counts(), _chosen(found, n_rows, [run])).as_text(color)


def _named(run: Run, sha256: str) -> str:
    return f"{run.name} ({sha256[:_LETTERS]})"


def _chosen(found: Diff, n_rows: int, held_by: Iterable[Run]) -> tuple[RowChange, ...]:
    """The first rows of each kind; of the changed ones those first whose side or label moved."""
    pairs = sorted(found.changed, key=lambda pair: (pair[0].side == pair[1].side, pair[0].label == pair[1].label))[:n_rows]
    added, removed = found.added[:n_rows], found.removed[:n_rows]
    wanted = {(row.id, row.content) for row in (*added, *removed, *(new for _, new in pairs))}
    ids = {name for name, _ in wanted}
    texts: dict[tuple[str, str], str] = {}
    for run in held_by:
        for example, side in prepared.read_rows(run.data):
            if example.id in ids:
                entry = versions.entry_of(example, side)
                if (entry.id, entry.content) in wanted:
                    texts.setdefault((entry.id, entry.content), "\n".join(example.texts()))
    rows = [RowChange("~", new, old, texts.get((new.id, new.content), "")) for old, new in pairs]
    rows += [RowChange("+", row, None, texts.get((row.id, row.content), "")) for row in added]
    rows += [RowChange("-", row, None, texts.get((row.id, row.content), "")) for row in removed]
    return tuple(rows)

