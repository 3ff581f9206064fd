"""The language that a text is written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

LOOKED_AT = 1000
"""Characters of a text that are looked at, from its beginning: more hardly ever change the answer, and cost time."""
SURE_FROM = 0.2
"""The probability below which a language is a guess: the bound at which py3langid's own documentation abstains."""
UNKNOWN = "und"
NO_LANGUAGE = "zxx"
"""ISO 639's codes for a language that cannot be told, and for what is none (numbers, signs)."""


@dataclass(frozen=True)
class Language:
    """An ISO 639 code, and how probable it is among all that are known (0 to 1)."""

    code: str
    probability: float


def language_of(text: str) -> Language:
    """The language of a text by its first `LOOKED_AT` characters; `UNKNOWN` where it cannot be told, as of most single words.

    Source: py3langid (Barbaresi), a fork of langid.py (Lui and Baldwin, 2012, ACL P12-3005), with a model of 139 languages.
    """
    seen = text[:LOOKED_AT]
    if not any(map(str.isalpha, seen)):
        return Language(NO_LANGUAGE, 1.0)
    code, probability = _classifier()(seen)
    return Language(code if probability >= SURE_FROM else UNKNOWN, float(probability))


@cache
def _classifier() -> Callable[[str], tuple[str, float]]:
    # It takes a second or two to load, and only some recipes ask for languages.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classify: Callable[[str], tuple[str, float]] = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify
    return classify
