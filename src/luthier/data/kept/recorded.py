"""The record of sides: what earlier runs settled, reading it back, and taking it over from another run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from luthier.core.errors import LuthierError
from luthier.core.files import read_json
from luthier.core.jsonvalue import Json
from luthier.data.kept.prepared import SPLIT
from luthier.data.sides.kinds import promise
from luthier.data.sides.split import AnySplit, Side

_AFRESH = "give the run another name; or delete data/split.json in its folder, and every row is given a side afresh"


@dataclass(frozen=True)
class Recorded:
    """The sides by id that earlier runs recorded, the settings and boundaries that they were made with; empty the first time."""

    sides: Mapping[str, Side] = field(default_factory=dict)
    settings: Mapping[str, Json] = field(default_factory=dict)
    boundaries: Mapping[Side, float] = field(default_factory=dict)


def read_recorded(home: Path) -> Recorded:
    """The record in a run's `data` folder.

    Raises:
        LuthierError: the file is not one of ours.

    """
    path = home / SPLIT
    if not path.exists():
        return Recorded()
    try:
        found = read_json(path)
    except ValueError as error:
        raise _broken(path) from error
    if not isinstance(found, Mapping):
        raise _broken(path)
    sides, absent, settings, boundaries = (found.get(name) for name in ("sides", "absent", "settings", "boundaries"))
    if not isinstance(sides, Mapping) or not isinstance(absent, Mapping) or not isinstance(settings, Mapping):
        raise _broken(path)
    both: dict[str, Side] = {**absent, **sides}  # type: ignore[dict-item]
    if not set(both.values()) <= set(get_args(Side)):
        raise _broken(path)
    # Records from before there were kinds are of the one that there was.
    known: dict[str, Json] = {"kind": "stratified", **settings} if settings else {}
    return Recorded(both, known, boundaries if isinstance(boundaries, Mapping) else {})  # type: ignore[arg-type]


def _broken(path: Path) -> LuthierError:
    return LuthierError(str(path), "it is not a record of a split", "restore it; or delete it, and every row is given a side afresh")


def split_of(settings: Mapping[str, Any], where: Path) -> tuple[AnySplit, int]:
    """The split and the seed that a record was made with."""
    kinds: dict[str, type[AnySplit]] = {str(one.kind): one for one in get_args(AnySplit)}
    kind = kinds.get(str(settings.get("kind")))
    if kind is None:
        raise _broken(where / SPLIT)
    names = {one.name for one in fields(kind)}
    try:
        return kind(**{name: value for name, value in settings.items() if name in names}), int(settings["seed"])
    except (TypeError, KeyError, ValueError) as error:
        raise _broken(where / SPLIT) from error


def refuse_other_promise(recorded: Recorded, split: AnySplit, where: str) -> None:
    """Raise if sides were recorded by a split that promised something else: they could not keep what this one promises."""
    if not recorded.settings:
        return
    was, now = promise(split_of(recorded.settings, Path(where))[0]), promise(split)
    if was != now:
        problem = f"its rows were parted by {_said(was)}, and this recipe parts them by {_said(now)}"
        raise LuthierError(where, problem, _AFRESH)


def _said(promised: Mapping[str, object]) -> str:
    kind = promised["kind"]
    if kind == "folds":
        return f"fold {promised['fold']} of {promised['folds']}"
    return f'the column "{promised["column"]}" ({kind})' if "column" in promised else "shares"


def taken_over(own: Recorded, other: Recorded, name: str, where: str) -> Recorded:
    """The sides of another run added to the record of one.

    Args:
        own: the record of the run that is prepared.
        other: that of the run `split_from` names.
        name: that run's.
        where: the folder of the run that is prepared, for errors.

    Raises:
        LuthierError: the two disagree about a row.

    """
    parted = [row for row, side in own.sides.items() if other.sides.get(row, side) != side]
    if parted:
        problem = f"{len(parted):,} of its rows stand on other sides than in {name}, such as {sorted(parted)[0]!r}"
        raise LuthierError(where, problem, _AFRESH)
    return Recorded({**other.sides, **own.sides}, other.settings, other.boundaries)
