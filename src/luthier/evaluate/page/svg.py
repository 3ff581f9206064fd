"""Plots by matplotlib as figures of a page, in the page's own colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

from luthier.core.page.figure import Figure

INK, MUTED, GRID, PAPER = "#111113", "#555557", "#c9c9cb", "#fffffd"
FIRST, SECOND = "#0072b3", "#d55e01"
"""Stand-ins, in matplotlib's output and nowhere else, for the page's colours of the same names."""

_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", FIRST: "first", SECOND: "second"}

_SETTINGS = {
    "svg.hashsalt": "luthier", "svg.fonttype": "none", "text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 9.5,
    "text.color": INK, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.facecolor": "none", "axes.titlecolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID,
    "grid.linewidth": 0.6, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "legend.frameon": False, "figure.facecolor": "none", "savefig.facecolor": "none", "figure.constrained_layout.use": True,
}  # fmt: skip
WIDTH_INCHES = 5.4


def draw(name: str, title: str, text: str, height_inches: float, plot: Callable[[Any], None]) -> Figure:
    """A figure of one plot.

    Args:
        name: names the figure's file, and begins each id in it.
        title: what it shows, in a few words.
        text: what a reader is to take from it, with the numbers that matter.
        height_inches: of the whole.
        plot: draws on matplotlib's axes, with the colours above and no others.

    """
    # Matplotlib takes a while to load, and nothing but a figure needs it.
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    out = io.StringIO()
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # A label's letters may be missing from the font that lengths are measured with; the reader's font draws them.
        warnings.filterwarnings("ignore", message="Glyph")
        canvas = Canvas(figsize=(WIDTH_INCHES, height_inches))
        plot(canvas.subplots())
        canvas.savefig(out, format="svg")
    width, height = WIDTH_INCHES * 72, height_inches * 72
    return Figure(name, title, text, width, height, _inner(out.getvalue(), name))


def _inner(svg: str, name: str) -> str:
    """What stands inside matplotlib's root element, with ids of our own, variables for colours and the page's font.

    The metadata goes, and with it the time of drawing.
    """
    inner = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    inner = re.sub(r"\s*<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", inner, flags=re.DOTALL)
    inner = re.sub(r"\s*<!--.*?-->", "", inner, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', inner))
    inner = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", inner)
    inner = re.sub(r'(url\(#|href="#)([^")]+)', lambda found: f"{found[1]}{name}-{found[2]}", inner)
    inner = inner.replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        inner = inner.replace(colour, f"var(--{variable})")
    inner = re.sub(r"font-family: [^;\"]*; ?", "", inner)
    return re.sub(r"\s*\n\s*", "\n", inner)
