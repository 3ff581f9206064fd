"""The shape of a metric: sums over rows, then one division."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from luthier.evaluate.answers import Answer, Gold

Floats: TypeAlias = NDArray[np.float64]


class Metric(Protocol):
    """A number about a set of answers that is a function of sums over rows.

    Because of that shape the interval, the paired test and the reported value are about the very same number: the
    bootstrap, the jackknife and the permutations only add other sets of rows up. A mean of per-row ratios would be a
    different number, and is a metric only where that is what its name means.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    higher_is_better: ClassVar[bool | None]
    """None where neither way is better: such a metric describes, and no goal can be judged by it."""
    range: ClassVar[tuple[float, float]]
    """The least and the greatest value there can be; infinite where there is no bound."""
    is_proportion: ClassVar[bool]
    """Whether the value is a count of rows divided by the number of rows."""
    few_rows: ClassVar[int]
    """Under so many rows its interval is marked as one of few rows."""

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """One line of sufficient statistics per row, rows × k; a row that cannot be judged is a line of NaN."""

    def failure(self, gold: Sequence[Gold]) -> Floats | None:
        """The statistics of the worst answer to each row, rows × k; None where there is no worst."""

    def values(self, sums: Floats) -> Floats:
        """The metric of sums over rows, shape (…, k) to (…); NaN where nothing was summed."""


def judged(statistics: Floats) -> NDArray[np.bool_]:
    """Which rows of `statistics` could be judged."""
    return np.asarray(np.isfinite(statistics).all(axis=1), dtype=np.bool_)


def value_of(metric: Metric, statistics: Floats) -> float | None:
    """The metric over the rows that could be judged; None where there are none."""
    found = float(metric.values(statistics[judged(statistics)].sum(axis=0)))
    return None if math.isnan(found) else found


def row_values(metric: Metric, statistics: Floats) -> tuple[float | None, ...]:
    """The metric of each row by itself; None where the row could not be judged."""
    return tuple(None if math.isnan(value) else float(value) for value in metric.values(statistics))


def goodness(metric: Metric, value: float | None) -> float:
    """A value turned so that more is better, for choices on validation rows; minus infinity where there is no value."""
    assert metric.higher_is_better is not None, "nothing is chosen by a metric that only describes"
    if value is None:
        return -math.inf
    return value if metric.higher_is_better else -value


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotients, NaN where the denominator is 0."""
    found: Floats = np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
    return found


def marks(gold: Sequence[Gold], right: Sequence[bool | None]) -> Floats:
    """Statistics of a proportion: (right, 1) per row, NaN where `right` is None."""
    assert len(gold) == len(right), "one mark for each row"
    nothing = (math.nan, math.nan)
    return np.array([nothing if mark is None else (float(mark), 1.0) for mark in right], dtype=np.float64).reshape(len(gold), 2)


def all_wrong(gold: Sequence[Gold]) -> Floats:
    """Statistics of a proportion in which each row is wrong."""
    return marks(gold, [False] * len(gold))
