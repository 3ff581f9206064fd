"""Signs that a text was decoded, copied or typed wrongly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ftfy.badness import BADNESS_RE

N_EXAMPLES = 3
_MOST_NAMED = 4
# Latin beside Cyrillic, or beside a Greek letter that looks Latin, inside one word; formulas such as Δx are left alone.
_LATIN, _CYRILLIC, _GREEK = "A-Za-z\u00c0-\u024f", "\u0400-\u052f", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧον"
_MIXED = re.compile(f"[{_LATIN}][{_CYRILLIC}{_GREEK}]|[{_CYRILLIC}{_GREEK}][{_LATIN}]")
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "replacement": re.compile("\ufffd"),
    "control": re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "invisible": re.compile("[\u00ad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"),
    "private": re.compile("[\ue000-\uf8ff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff]"),
    "mixed_scripts": _MIXED,
}
_OTHERS = re.compile("|".join(_PATTERNS[kind].pattern for kind in ("control", "replacement")))
ABOUT: Mapping[str, str] = {
    "mojibake": "text that looks as if it was decoded with the wrong encoding (Ã© for é)",
    "replacement": "the sign � that stands where bytes were lost",
    "control": "control characters other than tabs and line ends",
    "invisible": "characters that nobody sees: zero-width, soft hyphens, marks of direction",
    "private": "code points without a meaning of their own: private use, halves of pairs",
    "mixed_scripts": "words with letters of two alphabets that look alike (a Cyrillic а in a Latin word)",
}
"""Each kind of trouble, and what it is."""


@dataclass(frozen=True)
class CharacterTrouble:
    """One kind of trouble: in how many rows, and some of the places with the characters that are meant."""

    kind: str
    n_rows: int
    examples: tuple[tuple[str, str], ...]

    @property
    def about(self) -> str:
        """What it is."""
        return ABOUT[self.kind]


def signs_of(text: str) -> dict[str, str]:
    """Each kind of trouble that a text has, with the first characters that show it.

    Mojibake is told by its look (ftfy's pattern), and not by whether `luthier.data.cleaning.mojibake` would repair it: rows are looked at
    after that was done, and what is left then is what no repair brings back (docs/log.md).
    """
    found = {kind: at[0] for kind, pattern in _PATTERNS.items() if (at := pattern.search(text)) is not None}
    if not text.isascii() and (at := BADNESS_RE.search(text)) is not None:
        # The pattern takes in plain letters beside what is wrong, and what is told apart from it.
        sign = "".join(one for one in at[0] if not one.isascii() and not _OTHERS.match(one))
        found |= {"mojibake": sign} if sign else {}
    return found


def character_troubles(rows: Iterable[tuple[str, Iterable[str]]]) -> tuple[CharacterTrouble, ...]:
    """The troubles of rows, each given as its place and its texts; kinds that no row has are left out."""
    counts: dict[str, int] = {}
    examples: dict[str, list[tuple[str, str]]] = {}
    for where, texts in rows:
        first: dict[str, str] = {}
        for text in texts:
            first = {**signs_of(text), **first}
        for kind, sign in first.items():
            counts[kind] = counts.get(kind, 0) + 1
            if len(examples.setdefault(kind, [])) < N_EXAMPLES:
                examples[kind].append((where, _named(sign)))
    return tuple(CharacterTrouble(kind, counts[kind], tuple(examples[kind])) for kind in ABOUT if kind in counts)


def _named(sign: str) -> str:
    """Characters by their numbers, and as they are where they can be seen."""
    numbers = " ".join(f"U+{ord(one):04X}" for one in sign[:_MOST_NAMED])
    return f"{sign[:_MOST_NAMED]} ({numbers})" if sign.isprintable() else numbers
