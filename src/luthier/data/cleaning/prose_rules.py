"""What the published quality rules for prose count: words, lines, repetition."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

TERMINAL = frozenset(".!?…。！？؟۔।॥።\"”»")
"""What a sentence, or a quotation that ends one, ends with."""
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s|$)|[。！？؟۔।॥።]+")
_PARAGRAPH_END = re.compile(r"\n\s*\n")


def words(text: str) -> list[str]:
    """The words of a text: what stands between spaces."""
    return text.split()


def lines(text: str) -> list[str]:
    """The lines that say anything, without space at their ends."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def paragraphs(text: str) -> list[str]:
    """What stands between empty lines."""
    return [one.strip() for one in _PARAGRAPH_END.split(text) if one.strip()]


def n_sentences(text: str) -> int:
    """How many sentences end in the text."""
    return len(_SENTENCE_END.findall(text))


def repeats(parts: Sequence[str]) -> tuple[int, int]:
    """How many of the parts stood before, and their characters; the first of equal ones is no repeat."""
    seen: set[str] = set()
    n_repeats = n_characters = 0
    for part in parts:
        if part in seen:
            n_repeats += 1
            n_characters += len(part)
        seen.add(part)
    return n_repeats, n_characters


def in_most_frequent(said: Sequence[str], n: int) -> int:
    """The characters of the most frequent run of `n` words, times how often it occurs; 0 if none occurs twice.

    Of equally frequent runs the longest counts.
    """
    counts = Counter(zip(*(said[i:] for i in range(n)), strict=False))
    most = max(counts.values(), default=0)
    return 0 if most < 2 else max(most * len(" ".join(run)) for run, count in counts.items() if count == most)


def in_repeated(said: Sequence[str], n: int) -> int:
    """The characters of the words in runs of `n` words that stood before; no word counts twice."""
    seen: set[tuple[str, ...]] = set()
    n_characters = i = 0
    while i + n <= len(said):
        run = tuple(said[i : i + n])
        if run in seen:
            n_characters += sum(map(len, run))
            i += n
        else:
            seen.add(run)
            i += 1
    return n_characters
