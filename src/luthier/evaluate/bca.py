"""The bootstrap's interval of any function of sums."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from luthier.evaluate.estimates import CONFIDENCE
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters, bootstrap_sums, jackknife_sums, n_resamples_for


def bca_interval(
    values: Callable[[Floats], Floats],
    clusters: Clusters,
    limits: tuple[float, float],
    rng: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """A bootstrap interval, bias-corrected and accelerated (Efron 1987, JASA 82, p. 171), over whole units.

    Three additions make it hold what it promises on few units:

    - The normal quantile that BCa starts from is t of (units − 1) degrees of freedom times √(units / (units − 1)),
      because a bootstrap distribution is too narrow by just that much (Hesterberg 2015, Am. Stat. 69, section 3.2). Units
      of unequal size count as `Clusters.n_effective`.
    - It reaches at least as far as the jackknife's t interval, since no quantile of resamples can reach beyond the rows seen.
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
    return max(limits[0], low), min(limits[1], high)


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
