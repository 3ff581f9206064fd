"""Parting cleaned rows: the split that holds, the sides that earlier runs settled, and what becomes of rows between two."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import DamagedFileError
from luthier.core.jsonvalue import Json
from luthier.data.kept import prepared, versions
from luthier.data.kept.recorded import Recorded, read_recorded, refuse_other_promise, split_of, taken_over
from luthier.data.kept.versions import Parent
from luthier.data.sides.relations import Relations
from luthier.data.sides.split import TWO_SIDES, AnySplit, ByColumn, Side, Sides, TimeSplit, assign
from luthier.data.source.reading import Data

NO_SIDE = "its column says no side"
NO_MOMENT = "its column holds no moment"


@dataclass(frozen=True)
class Settled:
    """What is known before any row is read: the split and the seed that hold, and the sides recorded so far.

    `home` is the run's `data` folder, in which the rows still lie as they were; `old_settings` are those of its own record.
    """

    split: AnySplit
    seed: int
    recorded: Recorded
    home: Path
    old_settings: Mapping[str, Json]
    origin: Parent | None = None

    def settings(self, group: str | None) -> dict[str, Json]:
        """What is recorded beside the sides."""
        return {**asdict(self.split), "seed": self.seed, "group": group}


def settle(data: Data, seed: int, home: Path, taken: Path | None) -> Settled:
    """Read what earlier runs recorded.

    Args:
        data: the recipe's `[data]`.
        seed: the recipe's.
        home: the run's `data` folder.
        taken: that of the run whose sides are taken over, with its settings and its seed; None for none.

    Raises:
        LuthierError: a record is damaged, or was made by a split that promised something else.

    """
    own, split, origin = read_recorded(home), data.split, None
    recorded = own
    if taken is not None:
        recorded = read_recorded(taken)
        split, seed = split_of(recorded.settings, taken)
        known = versions.history(taken)
        sha256 = str(known[-1]["sha256"]) if known else versions.version_hash(versions.Lying(taken))
        origin = Parent(sha256, taken.parent.name)
    refuse_other_promise(own, split, str(home.parent))
    if taken is not None:
        recorded = taken_over(own, recorded, taken.parent.name, str(home.parent))
    return Settled(split, seed, recorded, home, own.settings, origin)


def columns_of(split: AnySplit) -> tuple[str, ...]:
    """The columns of `extra` that a split reads."""
    return (split.column,) if isinstance(split, TimeSplit | ByColumn) else ()


def part(
    rows: Sequence[AnyExample],
    with_texts: Callable[[], Iterable[AnyExample]],
    data: Data,
    settled: Settled,
    known: Mapping[str, frozenset[Side]],
    related: Relations | None = None,
) -> Sides:
    """Give each row a side.

    Args:
        rows: the cleaned rows; they need no texts where `related` is given, only `columns_of` the split.
        with_texts: the same rows with their texts, read only where some are unknown and others are gone.
        data: the recipe's `[data]`.
        settled: what earlier runs recorded.
        known: the rows' recorded sides, those of their twins included.
        related: how the rows are related, where that is known already.

    Raises:
        LuthierError: rows whose column says no side or holds no moment, unless bad rows may be dropped.

    """
    split = settled.split
    both = {**known, **_known_by_text(rows, with_texts, known, settled.home)}
    sides = assign(rows, split, settled.seed, data.group, both, settled.recorded.boundaries or None, related)
    if sides.unfit and data.bad_rows == "error":
        _complain(rows, sides, split)
    return sides


def drops(sides: Sides, split: AnySplit) -> dict[str, tuple[str, str, str]]:
    """(step, reason, detail) by id, of the rows that have no side."""
    reason = NO_MOMENT if isinstance(split, TimeSplit) else NO_SIDE
    torn = {row: ("split", TWO_SIDES, f"related to rows in {' and in '.join(on)}") for row, on in sides.refused.items()}
    return {row: ("split", reason, detail) for row, detail in sides.unfit.items()} | torn


def _known_by_text(
    rows: Sequence[AnyExample], with_texts: Callable[[], Iterable[AnyExample]], known: Mapping[str, frozenset[Side]], home: Path
) -> dict[str, frozenset[Side]]:
    """Sides of rows that have no record and ask exactly what a row asked that is gone.

    Where rows are named by their content, a row whose label was mended has a new name; it stays where it stood.
    """
    new = {row.id for row in rows if row.id not in known}
    if not new or not (home / prepared.KEPT).is_file():
        return {}
    # A file that cannot be read any more is about to be written anew.
    with contextlib.suppress(DamagedFileError, KeyError):
        by_text = versions.sides_by_text(versions.Lying(home), (row.id for row in rows))
        found = {row.id: by_text.get(versions.asked_hash(row)) for row in with_texts() if row.id in new} if by_text else {}
        return {row: frozenset([side]) for row, side in found.items() if side is not None}
    return {}


def _complain(examples: Sequence[AnyExample], sides: Sides, split: AnySplit) -> None:
    assert isinstance(split, TimeSplit | ByColumn), "only these two read a column"
    complaints = Complaints()
    if isinstance(split, ByColumn):
        problem, fix = "says no side", "say what the value means under [data.split] sides"
    else:
        problem, fix = "holds no moment", "write it as ISO 8601 or a number, or say under [data.split] format how it is written"
    for example in examples:
        if example.id in sides.unfit:
            what = f'the column "{split.column}" {problem}: {sides.unfit[example.id]}'
            complaints.add(example.source or example.id, what, f'{fix}; or set bad_rows = "drop" under [data]')
    complaints.raise_if_any()


def refuse_strangers(settled: Settled, taken: Path | None, present: Collection[str]) -> None:
    """Raise if a run takes over the sides of another that knows none of its rows."""
    if taken is not None and not any(row in settled.recorded.sides for row in present):
        problem = f"none of the {len(present):,} rows here is known in {taken.parent.name}"
        fix = "rows are known by the `id` column, else by their content: give both sources the same ids"
        raise LuthierError("recipe.toml [data] split_from", problem, fix)
