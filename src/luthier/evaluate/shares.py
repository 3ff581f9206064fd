"""The intervals of a share of rows: Wilson's, over rows that stand for themselves and over groups of rows."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri, stdtrit

from luthier.evaluate.estimates import CONFIDENCE
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters, jackknife_sums

LEAST_EFFECT = 0.5
"""Rows of a group count at most twice. That they balance each other out even better, as they seem to where the groups
that were seen all have nearly the same share, is nothing that a few groups can tell."""


def wilson_interval(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion `share` of `n` rows (Wilson 1927, JASA 22, p. 209); never of zero width."""
    return _wilson(share, n, float(ndtri(0.5 + confidence / 2)))


def grouped_share_interval(clusters: Clusters, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval of a share over rows in groups; never of zero width.

    Rows of one group go alike, so that N of them are worth N / (design effect) rows that stand for themselves, and that
    is the n of Wilson's interval, as surveys do it (Kott & Carr 1997; compared with others by Franco, Little, Louis &
    Slud 2019, J. Surv. Stat. Methodol. 7, p. 334). Its normal quantile becomes one of t, because the design effect is
    only estimated: the degrees of freedom are those of Satterthwaite (1946) for `design_effect`, at most
    the effective number of groups − 1.

    Args:
        clusters: (rows that are right, rows) per group, groups × 2.
        confidence: 0.95 means a 95 % interval.

    Returns:
        Both ends, of which the share lies between.

    """
    right, n = clusters.sums.sum(axis=0)
    effect, freedom = design_effect(clusters)
    freedom = max(1.0, min(freedom, clusters.n_effective - 1))
    return _wilson(float(right / n), float(n) / effect, float(stdtrit(freedom, 0.5 + confidence / 2)))


def design_effect(clusters: Clusters) -> tuple[float, float]:
    """How many times the variance of a share over groups is that over as many rows that stand for themselves.

    The variance over groups is the jackknife's. Where all rows are alike it is 0 and says nothing: then rows of a group
    are taken to go wholly alike, which is an effect of Σ rows² / Σ rows (Kish 1965).

    Returns:
        The effect, and how well it is known: 2 / (the variance of its logarithm), as many degrees of freedom as
        a χ² of the same relative variance has. That variance is the jackknife's too, over those groups without
        which rows still differ and the groups with them.

    """
    right, n = clusters.sums.sum(axis=0)
    share, n_units = float(right / n), clusters.n_units
    if share in (0.0, 1.0) or n_units == 1:
        return float(n / clusters.n_effective), math.inf
    without = jackknife_sums(clusters.sums)
    shares = without[:, 0] / without[:, 1]
    variance = float(((shares - shares.mean()) ** 2).sum()) * (n_units - 1) / n_units
    effect = max(LEAST_EFFECT, variance * float(n) / (share * (1 - share)))
    logs = _logs_of_effects_without(clusters.sums, without)
    spread = float(((logs - logs.mean()) ** 2).sum()) * (len(logs) - 1) / len(logs) if len(logs) else 0.0
    return effect, 2 / spread if spread > 0 else math.inf


def _logs_of_effects_without(sums: Floats, without: Floats) -> Floats:
    """The logarithm, but for a constant, of the linearised design effect over all groups but one, for each where it is defined."""
    right, n = sums.T
    products = np.stack([right * right, right * n, n * n], axis=1)
    of_right, of_both, of_n = jackknife_sums(products).T
    share = without[:, 0] / without[:, 1]
    # Σ (right − share · n)² / (share · (1 − share) · N), multiplied out.
    between = of_right - 2 * share * of_both + share**2 * of_n
    within = share * (1 - share) * without[:, 1]
    defined = (within > 1e-9) & (between > 1e-9 * of_n)
    found: Floats = np.log(between[defined] / within[defined])
    return found


def _wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    squared = quantile * quantile
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = quantile / (1 + squared / n) * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
