"""How far a number may be from the truth, given how few rows it was measured on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from luthier.core.draws import seed_of
from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import CONFIDENCE, Estimate
from luthier.evaluate.metrics.metric import Floats, Metric, judged, value_of
from luthier.evaluate.resampling import Clusters, bootstrap_sums, clusters_of, jackknife_sums, n_resamples_for


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
        Wilson's score interval (Wilson 1927) for a proportion over rows that stand for themselves; else `bca_interval`
        over rows, or over groups where rows have groups.

    """
    statistics = metric.statistics(gold, answers)
    if unjudged_fail:
        statistics = with_failures(metric, gold, statistics)
    keep = judged(statistics)
    value = value_of(metric, statistics)
    n, n_unjudged = int(keep.sum()), int((~keep).sum())
    if value is None:
        return Estimate(None, None, None, n, n_unjudged, None)
    clusters = clusters_of([row for row, kept in zip(gold, keep, strict=True) if kept], statistics[keep])
    n_groups = clusters.n_units if clusters.grouped else None
    if metric.is_proportion and not clusters.grouped:
        low, high = wilson_interval(value, n, confidence)
        return Estimate(value, low, high, n, n_unjudged, "wilson")
    rng = np.random.default_rng(seed_of(seed, "interval", metric.name))
    low, high = bca_interval(metric.values, clusters, metric.range, rng, confidence)
    return Estimate(value, low, high, n, n_unjudged, "bca by group" if clusters.grouped else "bca", n_groups)


def with_failures(metric: Metric, gold: Sequence[Gold], statistics: Floats) -> Floats:
    """`statistics` with each unjudged row as the worst answer, so that nobody gains by keeping silent on hard rows."""
    worst = metric.failure(gold)
    return statistics if worst is None else np.where(judged(statistics)[:, None], statistics, worst)


def wilson_interval(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion `share` of `n` rows (Wilson 1927, JASA 22, p. 209); never of zero width."""
    z = float(ndtri(0.5 + confidence / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def bca_interval(
    values: Callable[[Floats], Floats],
    clusters: Clusters,
    limits: tuple[float, float],
    rng: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """A bootstrap interval, bias-corrected and accelerated (Efron 1987, JASA 82, p. 171), over whole units.

    Four additions make it hold what it promises on few units:

    - The normal quantile that BCa starts from is t of (units − 1) degrees of freedom times √(units / (units − 1)),
      because a bootstrap distribution is too narrow by just that much (Hesterberg 2015, Am. Stat. 69, section 3.2). Units
      of unequal size count as `Clusters.n_effective`.
    - It reaches at least as far as the jackknife's t interval, since no quantile of resamples can reach beyond the rows seen.
    - Where resamples lie above the value, as those of a calibration error do, its low end is `_without_noise`.
    - Where all units are alike there is nothing to resample, and it is `unseen_interval`: never of zero width.
    """
    total = clusters.sums.sum(axis=0)
    value = float(values(total))
    left_out = values(jackknife_sums(clusters.sums)) if clusters.n_units > 1 else np.empty(0)
    left_out = left_out[np.isfinite(left_out)]
    influence = left_out.mean() - left_out if len(left_out) else left_out
    spread = float((influence**2).sum())
    # Sums in another order differ in their last bits: equal scores are no spread.
    if math.sqrt(spread) <= 1e-12 * max(1.0, abs(value)):
        low, high = unseen_interval(value, clusters.n_effective, limits, confidence)
    else:
        units = max(2.0, clusters.n_effective)
        t = float(stdtrit(units - 1, 0.5 + confidence / 2))
        acceleration = float((influence**3).sum()) / (6 * spread**1.5)
        drawn = np.concatenate([values(sums) for sums in bootstrap_sums(clusters.sums, n_resamples_for(clusters.n_units), rng)])
        drawn = drawn[np.isfinite(drawn)]
        from_quantiles = _bca_quantiles(drawn, value, acceleration, t * math.sqrt(units / (units - 1)))
        half = t * math.sqrt(spread * (len(left_out) - 1) / len(left_out))
        low, high = min(from_quantiles[0], value - half), max(from_quantiles[1], value + half)
        low = _without_noise(low, value, drawn) if limits[0] == 0 else low
    return max(limits[0], low), min(limits[1], high)


def _without_noise(low: float, value: float, drawn: Floats) -> float:
    """The low end of a value that chance alone lifts off 0, as it lifts the calibration error.

    Such a value is a sum of distances, and E[(μ + noise)²] = μ² + variance. Resamples carry the noise twice, the value once,
    so what the square of their mean has above the value's is the square that noise adds, and it is taken off the low
    end's. Where resamples lie no higher than their own chance explains, nothing is taken off.
    """
    bias = float(drawn.mean()) - value
    if low <= 0 or bias <= 3 * float(drawn.std()) / math.sqrt(len(drawn)):
        return low
    return math.sqrt(max(0.0, low**2 - (value + bias) ** 2 + value**2))


def _bca_quantiles(drawn: Floats, value: float, acceleration: float, reach: float) -> tuple[float, float]:
    """The two quantiles of the bootstrap distribution that BCa picks for normal quantiles ∓`reach`."""
    below = (drawn < value).sum() + 0.5 * (drawn == value).sum()
    bias = float(ndtri((below + 0.5) / (len(drawn) + 1)))
    shares = []
    for quantile in (bias - reach, bias + reach):
        # Past its pole the transformation turns round; there the outermost draw is the honest end.
        room = 1 - acceleration * quantile
        shares.append(float(ndtr(bias + quantile / room)) if room > 0 else float(quantile > 0))
    low, high = np.quantile(drawn, shares)
    return float(low), float(high)


def unseen_interval(value: float, n_units: float, limits: tuple[float, float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """What units that were not seen could do to a value, were all the seen ones alike.

    A kind of unit that none of n shows can be as frequent as s = 1 − ((1 − confidence) / 2)^(1/n), about 3.7 / n
    (Clopper & Pearson 1934 at zero of n; the "rule of three" for 95 % on one side). Were all of them as bad, or as
    good, as `limits` allow, the value would move by s times its distance to the limit. Without a limit there is no such
    bound; there the value may change by the factor 1 − s downwards and 1 / (1 − s) upwards, and by s where it is 0:
    the smallest widening that vanishes with n as it should, not a guarantee.
    """
    unseen = 1 - ((1 - confidence) / 2) ** (1 / max(1.0, n_units))
    low = value - unseen * (value - limits[0] if math.isfinite(limits[0]) else abs(value) or 1.0)
    high = value + unseen * (limits[1] - value if math.isfinite(limits[1]) else abs(value) / (1 - unseen) or 1.0)
    return low, high
