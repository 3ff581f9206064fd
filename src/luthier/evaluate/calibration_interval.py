"""The interval of the calibration error, a sum of distances, which chance alone lifts off 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, logit, ndtr, xlog1py, xlogy

from luthier.evaluate.estimates import CONFIDENCE
from luthier.evaluate.metrics.calibration_error import N_BINS
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters

N_DRAWS = 1_000
N_STEPS = 30
N_EXACT = 100
"""Bins of up to so many rows have binomial noise; normal noise is as good for more."""
SHARE_OF_SUM = 0.5
"""What the error may be rejected by itself, to what it may be by the mean gap, which tells more of the two where bins err alike."""
BLIND = 0.16
"""One-sided chance of what lies a standard deviation below the mean."""
_SURE = 1e-6, 1 - 1e-6


@dataclass(frozen=True)
class Bins:
    """The bins that hold rows: the mean gap of confidence over accuracy, the mean confidence and the rows, of each."""

    gap: Floats
    sure: Floats
    n: Floats

    @property
    def value(self) -> float:
        """The calibration error that was measured."""
        return float(self.error(self.gap))

    def error(self, gaps: Floats) -> Floats:
        """The calibration error that gaps of shape (…, bins) amount to."""
        found: Floats = (np.abs(gaps) * self.n).sum(axis=-1) / self.n.sum()
        return found

    @property
    def mean(self) -> float:
        """How far the mean confidence of all rows is over their accuracy."""
        return float((self.gap * self.n).sum() / self.n.sum())


@dataclass(frozen=True)
class Noise:
    """What chance does to the bins, draws × bins, all standard normal: to how many of a bin's rows are right, and to how many it has.

    `effect` is how many times the variance is that of rows that stand for themselves.
    """

    right: Floats
    rows: Floats
    effect: float


def calibration_interval(clusters: Clusters, rng: np.random.Generator, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """An interval of the calibration error: the errors under which what was measured is nothing unusual.

    A bootstrap cannot give it. The error is a sum of absolute values, so chance lifts it, and lifts resamples twice;
    how far depends on how the true error is spread over the bins, which nobody knows. So the interval is that of a test
    (Neyman 1937): it reaches from the first to the last of a row of true errors under which what was measured is not
    unusual. For each, measurements are simulated, with the error spread in two ways: by `even_gaps`, where chance lifts it
    least, and by `fewest_gaps`, where it lifts it most of what the rows allow.

    - Too large for what was measured is an error of which less is measured 2.5 times in 100 at most, either way it is spread. Of a
      value that chance makes low even without any error, it must be so of the one a standard deviation below the mean,
      too: what the rows cannot tell is not ruled out (power-constrained limits, Cowan et al. 2011, arXiv 1105.3166).
    - Too small is one of which more is seldom measured, or over which mean confidence and accuracy are seldom as far apart as
      they are. No error is smaller than that distance, that of a single bin (Kumar et al. 2019, arXiv 1909.10155,
      proposition 3.3), and where all bins err to one side it tells far more than the sum over bins does.

    How seldom is chosen such that a true error is rejected 5 times in 100 on the whole, in that way to spread it in which it is so
    more often (as two ends share the 5 % that are not both at risk: Imbens & Manski 2004, doi 10.1111/j.1468-0262.2004.00555.x);
    the mean gap has twice the share of the sum. A true error of 0, than which no measured one is smaller, so leaves all 5 % to one side.

    The interval also holds what lies within half a row of the value.

    Args:
        clusters: what `CalibrationError.statistics` gives, summed in each unit, units × 3 · 15.
        rng: of the noise.
        confidence: 0.95 means a 95 % interval.

    Returns:
        Both ends, between 0 and 1.

    """
    columns = clusters.sums.reshape(-1, 3, N_BINS)
    columns = columns[:, :, columns[:, 2].sum(axis=0) > 0]
    gaps, sure, n = columns.sum(axis=0)
    bins = Bins(gaps / n, np.clip(sure / n, 0.0, 1.0), n)
    effect, root = likeness(columns, bins) if clusters.grouped else (1.0, np.eye(len(n)))
    noise = Noise(rng.standard_normal((N_DRAWS, len(n))) @ root, rng.standard_normal((N_DRAWS, len(n))), effect)
    errors, spreads = _spread(bins, np.union1d(_steps(bins, effect), [bins.value]))
    row = effect / float(n.sum())
    margins = limits_of(bins, spreads, noise, confidence).margins(bins.value, bins.mean)
    measured = np.abs(errors - bins.value).argmin()
    margins[measured] = max(0.0, margins[measured])
    low, high = _ends(errors, margins)
    return max(0.0, min(low, bins.value - row / 2)), min(1.0, max(high, bins.value + row / 2))


def even_gaps(bins: Bins, errors: Floats) -> Floats:
    """Gaps as if the log-odds of all confidences were wrong by one amount, one line for each of `errors`, which they amount to.

    That is miscalibration in the large (Cox 1958, doi 10.1093/biomet/45.3-4.562). All gaps are to the side of the mean one;
    to the other side where there is no room for such an error.
    """
    over = bins.mean >= 0
    sure = np.clip(bins.sure, *_SURE)
    above = np.where(errors < bins.error(sure if over else 1 - sure), over, not over)
    sign = np.where(above, 1.0, -1.0)
    least, most = np.zeros(len(errors)), np.full(len(errors), 40.0)
    for _ in range(40):
        shift = (least + most) / 2
        gaps: Floats = sure - expit(logit(sure) - (sign * shift)[:, None])
        enough = bins.error(gaps) >= errors
        least, most = np.where(enough, least, shift), np.where(enough, shift, most)
    return gaps


def fewest_gaps(bins: Bins, errors: Floats) -> Floats:
    """The gaps of the bins that stand out most, as they were seen, as many as amount to an error, one line for each of `errors`.

    That is hard thresholding (Donoho & Johnstone 1994, doi 10.1093/biomet/81.3.425): bins are taken in the order of how many
    standard deviations their gaps are from 0, the last one in part. What is above the measured error is spread over all bins,
    in proportion to the variance of their rows, which makes what was seen likeliest.
    """
    sign = np.where(bins.gap >= 0, 1.0, -1.0)
    room = np.where(bins.gap >= 0, bins.sure, 1 - bins.sure)
    size, variance = np.abs(bins.gap), np.maximum(bins.sure * (1 - bins.sure), 1e-3)
    order = np.argsort(-size * np.sqrt(bins.n / variance), kind="stable")
    parts = (size * bins.n)[order]
    before = np.cumsum(parts) - parts
    found = np.empty((len(errors), len(size)))
    found[:, order] = np.clip(errors[:, None] * bins.n.sum() - before, 0.0, parts)
    found /= bins.n

    # The error rises with the share of the variance that is added, in straight lines from where one bin has no more room to the next.
    steps = np.union1d([0.0], (room - size) / variance)
    reached = np.minimum(size + steps[:, None] * variance, room)
    more = np.interp(errors, bins.error(reached), steps)
    found = np.where((errors > bins.value)[:, None], np.minimum(size + more[:, None] * variance, room), found)
    return sign * found


def likeness(columns: Floats, bins: Bins) -> tuple[float, Floats]:
    """How much wider the noise of grouped rows is than that of independent ones, and how bins' noises go together.

    Where the rows cannot tell, since all are right, or all wrong, or no bin has rows of two units, rows of a unit are taken to
    go wholly alike, as `design_effect` takes them: Σ rows² / Σ rows (Kish 1965).

    Args:
        columns: gaps, confidences and rows per unit and bin, units × 3 × bins.
        bins: their sums.

    Returns:
        The design effect of all bins together, 1 at least, and a root of the matrix of the bins' correlations.

    """
    left = columns[:, 0] - bins.gap * columns[:, 2]
    together = left.T @ left
    n_units = (columns[:, 2] > 0).sum(axis=0)
    several = n_units > 1
    right = (bins.n * np.clip(bins.sure - bins.gap, 0.0, 1.0) + 1) / (bins.n + 2)
    alone = float((bins.n * right * (1 - right))[several].sum())
    seen = float((np.diag(together)[several] * n_units[several] / (n_units[several] - 1)).sum())
    spread = np.sqrt(np.diag(together))
    usual = np.where(spread > 1e-9, spread, 1.0)
    correlations = together / np.outer(usual, usual)
    np.fill_diagonal(correlations, 1.0)
    values, vectors = np.linalg.eigh(correlations)
    n_rows, n_right = columns[:, 2].sum(axis=1), float((bins.n * (bins.sure - bins.gap)).sum())
    tells = several.any() and 1e-9 < n_right / n_rows.sum() < 1 - 1e-9
    effect = max(1.0, seen / alone) if tells else float((n_rows**2).sum() / n_rows.sum())
    return effect, (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _steps(bins: Bins, effect: float) -> Floats:
    """The true errors that are tried.

    They end four standard deviations and four rows above the measured one, beyond which none is worth trying, and begin
    as far below it and what chance lifts errors by: √(2 / π) standard deviations of each bin. From 0 on they are the closer
    together the smaller they are, for the edge; from elsewhere on they are evenly spaced, and never far apart for the noise.
    """
    right = (bins.n * np.clip(bins.sure - bins.gap, 0.0, 1.0) + 1) / (bins.n + 2)
    variances, n = effect * bins.n * right * (1 - right), float(bins.n.sum())
    room = 4 * math.sqrt(variances.sum()) / n + 4 * effect / n
    first = max(0.0, bins.value - room - math.sqrt(2 / math.pi) * float(np.sqrt(variances).sum()) / n)
    found: Floats = first + (bins.value + room - first) * np.linspace(0, 1, N_STEPS + 1) ** (1 if first else 2)
    return found


def _spread(bins: Bins, errors: Floats) -> tuple[Floats, list[Floats]]:
    """True errors, and the gaps of both ways to spread each; what there is no room for is lowered to what there is room for."""
    spreads = [way(bins, errors) for way in (even_gaps, fewest_gaps)]
    reached = np.minimum(errors, np.max([bins.error(gaps) for gaps in spreads], axis=0))
    errors, kept = np.unique(reached, return_index=True)
    return errors, [gaps[kept] for gaps in spreads]


@dataclass(frozen=True)
class Limits:
    """Between what a true error's measurements lie, one number for each true error.

    `floor` is the least value that tells an error from none: where less is measured, it stands for it.
    """

    floor: float
    least: Floats
    most: Floats
    most_mean: Floats

    def margins(self, value: float, mean: float) -> Floats:
        """How far a measured error and a mean gap are from being unusual: negative where either is."""
        found: Floats = np.min([max(value, self.floor) - self.least, self.most - value, self.most_mean - abs(mean)], axis=0)
        return found


def limits_of(bins: Bins, spreads: list[Floats], noise: Noise, confidence: float) -> Limits:
    """What is unusual for each true error; `spreads` are the gaps that amount to it, steps × bins, one array for each way to spread it."""
    alpha, steps = 1 - confidence, np.arange(len(spreads[0]))
    drawn = [_drawn(bins, gaps, noise) for gaps in spreads]
    in_order = [(np.sort(whole, axis=1), np.sort(mean, axis=1)) for whole, mean in drawn]
    least = np.min([whole[:, int(alpha / 2 * N_DRAWS)] for whole, _ in in_order], axis=0)
    floor = float(np.quantile(_drawn(bins, np.zeros((1, len(bins.n))), noise)[0], BLIND))

    def exceeded(level: Floats) -> list[Floats]:
        """What the measured error exceeds with a part of the chance `level` at most, and the mean gap with all of it, either way."""
        at = [np.ceil((1 - share * level) * N_DRAWS).astype(np.int64) - 1 for share in (SHARE_OF_SUM, 1.0)]
        return [np.max([one[kind][steps, at[kind]] for one in in_order], axis=0)[:, None] for kind in (0, 1)]

    def missed(level: Floats) -> Floats:
        most, most_mean = exceeded(level)
        ways = [((np.maximum(w, floor) < least[:, None]) | (w > most) | (m > most_mean)).mean(axis=1) for w, m in drawn]
        found: Floats = np.max(ways, axis=0)
        return found

    level, step = np.full(len(steps), alpha / 4), alpha
    for _ in range(6):
        step /= 2
        tried = np.minimum(level + step, alpha)
        level = np.where(missed(tried) <= alpha, tried, level)
    most, most_mean = exceeded(level)
    return Limits(floor, least, most[:, 0], most_mean[:, 0])


def _drawn(bins: Bins, gaps: Floats, noise: Noise) -> tuple[Floats, Floats]:
    """The errors, and the distances of mean confidence from accuracy, that would be measured of true `gaps`; steps × draws.

    A bin of n rows gets as many right as a binomial distribution says, and more or fewer rows: those that are not in one bin
    are in another, so the numbers of rows vary by D − n nᵀ / N, where D holds the bins' n.
    """
    n, wider = float(bins.n.sum()), math.sqrt(noise.effect)
    moved = noise.rows * np.sqrt(bins.n)
    moved = wider * (moved - moved.sum(axis=1, keepdims=True) * (bins.n / n))
    errors, total = np.zeros((len(gaps), N_DRAWS)), np.zeros((len(gaps), N_DRAWS))
    for b, gap in enumerate(gaps.T):
        lacking = _lacking(int(bins.n[b]), np.clip(bins.sure[b] - gap, 0.0, 1.0), noise.right[:, b])
        part = wider * lacking + gap[:, None] * (bins.n[b] + moved[:, b])
        errors += np.abs(part)
        total += part
    return errors / n, np.abs(total) / n


def _lacking(n: int, right: Floats, normal: Floats) -> Floats:
    """How many fewer of n rows are right than on average, for each of the chances `right`: chances × draws, of rank as `normal` is.

    Binomial up to `N_EXACT` rows: a draw of rank r has as many right as there are numbers whose cumulated chance is under r's.
    """
    if n > N_EXACT:
        spread: Floats = np.sqrt(n * right * (1 - right))[:, None] * normal
        return spread
    k, order = np.arange(n), np.argsort(normal)
    logarithms = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + xlogy(k, right[:, None]) + xlog1py(n - k, -right[:, None])
    first = np.searchsorted(ndtr(normal[order]), np.cumsum(np.exp(logarithms), axis=1), side="right")
    width = len(normal) + 1
    more = np.bincount((first + width * np.arange(len(right))[:, None]).ravel(), minlength=width * len(right)).reshape(-1, width)
    found = np.empty((len(right), len(normal)))
    found[:, order] = (n * right)[:, None] - np.cumsum(more[:, :-1], axis=1)
    return found


def _ends(errors: Floats, margins: Floats) -> tuple[float, float]:
    """Where `margins` first rise to 0 and last fall under it, between the steps in a straight line."""
    inside = np.flatnonzero(margins >= 0)
    first, last = int(inside[0]), int(inside[-1])

    def between(outer: int, inner: int) -> float:
        share = margins[inner] / (margins[inner] - margins[outer])
        return float(errors[inner] + share * (errors[outer] - errors[inner]))

    low = float(errors[0]) if first == 0 else between(first - 1, first)
    high = float(errors[-1]) if last == len(errors) - 1 else between(last + 1, last)
    return low, high
