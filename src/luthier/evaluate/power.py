"""Before anybody trains: the smallest difference that so many test rows can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from luthier.core.page.words import counted
from luthier.evaluate.compare import N_PERMUTATIONS
from luthier.evaluate.verdict import ALPHA

POWER = 0.8
DISAGREE: Mapping[float, str] = {0.1: "one row in ten", 0.2: "one row in five", 0.4: "two rows in five"}
"""Shares of rows on which two systems may differ: a tuned model and its rivals are mostly within them."""
PROPORTIONS = ("accuracy", "exact_match", "numeric_match")
ALIKE = ("macro_f1",)
"""Goals that are no proportion of rows, and move about as accuracy does."""
_STEPS = 10_000


def power_of(n: int, disagree: float, difference: float, alpha: float = ALPHA) -> float:
    """The probability that the paired test of `compare` calls one system better by p < alpha, and the right one.

    Exact for proportions over rows that stand for themselves: the number of rows on which just one of the two is right
    is binomial, and so is the number of those on which it is the better one. The test is that of `compare`: all swaps
    where there are no more than 10,000 ways, else mid-p, whose 10,000 random swaps are taken for all of them.

    Args:
        n: test rows.
        disagree: the share of rows, 0 to 1, on which just one of the two systems is right.
        difference: how much larger the better one's share of right answers is; at most `disagree`.
        alpha: the level of the test.

    """
    assert 0 < difference <= disagree <= 1, "systems that differ disagree at least as often"
    return _Trial(n, disagree, alpha).power(difference)


def smallest_difference(n: int, disagree: float, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """The smallest difference that is shown with that power; None where not even the largest one that can be is.

    Args:
        n: test rows.
        disagree: the share of rows on which just one of the two systems is right.
        alpha: the level of the test.
        power: how often the difference is to be shown.

    Returns:
        the difference of the shares of right answers, to four places, rounded up.

    """
    if n < 1:
        return None
    trial = _Trial(n, disagree, alpha)
    if trial.power(disagree) < power:
        return None
    low, high = 0, round(disagree * _STEPS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if trial.power(middle / _STEPS) >= power else (middle, high)
    return high / _STEPS


def power_lines(metric: str, n: int, groups: Sequence[int] = ()) -> list[str]:
    """What this test split can show, in words; nothing for metrics of which it cannot be known before.

    Args:
        metric: the goal's.
        n: test rows.
        groups: the number of rows of each group that stands in the test, where rows have groups.

    """
    if metric not in (*PROPORTIONS, *ALIKE) or n < 1:
        return []
    about = "about " if metric in ALIKE else ""
    found = [(words, smallest_difference(n, share)) for share, words in DISAGREE.items()]
    shown = [f"{about}{100 * one:.1f} points where they differ on {words}" for words, one in found if one is not None]
    rows, level = counted(n, "test row"), f"p < {ALPHA:g}, 4 times in 5"
    if not shown:
        return [f"{rows}: too few to show that two systems differ in {metric} ({level})"]
    lines = [f"{rows} show that two systems differ in {metric} ({level}) from {'; '.join(shown)}"]
    n_effective = int(sum(groups) ** 2 / sum(size * size for size in groups)) if groups else n
    if n_effective < n:
        worst = smallest_difference(n_effective, 0.2)
        said = "none could be shown" if worst is None else f"{100 * worst:.1f} points on one row in five"
        lines.append(f"  were all rows of a group alike, they would count as {n_effective:,}: {said}")
    return lines


class _Trial:
    """The paired test on so many rows, before it is made: which numbers of wins it calls a difference."""

    def __init__(self, n: int, disagree: float, alpha: float) -> None:
        low, high = (int(one) for one in (binom.ppf(1e-10, n, disagree), binom.isf(1e-10, n, disagree)))
        self._parted = np.arange(max(0, low), min(n, high) + 1)
        self._chances = binom.pmf(self._parted, n, disagree)
        self._needed = _needed(self._parted, alpha)
        self._disagree = disagree

    def power(self, difference: float) -> float:
        """How often the better one is called better."""
        share = (self._disagree + difference) / (2 * self._disagree)
        # binom.sf of k - 1 is the probability of k wins or more.
        return float((self._chances * binom.sf(self._needed - 1, self._parted, share)).sum())


def _needed(m: NDArray[np.int64], alpha: float) -> NDArray[np.int64]:
    """How many of m rows that part two systems one of them must win before p < alpha; m + 1 where all are not enough."""
    exact = np.exp2(np.minimum(m, 60)) <= N_PERMUTATIONS
    found: NDArray[np.int64] = m + 1
    for step in range(int(4 * np.sqrt(m.max(initial=1))) + 3):
        won = (m + 1) // 2 + step
        p = 2 * binom.sf(won - 1, m, 0.5) - np.where(exact, 0.0, binom.pmf(won, m, 0.5))
        found = np.where((won <= m) & (p < alpha), np.minimum(found, won), found)
        if ((found <= m) | (won > m)).all():
            break
    return found
