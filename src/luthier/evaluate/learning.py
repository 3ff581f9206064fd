"""What more training rows are worth: slopes of a learning curve with honest intervals, and advice only where they exclude zero.

A grid is the same recipe trained on nested parts of the training rows, several sizes by several seeds, all judged on the
same test rows. Two things make its numbers uncertain, and both are counted: that test rows are a sample, and that
training is (the rows that a part has, the order, the first weights).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import CONFIDENCE
from luthier.evaluate.intervals import with_failures
from luthier.evaluate.metrics.metric import Floats, Metric, judged
from luthier.evaluate.resampling import clusters_of

LAST = 3
"""Sizes that a slope is taken over, the largest ones: a curve that rose and then went flat promises nothing more."""
LEAST_UNITS = 10
"""Test rows, or groups of them, that have to do with a label before anything is said of it."""


@dataclass(frozen=True)
class Grid:
    """What was answered: `answers[j][s]` are those of size j and seed s, in the order of `gold`; sizes grow."""

    gold: tuple[Gold, ...]
    sizes: tuple[int, ...]
    answers: tuple[tuple[tuple[Answer, ...], ...], ...]

    @property
    def n_seeds(self) -> int:
        """How many trainings there are of each size."""
        return len(self.answers[0])


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of the metric at several sizes, mean over seeds, with its standard error and that one's degrees of freedom."""

    value: float
    error: float
    freedom: float
    n_units: int

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Both ends of the t interval."""
        half = float(stdtrit(self.freedom, 0.5 + confidence / 2)) * self.error
        return self.value - half, self.value + half

    def times(self, factor: float) -> Contrast:
        """So many times this."""
        return Contrast(self.value * factor, self.error * abs(factor), self.freedom, self.n_units)


def contrast(metric: Metric, grid: Grid, weights: Sequence[float], pooled: Sequence[int]) -> Contrast | None:
    """Σ weight · metric over the sizes, with an error that counts test rows and trainings.

    Rows and seeds are crossed: every training answers every row. So the variance of the mean is that over rows, plus that
    over seeds, less their interaction, which both contain (crossed random effects; Owen 2007, Ann. Appl. Stat. 1, p. 386,
    on why resampling one of them is not enough), and never less than either. Over rows, it is the jackknife's. Over
    seeds, it is taken size by size, pooled over `pooled`, and trainings of one seed at two sizes are taken to be
    unrelated: nested parts make them alike, which would only shrink a slope's error. Degrees of freedom are
    Satterthwaite's (1946).

    Args:
        metric: what is measured; rows that a system did not judge count as its worst answer.
        grid: the answers.
        weights: one for each size.
        pooled: the sizes, by number, whose variance over seeds is taken to be the same.

    Returns:
        None where fewer than two rows, or groups, have a say, or the metric has no value.

    """
    used = sorted({*pooled, *(j for j, weight in enumerate(weights) if weight)})
    sums = _sums(metric, grid, used)
    if sums is None:
        return None
    return crossed(metric, sums, np.array([weights[j] for j in used]), [used.index(j) for j in pooled])


def crossed(metric: Metric, sums: Floats, weight_J: Floats, pooled: Sequence[int]) -> Contrast | None:
    """`contrast` of statistics that are summed up already: sizes × seeds × units × k."""
    n_seeds, n_units = sums.shape[1:3]
    if n_units < 2 or n_seeds < 2:
        return None
    total = sums.sum(axis=2)
    values = metric.values(total)
    without = metric.values(total[:, :, None] - sums)
    if not (np.isfinite(values).all() and np.isfinite(without).all()):
        return None
    slope_S = weight_J @ values
    # Pseudo-values of the jackknife: what each unit adds, for any function of sums (Tukey 1958).
    pseudo_SU = n_units * slope_S[:, None] - (n_units - 1) * np.einsum("j,jsu->su", weight_J, without)
    of_rows = float(pseudo_SU.mean(axis=0).var(ddof=1)) / n_units
    of_seeds = float((weight_J**2).sum() * values[list(pooled)].var(axis=1, ddof=1).mean()) / n_seeds
    left = pseudo_SU - pseudo_SU.mean(axis=0) - pseudo_SU.mean(axis=1, keepdims=True) + pseudo_SU.mean()
    of_both = float((left**2).sum()) / ((n_units - 1) * (n_seeds - 1)) / (n_units * n_seeds)
    variance = max(of_rows + of_seeds - of_both, of_rows, of_seeds)
    freedom = _satterthwaite(variance, ((of_rows, n_units - 1), (of_seeds, len(pooled) * (n_seeds - 1))))
    # Where nothing varies, half a row is still more than such a test can tell.
    least = float(np.abs(weight_J).max()) / 2 / n_units
    return Contrast(float(slope_S.mean()), max(math.sqrt(variance), least), freedom, n_units)


def _sums(metric: Metric, grid: Grid, used: Sequence[int]) -> Floats | None:
    """Statistics summed by row or group, sizes × seeds × units × k, of the units that have any."""
    cells = [[with_failures(metric, grid.gold, metric.statistics(grid.gold, said)) for said in grid.answers[j]] for j in used]
    keep = np.logical_and.reduce([judged(one) for line in cells for one in line])
    rows = [row for row, kept in zip(grid.gold, keep, strict=True) if kept]
    if not rows:
        return None
    sums = np.array([[clusters_of(rows, one[keep]).sums for one in line] for line in cells])
    return sums[:, :, (sums != 0).any(axis=(0, 1, 3))]


def _satterthwaite(variance: float, parts: Sequence[tuple[float, int]]) -> float:
    spread = sum(one * one / freedom for one, freedom in parts)
    least = min(freedom for _, freedom in parts)
    return max(float(least), variance * variance / spread) if spread > 0 else float(least)


def slope(metric: Metric, grid: Grid) -> Contrast | None:
    """How much the metric gains with each doubling of the training rows, by least squares over the last three sizes."""
    n = len(grid.sizes)
    last = range(max(0, n - LAST), n)
    doublings = np.log2([grid.sizes[j] for j in last])
    centred = doublings - doublings.mean()
    weights = np.zeros(n)
    weights[list(last)] = centred / float((centred**2).sum())
    return contrast(metric, grid, [float(one) for one in weights], last)


def value_at(metric: Metric, grid: Grid, j: int) -> Contrast | None:
    """The metric at one size, mean over seeds; how much seeds differ is taken from its neighbours too."""
    n = len(grid.sizes)
    return contrast(metric, grid, [float(i == j) for i in range(n)], range(max(0, j - 1), min(n, j + 2)))


@dataclass(frozen=True)
class Advice:
    """What so many more rows are worth: of one label, or of all (label None).

    `gain` is counted so that more is better, `low` and `high` are its interval. `why_not` says why nothing can be told; ''
    where something can: only there is the interval over zero.
    """

    label: str | None
    n_rows: int
    n_more: int
    gain: float | None
    low: float | None
    high: float | None
    why_not: str = ""

    @property
    def told(self) -> bool:
        """Whether this is advice."""
        return not self.why_not


def advise(metric: Metric, grid: Grid, label: str | None, n_rows: int, confidence: float) -> Advice:
    """Advice of one kind.

    The slope over the last two doublings is taken to hold for one more, at most. For a label, that is while all labels
    grow alike, for that is how the parts were drawn.

    Args:
        metric: the goal's, or one of the label.
        grid: the answers.
        label: whose rows, None for all.
        n_rows: how many there are at the largest size.
        confidence: of the interval that has to lie over zero.

    """
    n_more = round_number(n_rows)
    found = slope(metric, grid)
    if found is None or n_more == 0:
        return Advice(label, n_rows, n_more, None, None, None, "there is nothing to measure it by")
    turned = 1.0 if metric.higher_is_better else -1.0
    gain = found.times(turned * math.log2((n_rows + n_more) / n_rows))
    low, high = gain.interval(confidence)
    why_not = ""
    if label is not None and found.n_units < LEAST_UNITS:
        why_not = f"only {found.n_units} test rows have to do with it"
    elif low <= 0:
        why_not = "the interval does not exclude zero"
    return Advice(label, n_rows, n_more, gain.value, low, high, why_not)


def advice_for(goal: Metric, of_label: Mapping[str, tuple[Metric, int]], grid: Grid, n_rows: int) -> tuple[Advice, ...]:
    """All advice: on the rows as a whole first, then label by label.

    Where nothing improves, any advice at all appears at most once in twenty times: half of that 5 % is for the rows as a
    whole, the other half is divided among the labels (Bonferroni).

    Args:
        goal: the metric that decides; one of which more or less is better.
        of_label: label → (its metric, its rows at the largest size).
        grid: the answers.
        n_rows: all rows at the largest size.

    """
    miss = (1 - CONFIDENCE) / 2
    found = [advise(goal, grid, None, n_rows, 1 - miss)]
    found += [advise(metric, grid, label, n, 1 - miss / len(of_label)) for label, (metric, n) in of_label.items()]
    return tuple(found)


def round_number(most: int) -> int:
    """The largest of 1, 2, 5, 10, 20, 50, … that is no more than `most`; 0 where there is none."""
    if most < 1:
        return 0
    ten = int(10 ** (len(str(most)) - 1))
    return max(digit * ten for digit in (1, 2, 5) if digit * ten <= most)
