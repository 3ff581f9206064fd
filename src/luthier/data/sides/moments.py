"""Moments in a column, as numbers that can be put in order, and where a split by time cuts them."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from luthier.core.jsonvalue import Json
from luthier.data.sides.kinds import Side


def moments_of(values: Sequence[Json], form: str | None = None) -> list[float | None]:
    """Each value of a column as a number by which moments can be put in order; None where it is no moment.

    They are numbers if all that can be read are, and else dates: the two do not mix. Dates become seconds since 1970 in
    UTC, and those without a zone are taken to be in UTC. `form` is one of strptime's; without it, dates are those of
    ISO 8601 and of e-mails.
    """
    if form is not None:
        return [_parsed(str(value), form) if isinstance(value, str | int) else None for value in values]
    numbers = [_number(value) for value in values]
    dates = [None if number is not None else _date(value) for number, value in zip(numbers, values, strict=True)]
    return numbers if not any(one is not None for one in dates) else [_date(value) for value in values]


def boundaries_for(moments: Sequence[float], validation: float, test: float) -> dict[Side, float]:
    """The moments from which rows are validation rows and test rows, so that the counts are nearest to the shares.

    A cut never runs through equal moments, and always leaves older rows to train on. A side without a share has no
    boundary; neither has one for which there is no place to cut.
    """
    ordered = sorted(moments)
    distinct = sorted(set(ordered))
    found: dict[Side, float] = {}
    end = len(ordered)
    for side, share in (("test", test), ("validation", validation)):
        # A cut at a distinct moment gives this side the rows from there to the side after it.
        cuts = [one for one in distinct[1:] if bisect_left(ordered, one) < end]
        if share > 0 and cuts:
            aim, stop = share * len(ordered), end
            cut = min(cuts, key=lambda one: (abs(stop - bisect_left(ordered, one) - aim), -one))
            found[side] = cut  # type: ignore[index]
            end = bisect_left(ordered, cut)
    return found


def side_at(moment: float, boundaries: Mapping[Side, float]) -> Side:
    """The side of a row of that moment."""
    if moment >= boundaries.get("test", math.inf):
        return "test"
    return "validation" if moment >= boundaries.get("validation", math.inf) else "train"


def _number(value: Json) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _date(value: Json) -> float | None:
    if not isinstance(value, str):
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return _seconds(read(value.strip()))
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _parsed(text: str, form: str) -> float | None:
    try:
        return _seconds(datetime.strptime(text.strip(), form))
    except (ValueError, OverflowError, re.error):  # the last of these where the form names one thing twice
        return None


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
