"""The languages of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.data.cleaning.language import NO_LANGUAGE, UNKNOWN, language_of
from luthier.data.profile.sample import Looked

SAID = {UNKNOWN: "cannot be told (too short, or mixed)", NO_LANGUAGE: "no language (numbers, signs)"}
"""How codes that name no language are put into words."""
ARROW = " → "
_SURE = 0.95


@dataclass(frozen=True)
class LanguageShare:
    """A language, and in how many of the rows that were looked at; of a translation `en → de`."""

    code: str
    n_rows: int
    by_side: dict[str, int]

    @property
    def said(self) -> str:
        """The language as a page names it."""
        return SAID.get(self.code, self.code)


def languages_of(rows: Sequence[Looked]) -> tuple[str, ...]:
    """The language of each row; of a prompt and a completion in two languages, both."""
    return tuple(_language(row) for row in rows)


def _language(row: Looked) -> str:
    """One language for the whole row, unless its prompt and its completion are surely in two: a short reply is easily mistaken."""
    if [who for who, _ in row.parts] == ["prompt", "completion"]:
        asked, answered = map(language_of, row.texts)
        told = NO_LANGUAGE not in (asked.code, answered.code) and min(asked.probability, answered.probability) >= _SURE
        if told and asked.code != answered.code:
            return f"{asked.code}{ARROW}{answered.code}"
    return language_of(row.own).code


def shares(rows: Sequence[Looked], codes: Sequence[str]) -> tuple[LanguageShare, ...]:
    """How many rows each language has, the most frequent first."""
    by_side: dict[str, Counter[str]] = {}
    for row, code in zip(rows, codes, strict=True):
        by_side.setdefault(code, Counter())[row.side] += 1
    found = [LanguageShare(code, sum(sides.values()), dict(sides)) for code, sides in by_side.items()]
    return tuple(sorted(found, key=lambda one: (-one.n_rows, one.code)))
