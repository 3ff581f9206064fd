"""What was measured: a number with its interval, and the difference of two."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from luthier.core.jsonvalue import Json

CONFIDENCE = 0.95
FEW_ROWS = 100
FEW_GROUPS = 30


@dataclass(frozen=True)
class Estimate:
    """A metric of one system with its interval.

    `n` rows were judged, `n_unjudged` were not; a system without a judged row has the value None, never 0. `n_groups`
    is None where each row stands for itself.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_unjudged: int
    method: str | None
    n_groups: int | None = None
    few_below: int = FEW_ROWS

    @property
    def few(self) -> bool:
        """Whether there are under 30 groups or `few_below` rows, usually 100: such intervals are wide and not quite what they promise."""
        return self.n < self.few_below or few(self.n, self.n_groups)

    def as_dict(self) -> dict[str, Json]:
        """The fields of the report contract."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in ("n_groups", "few_below")}


@dataclass(frozen=True)
class Comparison:
    """Two systems on the rows that both of them answered.

    `difference` = `a` − `b` with its interval; `p` is two-sided and raw, `p_holm` corrected for the family of
    comparisons that the report makes. `gain` is the difference in the direction that is better; `higher_is_better` is None
    for a metric that only describes.
    """

    a: str
    b: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    test: str
    n: int
    n_groups: int | None = None
    higher_is_better: bool | None = True

    @property
    def gain(self) -> float | None:
        """How much better `a` is: the difference, turned round where lower is better; None where neither way is better."""
        if self.difference is None or self.higher_is_better is None:
            return None
        return self.difference if self.higher_is_better else -self.difference

    @property
    def few(self) -> bool:
        """Whether there are under 100 rows or 30 groups."""
        return few(self.n, self.n_groups)

    def as_dict(self) -> dict[str, Json]:
        """The fields of the report contract."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in ("n_groups", "higher_is_better")}


def few(n_rows: int, n_groups: int | None) -> bool:
    """Whether a number of rows, or of groups where there are any, is too small to lean on."""
    return n_rows < FEW_ROWS or (n_groups is not None and n_groups < FEW_GROUPS)
