"""How far a number may be from the truth, given how few rows it was measured on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.core.draws import seed_of
from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.bca import bca_interval
from luthier.evaluate.calibration_interval import calibration_interval
from luthier.evaluate.estimates import CONFIDENCE, Estimate
from luthier.evaluate.metrics.calibration_error import CalibrationError
from luthier.evaluate.metrics.metric import Floats, Metric, judged, value_of
from luthier.evaluate.resampling import Clusters, clusters_of
from luthier.evaluate.shares import grouped_share_interval, wilson_interval


def estimate(
    metric: Metric,
    gold: Sequence[Gold],
    answers: Sequence[Answer],
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    unjudged_fail: bool = False,
) -> Estimate:
    """Measure one system, with an interval that holds the true value in about `confidence` of all test sets.

    Args:
        metric: what to measure.
        gold: the test rows; the order decides the random draws, so give them as `aligned` does.
        answers: the system's answer to each row, in the same order.
        seed: of the bootstrap.
        confidence: 0.95 means a 95 % interval.
        unjudged_fail: count a row that the system did not judge as its worst answer, where the metric has one.

    Returns:
        The value with `interval_of` it; no value and no interval where no row was judged.

    """
    statistics = metric.statistics(gold, answers)
    if unjudged_fail:
        statistics = with_failures(metric, gold, statistics)
    keep = judged(statistics)
    value = value_of(metric, statistics)
    n, n_unjudged = int(keep.sum()), int((~keep).sum())
    if value is None:
        return Estimate(None, None, None, n, n_unjudged, None, few_below=metric.few_rows)
    clusters = clusters_of([row for row, kept in zip(gold, keep, strict=True) if kept], statistics[keep])
    low, high, method = interval_of(metric, value, clusters, seed, confidence)
    return Estimate(value, low, high, n, n_unjudged, method, clusters.n_units if clusters.grouped else None, metric.few_rows)


def interval_of(metric: Metric, value: float, clusters: Clusters, seed: int, confidence: float = CONFIDENCE) -> tuple[float, float, str]:
    """Both ends of the interval of a metric's `value`, and what it is called: each kind of number has the one that fits it.

    Wilson's for a proportion over rows that stand for themselves, `grouped_share_interval` over groups;
    `calibration_interval` for the calibration error; else `bca_interval` over rows, or over groups where rows have groups.
    """
    by_group = " by group" if clusters.grouped else ""
    if metric.is_proportion:
        share = grouped_share_interval(clusters, confidence) if clusters.grouped else wilson_interval(value, clusters.n_units, confidence)
        return *share, "wilson" + by_group
    rng = np.random.default_rng(seed_of(seed, "interval", metric.name))
    if isinstance(metric, CalibrationError):
        return *calibration_interval(clusters, rng, confidence), "test inversion" + by_group
    return *bca_interval(metric.values, clusters, metric.range, rng, confidence), "bca" + by_group


def with_failures(metric: Metric, gold: Sequence[Gold], statistics: Floats) -> Floats:
    """`statistics` with each unjudged row as the worst answer, so that nobody gains by keeping silent on hard rows."""
    worst = metric.failure(gold)
    return statistics if worst is None else np.where(judged(statistics)[:, None], statistics, worst)
