"""Other people's text, and counts of things, as a page shows them."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\r\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML and XML may not hold: control characters, halves of surrogate pairs, and code points that are no characters."""


def printable(text: str) -> str:
    """Somebody's text without what no page may hold: each such character is shown by its picture, or as a question mark."""
    return _UNPRINTABLE.sub(_picture, text.replace("\r\n", "\n"))


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def clipped(text: str, most: int) -> str:
    """A text cut to `most` characters, with the number that it had."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def counted(n: int, one: str, many: str = "") -> str:
    """A number of things: `1 row`, `2 rows`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def on_one_line(text: str, most: int) -> str:
    """A text that fits beside an axis or into a sentence: printable, without line breaks, and cut to `most` characters."""
    short = " ".join(printable(text).split())
    return short if len(short) <= most else short[: most - 1] + "…"
