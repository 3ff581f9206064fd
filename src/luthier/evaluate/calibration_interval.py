"""The interval of the calibration error, a sum of distances, which chance alone lifts off 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from luthier.evaluate.estimates import CONFIDENCE
from luthier.evaluate.metrics.calibration_error import N_BINS
from luthier.evaluate.metrics.metric import Floats
from luthier.evaluate.resampling import Clusters

N_DRAWS = 1_000
N_STEPS = 30
_FINE = 800


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

    def deviation(self, gaps: Floats) -> Floats:
        """Standard deviation of each bin's part of the error, were `gaps` the true ones and all rows independent.

        A row of confidence p that is right with chance q = p − gap has (p − right)² = q (1 − q) + gap² on average.
        """
        right = np.clip(self.sure - gaps, 0.0, 1.0)
        found: Floats = np.sqrt(self.n * (right * (1 - right) + gaps**2)) / self.n.sum()
        return found


def calibration_interval(clusters: Clusters, rng: np.random.Generator, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """An interval of the calibration error: the errors under which what was measured is nothing unusual.

    A bootstrap cannot give it. The error is a sum of absolute values, so chance lifts it, and lifts resamples twice;
    how far depends on how the true error is spread over the bins, which nobody knows. Here, for each of a row of true
    errors, the measured one is simulated: its bins' gaps are the true ones plus normal noise as wide as rows of their
    confidence make it. That is done twice: the true error is spread by `even_gaps` over the bins, as a wrong temperature does,
    and by `likeliest_gaps`, which are in few bins where the rows say so. The interval reaches from the first to the last of those
    errors for which, spread either way, the measured value is not among the unlikely ones; values are ordered by likelihood ratio
    (Feldman & Cousins 1998, arXiv physics/9711021), which keeps the confidence at the edge, for a true error of 0, where intervals
    of two equal tails hold the truth too often. It also holds what lies within half a row of the value.

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
    noise = rng.standard_normal((N_DRAWS, len(n)))
    effect = 1.0
    if clusters.grouped:
        effect, root = likeness(columns, bins)
        noise = noise @ root * np.sqrt(effect)
    errors = _steps(bins, effect)
    spreads = (even_gaps(bins, errors), likeliest_gaps(bins, errors))
    # Gaps that have no more room amount to less than was asked of them; what they amount to in the end is one step.
    errors, kept = np.unique(np.minimum(errors, np.maximum(*(bins.error(gaps) for gaps in spreads))), return_index=True)
    row = effect / float(n.sum())
    (low, high), (first, last) = (_ends(errors, _margins(bins, gaps[kept], noise, row, confidence)) for gaps in spreads)
    return max(0.0, min(low, first, bins.value - row / 2)), min(1.0, max(high, last, bins.value + row / 2))


def even_gaps(bins: Bins, sizes: Floats) -> Floats:
    """The same gap in each bin, one line for each of `sizes`: to the side on which it was seen, or where there is room."""
    sign = np.where(bins.gap >= 0, 1.0, -1.0)
    room = np.where(bins.gap >= 0, bins.sure, 1 - bins.sure)
    there, opposite = np.minimum(sizes[:, None], room), np.minimum(sizes[:, None], 1 - room)
    found: Floats = np.where(there >= opposite, sign * there, -sign * opposite)
    return found


def likeliest_gaps(bins: Bins, errors: Floats) -> Floats:
    """The gaps that make what was seen likeliest among all that amount to an error, one line for each of `errors`.

    Least squares under Σ n |gap| = N · error: each gap as it was seen, but λ times the variance of a row nearer to 0, and
    0 at the nearest; λ is negative for errors above the measured one.
    """
    sign = np.where(bins.gap >= 0, 1.0, -1.0)
    room = np.where(bins.gap >= 0, bins.sure, 1 - bins.sure)
    size, variance = np.abs(bins.gap), np.maximum(bins.sure * (1 - bins.sure), 1e-3)

    def at(steps: Floats) -> Floats:
        return np.clip(size - steps[:, None] * variance, 0.0, room)

    # The error falls as λ rises, from all the room there is to 0, in straight lines from one bin's end to the next one's.
    steps = np.union1d((size - room) / variance, size / variance)
    reached = bins.error(at(steps))
    found: Floats = sign * at(np.interp(errors, reached[::-1], steps[::-1]))
    return found


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


def _margins(bins: Bins, gaps: Floats, noise: Floats, grain: float, confidence: float) -> Floats:
    """For each true error, how far the measured value is from being unusual: negative where it is.

    `gaps` are the true ones, steps × bins. `grain` is the least standard deviation that an error is taken to have: what one
    row is worth.
    """
    drawn = _drawn(bins, gaps, noise)
    means, spreads = drawn.mean(axis=1), np.maximum(drawn.std(axis=1), grain)

    def likelihoods(values: Floats) -> Floats:
        """Logarithms, steps × values, of normal densities: they only order the values; the draws say which are unusual."""
        found: Floats = -np.log(spreads)[:, None] - (values - means[:, None]) ** 2 / (2 * spreads[:, None] ** 2)
        return found

    least, most = min(float(drawn.min()), bins.value), max(float(drawn.max()), bins.value)
    fine = least + (most - least) * np.linspace(0, 1, _FINE) ** 2
    best = likelihoods(fine).max(axis=0)
    of_drawn = -np.log(spreads)[:, None] - (drawn - means[:, None]) ** 2 / (2 * spreads[:, None] ** 2)
    usual = np.quantile(np.minimum(0.0, of_drawn - np.interp(drawn, fine, best)), 1 - confidence, axis=1)
    of_value = likelihoods(np.array([bins.value]))[:, 0]
    found: Floats = of_value - of_value.max() - usual
    return found


def _drawn(bins: Bins, gaps: Floats, noise: Floats) -> Floats:
    """The errors that would be measured, steps × draws, of true `gaps` (steps × bins).

    Rows that are not in one bin are in another, so bins' parts s of the error go against each other: with D the squared
    `deviation`s, their covariance is D − s sᵀ / N. Standard normal noise gets it by D^½ (1 − y yᵀ / (1 + √(1 − |y|²))), where
    y = D^-½ s / √N.
    """
    n, found = float(bins.n.sum()), []
    for part, deviation in zip(gaps * bins.n / n, bins.deviation(gaps), strict=True):
        pull = np.divide(part, deviation * math.sqrt(n), out=np.zeros_like(part), where=deviation > 0)
        shared = np.outer(noise @ pull, pull / (1 + math.sqrt(max(0.0, 1 - float(pull @ pull)))))
        found.append(np.abs(part + (noise - shared) * deviation).sum(axis=1))
    return np.stack(found)


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
