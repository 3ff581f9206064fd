"""Bars and histograms as figures of a page, drawn without a plotting library: they take milliseconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from luthier.core.page.figure import Figure
from luthier.core.page.words import on_one_line

WIDTH = 389.0
"""In points, as wide as the pages' other figures."""
_SIZE = 9.5
_LETTER = 6.1
"""What a letter of that size takes on average; room is left generously, for the reader's font is not known."""
_LINE = 19.0
_MOST_LETTERS = 28


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart: what it is of, and its parts, one for each series."""

    label: str
    parts: tuple[int, ...]

    @property
    def total(self) -> int:
        """The length of the whole bar."""
        return sum(self.parts)


@dataclass(frozen=True)
class Mark:
    """A line across a histogram at a value, and what it says."""

    value: float
    said: str


def bars(name: str, title: str, text: str, lines: Sequence[Bar], series: Sequence[str], unit: str) -> Figure:
    """Horizontal bars, each with its number; their parts differ in colour and in pattern.

    Args:
        name: begins each id in the figure.
        title: what it shows, in a few words.
        text: what a reader is to take from it, with the numbers that matter.
        lines: from top to bottom.
        series: what the parts are; up to three. A legend tells them where there are several.
        unit: what the bars count.

    """
    assert 1 <= len(series) <= len(_FILLS), "a chart tells up to three series apart"
    labels = [on_one_line(line.label, _MOST_LETTERS) for line in lines]
    left = 8 + _LETTER * max((len(label) for label in labels), default=0)
    most = max((line.total for line in lines), default=0)
    room = WIDTH - left - 8 - _LETTER * (len(f"{most:,}") + 1)
    top = 20.0 if len(series) > 1 else 4.0
    parts = [_patterns(name)]
    if len(series) > 1:
        parts.append(_legend(name, series, left))
    for i, (line, label) in enumerate(zip(lines, labels, strict=True)):
        y, x = top + i * _LINE, left
        parts.append(_text(left - 6, y + 12, label, "end"))
        for j, n in enumerate(line.parts):
            width = room * n / most if most else 0.0
            parts.append(f'<rect x="{x:.1f}" y="{y + 2:.1f}" width="{width:.1f}" height="13" fill="{_fill(name, j)}"/>' if n else "")
            x += width
        parts.append(_text(x + 4, y + 12, f"{line.total:,}", "start"))
    height = top + len(lines) * _LINE + 20
    parts.append(f'<path d="M{left:.1f} {top:.1f}V{height - 20:.1f}" stroke="var(--muted)" fill="none" stroke-width="1"/>')
    parts.append(_text(left, height - 5, unit, "start", "muted"))
    return Figure(name, title, text, WIDTH, height, "".join(parts))


def histogram(
    name: str, title: str, text: str, edges: Sequence[int], counts: Sequence[int], unit: str, marks: Sequence[Mark] = ()
) -> Figure:
    """Rows by a length, in bins that are drawn equally wide where each is some times as long as the last.

    Args:
        name: as in `bars`; so are `title` and `text`.
        title: what it shows.
        text: what to take from it.
        edges: where the bins begin, and where the last ends.
        counts: rows of each bin.
        unit: of the lengths.
        marks: lines across; those outside the bins are left out.

    """
    left, top, bottom, height = 44.0, 12.0 + 12 * len(marks), 34.0, 190.0 + 12 * len(marks)
    most, n_bins = _nice(max(counts, default=0)), len(counts)
    width, tall = (WIDTH - left - 10) / max(1, n_bins), height - top - bottom
    parts = [_patterns(name)]
    for share in (0.0, 0.5, 1.0):
        y = height - bottom - share * tall
        parts.append(f'<path d="M{left:.1f} {y:.1f}H{WIDTH - 8:.1f}" stroke="var(--grid)" fill="none" stroke-width="0.6"/>')
        parts.append(_text(left - 5, y + 3, f"{most * share:,.0f}" if most * share == int(most * share) else "", "end", "muted"))
    for i, n in enumerate(counts):
        bar = tall * n / most if most else 0.0
        box = f'x="{left + i * width + 0.7:.1f}" y="{height - bottom - bar:.1f}" width="{max(0.5, width - 1.4):.1f}" height="{bar:.1f}"'
        parts.append(f'<rect {box} fill="{_fill(name, 0)}"/>' if n else "")
    every = max(1, math.ceil(_LETTER * (len(f"{edges[-1]:,}") + 2) / width))
    for i in range(0, len(edges), every):
        parts.append(_text(left + i * width, height - bottom + 13, f"{edges[i]:,}", "middle", "muted"))
    parts.append(_text(left + (WIDTH - left) / 2, height - 5, unit, "middle"))
    for i, mark in enumerate(marks):
        x = left + width * _place(mark.value, edges)
        if edges[0] <= mark.value <= edges[-1]:
            side = "end" if x > WIDTH / 2 else "start"
            drawn = f'd="M{x:.1f} {6 + 12 * i:.1f}V{height - bottom:.1f}" stroke-dasharray="4 3"'
            parts.append(f'<path {drawn} stroke="var(--second)" fill="none" stroke-width="1.4"/>')
            parts.append(_text(x - 4 if side == "end" else x + 4, 13 + 12 * i, mark.said, side))
    return Figure(name, title, text, WIDTH, height, "".join(parts))


_FILLS = ("first", "second", "muted")


def _fill(name: str, series: int) -> str:
    return "var(--first)" if series == 0 else f"url(#{name}-{_FILLS[series]})"


def _patterns(name: str) -> str:
    """Stripes for the second series and dots for the third, so that nobody needs colours to tell them apart."""
    box = 'width="6" height="6" patternUnits="userSpaceOnUse"'
    striped = f'<pattern id="{name}-second" {box}><rect width="6" height="6" fill="var(--second)"/>'
    striped += '<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="var(--paper)" stroke-width="1.4"/></pattern>'
    dotted = f'<pattern id="{name}-muted" {box}><rect width="6" height="6" fill="var(--muted)"/>'
    dotted += '<circle cx="3" cy="3" r="1.3" fill="var(--paper)"/></pattern>'
    return f"<defs>{striped}{dotted}</defs>"


def _legend(name: str, series: Sequence[str], left: float) -> str:
    parts, x = [], left
    for i, said in enumerate(series):
        parts.append(f'<rect x="{x:.1f}" y="3" width="10" height="10" fill="{_fill(name, i)}"/>{_text(x + 14, 12, said, "start")}')
        x += 26 + _LETTER * len(said)
    return "".join(parts)


def _text(x: float, y: float, said: str, anchor: str, colour: str = "ink") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{_SIZE}"'
    return f'<text {where} fill="var(--{colour})">{escape(on_one_line(said, 200))}</text>' if said else ""


def _nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … that is no less."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))


def _place(value: float, edges: Sequence[int]) -> float:
    """Where a value stands among the edges, in bins."""
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        if value < high:
            return i + max(0.0, value - low) / (high - low)
    return float(len(edges) - 1)
