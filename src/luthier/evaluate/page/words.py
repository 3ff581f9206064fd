"""Measured numbers as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.metrics import METRICS


@dataclass(frozen=True)
class Number:
    """A measured number as a page shows it: the value, its interval, and on how many rows it rests.

    `few` marks a number that rests on too little to lean on, and `signed` one that always shows its sign.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    digits: int
    few: bool = False
    signed: bool = False

    @property
    def as_text(self) -> str:
        """The value; `–` where there is none."""
        return self._text(self.value)

    @property
    def interval(self) -> str:
        """The interval; '' where there is none."""
        return "" if self.low is None or self.high is None else f"{self._text(self.low)} to {self._text(self.high)}"

    @property
    def whole(self) -> str:
        """All of it in one line."""
        if self.value is None:
            return "not measured"
        inside = f" (95\u00a0% interval {self.interval})" if self.interval else ""
        return f"{self.as_text}{inside}, n\u00a0=\u00a0{self.n:,}"

    def _text(self, value: float | None) -> str:
        if value is None:
            return "–"
        text = f"{value:+,.{self.digits}f}" if self.signed else f"{value:,.{self.digits}f}"
        return text.replace("-", "−")


def number_of(found: Estimate | Mapping[str, Any] | None, few: bool = False, digits: int | None = None) -> Number:
    """An estimate, or one out of a report, as a page shows it; with as many digits as its size asks for unless told."""
    if found is None:
        return Number(None, None, None, 0, 3)
    one: Mapping[str, Any] = found.as_dict() if isinstance(found, Estimate) else found
    marked = few or (isinstance(found, Estimate) and found.few)
    shown = digits_for(one["value"], one["high"]) if digits is None else digits
    return Number(one["value"], one["low"], one["high"], one["n"], shown, marked)


def difference_of(found: Comparison | Mapping[str, Any], few: bool = False) -> Number:
    """A difference of two systems as a page shows it, always with its sign."""
    one: Mapping[str, Any] = found.as_dict() if isinstance(found, Comparison) else found
    marked = few or (isinstance(found, Comparison) and found.few)
    return Number(one["difference"], one["low"], one["high"], one["n"], digits_for(one["low"], one["high"]), marked, signed=True)


def digits_for(*values: float | None) -> int:
    """Digits after the point: one for numbers from ten on, as chrF has them; else three."""
    return 1 if max((abs(value) for value in values if value is not None), default=0.0) >= 10 else 3


def metric_about(name: str) -> str:
    """What a metric measures, in a few words, and which way is better; '' for one that this version does not know."""
    kind = METRICS.get(name)
    if kind is None:
        return ""
    told = "" if "better" in kind.about else {1: "", -1: "; lower is better", 0: "; neither way is better"}[direction(name)]
    return kind.about + told


def direction(metric: str) -> int:
    """1 where a higher value of the metric is better, −1 where a lower one is, 0 where neither is, or nobody knows."""
    kind = METRICS.get(metric)
    return 0 if kind is None or kind.higher_is_better is None else 1 if kind.higher_is_better else -1
