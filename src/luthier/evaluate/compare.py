"""Whether one system is better than another, judged on the same rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from luthier.core.draws import seed_of
from luthier.evaluate.answers import Answer, Gold, System, aligned
from luthier.evaluate.bca import bca_interval
from luthier.evaluate.estimates import CONFIDENCE, Comparison
from luthier.evaluate.intervals import with_failures
from luthier.evaluate.metrics.metric import Floats, Metric, judged
from luthier.evaluate.resampling import Clusters, clusters_of, swaps

N_PERMUTATIONS = 10_000
TEST = "paired permutation"


def compare(
    metric: Metric,
    gold: Sequence[Gold],
    a: System,
    b: System,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    unjudged_fail: bool = False,
) -> Comparison:
    """Compare two systems on the rows that both were judged on; the order of the rows does not matter.

    The interval is `bca_interval` of the difference, over rows or whole groups drawn together for both systems. The test
    swaps the two systems' answers within rows, or within whole groups, and asks how often chance alone makes a
    difference at least as large. It is valid for any metric that is a function of sums, macro-F1 included. Where there are
    no more than 10,000 ways to swap, all are tried and p is exact. Else 10,000 random ones are, one is added to both counts
    (Phipson & Smyth 2010), and differences exactly as large count half (mid-p; Lancaster 1961, and for paired proportions
    Fagerland et al. 2013, doi 10.1186/1471-2288-13-91): counted whole, they would make a test of counts of right answers
    call equal systems different 3 times in 100 where it says 5, and so miss real differences.

    Args:
        metric: what to compare by.
        gold: the test rows.
        a: the system that the difference is counted from: `difference` = a − b.
        b: the other.
        seed: of the resamples and the swaps.
        confidence: of the interval.
        unjudged_fail: count a row that `a` was not judged on as its worst answer, where the metric has one, so that `a`
            gains nothing by keeping silent.

    Returns:
        The comparison, with `p_holm` = `p`; all numbers None where no row was judged for both.

    """
    rows, (said_a, said_b) = aligned(gold, a, b)
    kept, statistics_a, statistics_b = _paired(metric, rows, said_a, said_b, unjudged_fail)
    if not kept:
        return Comparison(a.name, b.name, metric.name, None, None, None, None, None, TEST, 0, None, metric.higher_is_better)
    both = clusters_of(kept, np.hstack([statistics_a, statistics_b]))
    difference = float(_difference(metric, both.sums.sum(axis=0)))
    # The same draws whichever system comes first, so that turning a comparison round only turns its sign.
    pair = "\x1e".join(sorted((a.name, b.name)))
    width = metric.range[1] - metric.range[0]
    rng = np.random.default_rng(seed_of(seed, "interval of the difference", metric.name, pair))
    low, high = bca_interval(lambda sums: _difference(metric, sums), both, (-width, width), rng, confidence)
    p = _permutation_p(metric, both, difference, np.random.default_rng(seed_of(seed, "permutations", metric.name, pair)))
    n_groups = both.n_units if both.grouped else None
    return Comparison(a.name, b.name, metric.name, difference, low, high, p, p, TEST, len(kept), n_groups, metric.higher_is_better)


def _paired(
    metric: Metric, rows: Sequence[Gold], said_a: Sequence[Answer], said_b: Sequence[Answer], unjudged_fail: bool
) -> tuple[list[Gold], Floats, Floats]:
    """The rows that both were judged on, and the statistics of both."""
    statistics_a, statistics_b = metric.statistics(rows, said_a), metric.statistics(rows, said_b)
    if unjudged_fail:
        statistics_a = with_failures(metric, rows, statistics_a)
    keep = judged(statistics_a) & judged(statistics_b)
    return [row for row, kept in zip(rows, keep, strict=True) if kept], statistics_a[keep], statistics_b[keep]


def _difference(metric: Metric, sums: Floats) -> Floats:
    """The metric of the first half of the columns minus that of the second."""
    half = sums.shape[-1] // 2
    return metric.values(sums[..., :half]) - metric.values(sums[..., half:])


def _permutation_p(metric: Metric, both: Clusters, difference: float, rng: np.random.Generator) -> float:
    half = both.sums.shape[1] // 2
    gap = both.sums[:, half:] - both.sums[:, :half]
    # A unit on which the two systems do alike changes nothing when it is swapped.
    gap = gap[(gap != 0).any(axis=1)]
    if not len(gap):
        return 1.0
    total = both.sums.sum(axis=0)
    # Differences that are equal by hand may differ in their last bits; they count as equal.
    slack = 1e-9 * max(abs(difference), 1e-6)
    exact, ways = swaps(len(gap), N_PERMUTATIONS, rng)
    n_larger = n_equal = n_ways = 0
    for swapped in ways:
        moved = swapped @ gap
        found = np.abs(metric.values(total[:half] + moved) - metric.values(total[half:] - moved))
        n_equal += int((np.abs(found - abs(difference)) <= slack).sum())
        n_larger += int((found > abs(difference) + slack).sum())
        n_ways += len(swapped)
    return (n_larger + n_equal) / n_ways if exact else (1 + n_larger + n_equal / 2) / (1 + n_ways)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Holm's step-down correction (Holm 1979, Scand. J. Stat. 6, p. 65); values that are None are no part of the family."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None and math.isfinite(p))
    corrected: list[float | None] = [None] * len(p_values)
    so_far = 0.0
    for rank, (p, i) in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - rank) * p))
        corrected[i] = so_far
    return tuple(corrected)


def corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons of one family with `p_holm` filled in."""
    found = holm([one.p for one in comparisons])
    return tuple(dataclasses.replace(one, p_holm=p) for one, p in zip(comparisons, found, strict=True))
