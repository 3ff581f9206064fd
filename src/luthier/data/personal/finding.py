"""What a recogniser says of a text: where something stands that tells who somebody is, what it is, and how certain that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

Certainty = Literal["possible", "likely", "certain"]
"""`certain`: a checksum or a structure that hardly ever comes by chance; `likely`: a structure together with words
around it, or one that seldom means something else; `possible`: what a person should look at, examples included."""
RANK: dict[Certainty, int] = {"possible": 0, "likely": 1, "certain": 2}

# Cheap signs, one bit each: without one of the signs that a recogniser asks for, it has nothing to look for.
AT, SCHEME, NUMBER, DIGITS, CODE, RUN, WORDS = 1, 2, 4, 8, 16, 32, 64

_NUMBER = re.compile(r"[0-9]")
_DIGITS = re.compile(r"[0-9](?:[ ().\u00a0\u2010-\u2013/+-]{0,3}[0-9]){5}")
# From the digit to both sides, for digits are rarer than letters.
_CODE = re.compile("[0-9](?:" + "|".join(f"(?<=[A-Za-z0-9]{{{n}}})[A-Za-z0-9]{{{5 - n}}}" for n in range(1, 6)) + ")")
_LEAST_RUN = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of a text, from `start` up to `end`; `what` says more exactly than `kind` what it is, where there is more to say."""

    kind: str
    start: int
    end: int
    certainty: Certainty
    what: str = ""


class Recogniser(Protocol):
    """Finds one kind of thing; a leaf of this folder."""

    @property
    def kind(self) -> str:
        """Its name in a recipe, and in capitals in a text where the thing was masked."""
        ...

    signs: ClassVar[int]
    """The signs of a text, one of which must be there for it to hold anything of the kind."""

    def find(self, text: str) -> Iterator[Finding]:
        """Each of the kind in the text, in any order; they may overlap."""
        ...


def signs_of(text: str) -> int:
    """The cheap signs of a text.

    `AT` an at sign (or "(at)"), `SCHEME` "://", `NUMBER` a digit of ASCII, `DIGITS` six digits with at most three
    spaces, dots, hyphens, slashes or brackets between two, `CODE` a word of five or more characters with a digit in it,
    `RUN` sixteen characters without a space, `WORDS` always; where a recogniser asks for more, it looks itself.
    """
    found = WORDS
    if "@" in text or "(at)" in text or "[at]" in text:
        found |= AT
    if "://" in text:
        found |= SCHEME
    if max(map(len, text.split()), default=0) >= _LEAST_RUN:
        found |= RUN
    if _NUMBER.search(text):
        found |= NUMBER
        if _CODE.search(text):
            found |= CODE
        if _DIGITS.search(text):
            found |= DIGITS
    return found


def apart(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that do not overlap, in order: of two that do, the more certain stays, then the longer, then the earlier."""
    taken: list[Finding] = []
    for one in sorted(findings, key=lambda one: (-RANK[one.certainty], one.start - one.end, one.start, one.kind)):
        if all(one.end <= other.start or other.end <= one.start for other in taken):
            taken.append(one)
    return tuple(sorted(taken, key=lambda one: one.start))


def covered(text: str, findings: Iterable[Finding], cover: Callable[[str, str], str]) -> str:
    """The text with something else in the place of each finding; `cover` gives it for a kind and a value.

    The findings are in order and do not overlap.
    """
    parts, at = [], 0
    for one in findings:
        parts += [text[at : one.start], cover(one.kind, text[one.start : one.end])]
        at = one.end
    return "".join(parts) + text[at:]


def mask(kind: str, value: str) -> str:
    """What stands in the place of a value that is masked."""
    return f"[{kind.upper()}]"


def spoken_of(text: str, start: int, end: int, words: re.Pattern[str], before: int = 40, after: int = 0) -> bool:
    """Whether words stand within so many characters before or after a stretch."""
    return bool(words.search(text, max(start - before, 0), start) or (after and words.search(text, end, end + after)))
