"""A learning curve in words, as JSON and as a page."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from luthier.core.jsonvalue import Json
from luthier.core.page.figure import Figure
from luthier.core.page.words import counted
from luthier.evaluate.learning import Advice, Contrast
from luthier.evaluate.metrics.metric import Metric
from luthier.evaluate.page.html import rendered
from luthier.evaluate.page.svg import FIRST, draw


@dataclass(frozen=True)
class CurveShown:
    """What a curve came to: `points` are the metric at each size, `slope` what it gains with each of the last doublings."""

    run: str
    metric: Metric
    sizes: tuple[int, ...]
    n_seeds: int
    n_test: int
    points: tuple[Contrast | None, ...]
    slope: Contrast | None
    advice: tuple[Advice, ...]
    looks: int

    @property
    def in_points(self) -> bool:
        """Whether the metric is a share, told in points of a hundred."""
        return self.metric.range == (0.0, 1.0)

    def as_dict(self) -> dict[str, Json]:
        """The object of `curve.json` and of `--json`."""
        points: list[Json] = [None if one is None else _numbers(one.value, *self.ends(one)) for one in self.points]
        return {
            "schema": 1,
            "run": self.run,
            "metric": self.metric.name,
            "sizes": list(self.sizes),
            "n_seeds": self.n_seeds,
            "n_test": self.n_test,
            "points": points,
            "per_doubling": None if self.slope is None else _numbers(self.slope.value, *self.slope.interval()),
            "advice": [{**asdict(one), "told": one.told} for one in self.advice],
            "looks": self.looks,
            "words": self.words(),
        }

    def ends(self, one: Contrast) -> tuple[float, float]:
        """Both ends of a point's interval, which reach no further than the metric does."""
        low, high = one.interval()
        return max(low, self.metric.range[0]), min(high, self.metric.range[1])

    def words(self) -> list[str]:
        """What the curve says, a sentence a line; the rows as a whole first, then the labels of which something can be told."""
        lines = []
        for size, one in zip(self.sizes, self.points, strict=True):
            said = "no value" if one is None else "{:.3f} ({:.3f} to {:.3f})".format(one.value, *self.ends(one))
            lines.append(f"{size:,} rows: {self.metric.name} {said}")
        whole, *labels = self.advice
        lines.append(self.sentence(whole))
        told = sorted((one for one in labels if one.told), key=lambda one: -(one.gain or 0.0))
        lines += [self.sentence(one) for one in told]
        if len(told) < len(labels):
            rest = "the other " if told else ""
            lines.append(f"Of {rest}{counted(len(labels) - len(told), 'label')}: can't tell.")
        return lines

    def sentence(self, one: Advice) -> str:
        """One piece of advice, or that there is none."""
        what = f"{one.n_more:,} more rows" + ("" if one.label is None else f" of “{one.label}”")
        if one.gain is None or one.low is None or one.high is None:
            return f"{what}: can't tell ({one.why_not})."
        scale, unit, digits = (100, " points", 1) if self.in_points else (1, "", 3)
        gain, low, high, half = (f"{scale * number:+.{digits}f}" for number in (one.gain, one.low, one.high, (one.high - one.low) / 2))
        of = f" of {self.metric.name}" if one.label is None else " of its F1"
        if one.told:
            return f"{what}: {gain} ± {half[1:]}{unit}{of}."
        return f"{what}: can't tell ({one.why_not}: {low} to {high}{unit}{of})."


def _numbers(value: float, low: float, high: float) -> dict[str, Json]:
    return {"value": value, "low": low, "high": high}


def curve_page(found: CurveShown) -> str:
    """The page; a function of the curve alone."""
    whole, *labels = found.advice
    points = [
        (size, None if one is None else (one.value, *found.ends(one))) for size, one in zip(found.sizes, found.points, strict=True)
    ]
    context = {
        "found": found,
        "figure": _figure(found),
        "points": points,
        "whole": found.sentence(whole),
        "labels": [(one, found.sentence(one)) for one in sorted(labels, key=lambda one: (not one.told, one.label or ""))],
    }
    return rendered("curve.html.jinja", context)


def _figure(found: CurveShown) -> Figure:
    known = [(size, one) for size, one in zip(found.sizes, found.points, strict=True) if one is not None and math.isfinite(one.value)]
    name = found.metric.name

    def plot(axes: Any) -> None:
        for size, one in known:
            low, high = found.ends(one)
            axes.plot([size, size], [low, high], color=FIRST, linewidth=1.8)
        axes.plot([size for size, _ in known], [one.value for _, one in known], color=FIRST, marker="o", markersize=6, linewidth=1.2)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(found.sizes), [f"{size:,}" for size in found.sizes])
        axes.minorticks_off()
        axes.set_xlabel(f"training rows (each doubling is one step); {found.n_seeds} trainings each")
        axes.set_ylabel(f"{name}, 95 % interval")

    return draw("curve", f"{name} by the number of training rows", "; ".join(found.words()[: len(found.sizes)]), 3.1, plot)
