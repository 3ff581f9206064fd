"""Whether a word looks drawn at random, as keys are, or like something that people and programs write."""

from __future__ import annotations

import math
import re
from collections import Counter

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_HEX_DIGEST = re.compile(r"(?:0x)?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})", re.IGNORECASE)
_EXAMPLE = re.compile(
    r"example|sample|dummy|placeholder|changeme|change_me|insert|replace|redacted|removed|your|my[-_]|here|test|fake|todo|none|null|"
    r"xxx|\.\.\.|\*\*\*|<|>|\$\{|\{\{|abcdef|qwerty|0123456|1234567",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")


def bits_per_character(text: str) -> float:
    """Shannon's entropy of a text's own characters, in bits; at most log2 of its length."""
    n = len(text)
    return -sum(count / n * math.log2(count / n) for count in Counter(text).values()) if n else 0.0


def looks_random(word: str, least_bits: float = 3.0) -> bool:
    """Letters and digits mixed, of some entropy, and mostly not made of words.

    Args:
        word: without spaces.
        least_bits: entropy per character that it must have.

    """
    if not any(one.isdigit() for one in word) or not any(one.isalpha() for one in word):
        return False
    in_words = sum(len(part) for part in _PARTS.findall(word) if len(part) >= 4)
    return in_words <= 0.55 * len(word) and bits_per_character(word) >= least_bits


def is_identifier(word: str) -> bool:
    """A UUID, or as long in hexadecimal as the usual digests are: names of things, which commits and files carry openly."""
    return bool(_UUID.fullmatch(word) or _HEX_DIGEST.fullmatch(word))


def is_example(word: str) -> bool:
    """Whether it says itself that it stands for another: "your-key-here", "<token>", "AKIAIOSFODNN7EXAMPLE", one letter repeated."""
    return bool(_EXAMPLE.search(word)) or len(set(word)) <= 4
