"""Other people's text as pages show it, counts in words, and the colours of all pages."""

from __future__ import annotations

import pytest

from luthier.core.page import figure
from luthier.core.page.words import clipped, counted, on_one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1b", "a\u2400b\u241b"), ("\x7f\x85", "\u2421\ufffd"), ("\ud800 \uffff \ufdd0", "\ufffd \ufffd \ufffd"),
        ("one\r\ntwo\rthree\tfour\n", "one\ntwo\u240dthree\tfour\n"), ("שלום 😀 \u202e", "שלום 😀 \u202e"),
    ],
)  # fmt: skip
def test_what_no_page_may_hold_is_shown_by_its_picture(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode("utf-8")


def test_counts_and_cuts_in_words() -> None:
    assert [counted(n, "row") for n in (1, 2000)] == ["1 row", "2,000 rows"]
    assert counted(0, "reply", "replies") == "0 replies"
    assert clipped("x" * 9, 5) == "xxxxx… (9 characters)" and clipped("x" * 5, 5) == "xxxxx"
    assert on_one_line(" a\n b\x00 ", 9) == "a b\u2400" and on_one_line("x" * 9, 5) == "xxxx…" and on_one_line("x" * 5, 5) == "xxxxx"


def luminance(colour: str) -> float:
    """Of a colour like #0072b2, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [figure.LIGHT, figure.DARK], ids=["light", "dark"])
def test_colours_stand_out_from_their_paper(colours: dict[str, str]) -> None:
    assert set(figure.LIGHT) == set(figure.DARK)
    for name in ("ink", "muted", "first", "second"):
        low, high = sorted((luminance(colours[name]), luminance(colours["paper"])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name
