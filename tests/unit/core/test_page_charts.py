"""Bars and histograms: what is drawn is what is counted, and anybody's text may stand beside it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from luthier.core.page.charts import WIDTH, Bar, Mark, bars, histogram
from luthier.core.page.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"


def tree(figure: Figure) -> etree._Element:
    return etree.fromstring(figure.alone.encode())


def rectangles(figure: Figure) -> list[tuple[float, float, float, float, str]]:
    """x, y, width, height and fill of what is drawn, without legends and patterns."""
    found = [one for one in tree(figure).iter(f"{SVG}rect") if one.getparent().tag != f"{SVG}pattern"]
    return [(*(float(one.get(name)) for name in ("x", "y", "width", "height")), one.get("fill")) for one in found]  # type: ignore[misc]


def texts(figure: Figure) -> list[str]:
    return [one.text for one in tree(figure).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_numbers_and_parts_touch() -> None:
    figure = bars("b", "Title", "Text", [Bar("one", (30, 10)), Bar("two", (0, 20)), Bar("none", (0, 0))], ("a", "b"), "rows")
    drawn = [one for one in rectangles(figure) if one[3] == 13]
    assert len(drawn) == 3
    (x, _, width, _, first), (x2, _, width2, _, second), (x3, _, width3, _, third) = drawn
    assert width == pytest.approx(3 * width2, abs=0.2) and width3 == pytest.approx(2 * width2, abs=0.2)
    assert x2 == pytest.approx(x + width, abs=0.2) and x3 == x
    assert first == "var(--first)" and second == third == "url(#b-second)"
    assert not re.search(r"#[0-9a-f]{6}", figure.inline)
    assert {"one", "two", "none", "40", "20", "0", "a", "b", "rows"} <= set(texts(figure))


def test_a_histogram_is_as_tall_as_its_counts() -> None:
    figure = histogram("h", "Title", "Text", (1, 2, 4, 8), (5, 0, 20), "tokens", [Mark(3, "half"), Mark(99, "outside")])
    (_, _, _, low, _), (_, _, _, high, _) = rectangles(figure)
    assert high == pytest.approx(4 * low, abs=0.3)
    assert {"1", "2", "4", "8", "20", "10", "0", "half", "tokens"} <= set(texts(figure)) and "outside" not in texts(figure)
    (line,) = [one for one in tree(figure).iter(f"{SVG}path") if one.get("stroke-dasharray")]
    left = float(re.match(r"M([\d.]+)", line.get("d") or "")[1])  # type: ignore[index]
    # 3 is halfway through the second of three bins.
    assert left == pytest.approx(44 + (WIDTH - 54) / 2, abs=0.2)


@given(st.lists(st.tuples(st.text(max_size=60), st.integers(0, 10**9), st.integers(0, 10**9)), max_size=8))
def test_any_label_and_any_number_give_a_figure_inside_its_frame(lines: list[tuple[str, int, int]]) -> None:
    figure = bars("b", "<t>", "a & b", [Bar(label, (a, b)) for label, a, b in lines], ("x", "y"), "rows")
    for x, y, width, height, _ in rectangles(figure):
        assert min(x, y) >= 0 and x + width <= WIDTH + 0.2 and y + height <= figure.height


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_any_counts_give_a_histogram_inside_its_frame(counts: list[int]) -> None:
    figure = histogram("h", "t", "d", tuple(range(3, 4 + len(counts))), counts, "tokens")
    assert len(rectangles(figure)) == sum(n > 0 for n in counts)
    for x, y, width, height, _ in rectangles(figure):
        assert min(x, y) >= 0 and x + width <= WIDTH + 0.2 and y + height <= figure.height
    assert texts(figure).count(f"{3:,}") >= 1


def test_two_figures_on_one_page_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', bars(name, "t", "d", [Bar("x", (1,))], ("a",), "rows").inline)) for name in ("one", "two")]
    assert ids[0] and ids[0].isdisjoint(ids[1])
