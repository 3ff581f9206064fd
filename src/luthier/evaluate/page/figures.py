"""The figures: one for each question that the page answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from luthier.core.page.figure import Figure
from luthier.core.page.words import counted, on_one_line
from luthier.evaluate.page.confidence import Confidence
from luthier.evaluate.page.curves import Curves, in_words, overfits
from luthier.evaluate.page.mistakes import Mistakes
from luthier.evaluate.page.svg import FIRST, GRID, INK, MUTED, PAPER, SECOND, draw
from luthier.evaluate.page.words import Number, direction

_LABEL_LETTERS = 24


def learning(curves: Curves) -> Figure:
    """The loss on the training and on the validation rows, step by step."""

    def plot(axes: Any) -> None:
        if len(curves.train) > 1:
            axes.plot(*zip(*curves.train, strict=True), color=FIRST, alpha=0.3, linewidth=0.7)
        axes.plot(*zip(*curves.smooth, strict=True), color=FIRST, linewidth=1.8, marker="s", markersize=3.5, label="training (mean)")
        if curves.validation:
            steps, losses = zip(*curves.validation, strict=True)
            axes.plot(steps, losses, color=SECOND, linewidth=1.8, linestyle="--", marker="o", markersize=4, label="validation")
            known = [(step, one.low, one.high) for step, one in curves.validated if one.interval]
            if known:
                axes.fill_between(*zip(*known, strict=True), color=SECOND, alpha=0.18, linewidth=0, label="its 95 % interval")
        lowest, over = curves.lowest, overfits(curves)
        if lowest is not None:
            axes.plot(*lowest, marker="o", markersize=10, markerfacecolor="none", markeredgecolor=INK, linestyle="", label="lowest: kept")
        if over is not None:
            axes.axvspan(over.step, over.last_step, color=GRID, alpha=0.35, linewidth=0)
            middle = (over.step + over.last_step) / 2
            axes.annotate("overfits", (middle, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=INK)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.legend(loc="best")

    return draw("learning", "Loss on training and validation rows by step", in_words(curves), 3.1, plot)


def systems(metric: str, found: Mapping[str, Number], own: Collection[str] = ("tuned",), bar: float | None = None) -> Figure:
    """Each system's value on the metric that decides, with its interval; `own` are drawn in colour, `bar` is what has to be reached."""
    better = {1: " (higher is better)", -1: " (lower is better)", 0: ""}[direction(metric)]
    shown = [(name, one) for name, one in found.items() if one.value is not None]
    text = "; ".join(f"{name} {one.whole}" for name, one in shown)

    def plot(axes: Any) -> None:
        for i, (name, one) in enumerate(shown):
            colour, marker, size = (FIRST, "o", 7) if name in own else (MUTED, "D", 5)
            axes.plot([one.low, one.high], [i, i], color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot([one.value], [i], marker=marker, color=colour, markersize=size)
            axes.annotate(one.as_text, (1.02, i), xycoords=("axes fraction", "data"), va="center", color=INK, annotation_clip=False)
        if bar is not None:
            axes.axvline(bar, color=SECOND, linestyle="--", linewidth=1.4)
            axes.annotate(f"at least {bar:g}", (bar, -0.72), color=INK, ha="center", va="bottom", annotation_clip=False)
        axes.set_yticks(range(len(shown)), [_label(name) for name, _ in shown])
        axes.set_ylim(len(shown) - 0.5, -0.7)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{metric}, 95 % interval{better}")

    return draw("systems", f"Each system's {metric} with its interval", text, 1.1 + 0.36 * max(2, len(shown)), plot)


def confusions(found: Mistakes) -> Figure | None:
    """Which labels are taken for which: all of them where they are few, else the most frequent mistakes."""
    if not found.confusions:
        return None
    most = found.confusions[0]
    text = f"Most often, “{most.gold}” is answered with “{most.said}”: {counted(most.n, 'row')} of {most.share.n:,} with that label."
    if found.matrix is not None:
        return _matrix(*found.matrix, text)

    def plot(axes: Any) -> None:
        names = [f"{_label(one.gold, 18)} → {_label(one.said, 18)}" for one in found.confusions]
        axes.barh(range(len(names)), [one.n for one in found.confusions], color=FIRST, height=0.7)
        for i, one in enumerate(found.confusions):
            _beside(axes, str(one.n), one.n, i)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("rows (true label → answer)")

    return draw("confusions", "The most frequent confusions", text, 1.0 + 0.24 * len(found.confusions), plot)


def _matrix(labels: Sequence[str], counts: Sequence[Sequence[int]], text: str) -> Figure:
    def plot(axes: Any) -> None:
        for i, line in enumerate(counts):
            for j, n in enumerate(line):
                share = n / max(1, sum(line))
                if n:
                    colour = FIRST if i == j else SECOND
                    axes.add_patch(_square(j, i, colour, share))
                axes.text(j, i, str(n) if n else "·", ha="center", va="center", fontsize=8, color=INK)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        short = [_label(label, 18) for label in labels]
        axes.set_xticks(range(len(labels)), short, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(len(labels)), short, fontsize=8)
        axes.grid(visible=False)
        axes.set_xlabel("answer")
        axes.set_ylabel("true label")

    return draw("confusions", "Rows by true label and answer", text, 1.7 + 0.27 * len(labels), plot)


def _square(x: float, y: float, colour: str, share: float) -> Any:
    from matplotlib.patches import Rectangle

    # No darker than half, so that the number on it can be read in light and in dark.
    return Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=colour, alpha=0.06 + 0.44 * share, linewidth=0)


def row_scores(metric: str, found: Mistakes) -> Figure | None:
    """How the scores of single replies are spread; None for labels, which are right or wrong."""
    values = found.row_scores
    if not values or found.n_wrong is not None:
        return None
    quarters = np.quantile(values, (0, 0.25, 0.5, 0.75, 1))
    text = (
        f"The {metric} of {counted(len(values), 'row')}, each by itself: from {quarters[0]:.3f} to {quarters[4]:.3f}, "
        f"half of them between {quarters[1]:.3f} and {quarters[3]:.3f}, the middle one {quarters[2]:.3f}."
    )

    def plot(axes: Any) -> None:
        axes.hist(values, bins=20, color=FIRST, rwidth=0.9)
        axes.set_xlabel(f"{metric} of a single row")
        axes.set_ylabel("rows")

    return draw("row-scores", f"How {metric} is spread over the test rows", text, 2.6, plot)


def reliability(found: Confidence) -> Figure:
    """How often answers of about the same probability are right."""

    def plot(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1.2, label="as sure as right")
        for i, one in enumerate(found.bins):
            right, sure = one.right, one.sure.value
            axes.plot([sure, sure], [right.low, right.high], color=FIRST, linewidth=1.8)
            axes.plot([one.sure.low, one.sure.high], [right.value, right.value], color=FIRST, linewidth=1.8)
            axes.plot([sure], [right.value], marker="o", color=FIRST, markersize=6, linestyle="", label=None if i else "this model")
            axes.annotate(f"{right.n:,}", (sure, -0.04), ha="center", va="top", fontsize=7.5, color=INK, annotation_clip=False)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.14, 1.03)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
        axes.set_xlabel("probability of the answer (rows of each bin below its point)")
        axes.set_ylabel("share that is right")
        axes.legend(loc="upper left")

    return draw("reliability", "How often it is right, by how sure it is", found.in_words, 3.6, plot)


def data(split: Mapping[str, int], dropped: Mapping[str, Mapping[str, int]]) -> Figure | None:
    """What became of the rows that were read."""
    bars = [(side, n, FIRST) for side, n in split.items()]
    bars += [(f"dropped: {_label(reason, 32)}", n, SECOND) for reasons in dropped.values() for reason, n in reasons.items()]
    if not bars:
        return None
    text = "; ".join(f"{name} {n:,}" for name, n, _ in bars)

    def plot(axes: Any) -> None:
        for i, (_, n, colour) in enumerate(bars):
            axes.barh([i], [n], color=colour, height=0.66, hatch=None if colour == FIRST else "////", edgecolor=PAPER, linewidth=0)
            _beside(axes, f"{n:,}", n, i)
        axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.14 * max(1, *(n for _, n, _ in bars)))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("rows")

    return draw("data", "What became of the rows", text, 0.9 + 0.27 * len(bars), plot)


def _beside(axes: Any, text: str, x: float, y: float) -> None:
    """A number at the end of its bar."""
    axes.annotate(text, (x, y), xytext=(3, 0), textcoords="offset points", va="center", color=INK)


def _label(text: str, most: int = _LABEL_LETTERS) -> str:
    """A label that fits beside an axis, on one line."""
    return on_one_line(text, most)
