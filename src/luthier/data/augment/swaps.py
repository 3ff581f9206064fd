"""Rows with other words in the same places, where the label or the reply stays right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from luthier.core.examples import AnyExample, Labelled
from luthier.core.options import option
from luthier.data.augment.making import NOTHING_TO_CHANGE, NotMade, changed_or_not, generator
from luthier.data.shapes.conversations import all_turns
from luthier.data.tools import Tools

IN_A_CALL = "a tool is called with a word that would be swapped"
_NUMBER = re.compile(r"(?<![\w./:,\-])[1-9]\d{0,8}(?![\w/:\-]|[.,]\d)")


@dataclass(frozen=True, kw_only=True)
class Swaps:
    """Puts other words of the same list in the place of some: synonyms, names, products.

    A word is swapped wherever it stands in the row, in the reply too, so that question and answer go on to agree, and never
    for a word that the row has already. Capitals are kept as they were. With `numbers`, whole numbers from 2 on are
    replaced by others of as many digits, in labelled texts only: a number in a reply may follow from those in the question.
    """

    kind: Literal["swaps"] = "swaps"
    words: tuple[tuple[str, ...], ...] = option(
        (), about="lists of words or phrases that may stand for one another", why="only you know which"
    )
    numbers: bool = option(
        False, about="whether whole numbers in labelled texts are replaced by others", why="in some tasks the label hangs on them"
    )
    share: Annotated[float, Field(gt=0, le=1)] = option(
        0.1, about="share of the training rows that a row is made of", why="some variety beside the rows as they are"
    )
    rate: Annotated[float, Field(gt=0, le=1)] = option(
        0.5, about="share of a row's words that could be swapped that are", why="about half, and at least one"
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Nothing to swap, lists of one word, and words that stand in two lists."""
        if not self.words and not self.numbers:
            fix = 'give lists, such as words = [["bill", "invoice"]], or set numbers = true'
            yield "words", "holds no list, so nothing would be swapped", fix
        seen: set[str] = set()
        for i, some in enumerate(self.words):
            folded = [one.casefold().strip() for one in some]
            if len(set(folded)) < 2 or not all(folded):
                yield f"words[{i}]", "holds no two words that differ", "give two or more, none of them empty"
            if twice := sorted(seen & set(folded)):
                yield f"words[{i}]", f'"{twice[0]}" stands in an earlier list as well', "put words that may stand for each other into one"
            seen |= set(folded)

    def make(self, parents: Sequence[AnyExample], seeds: Sequence[int], tools: Tools) -> Iterator[AnyExample | NotMade]:
        """One row each."""
        return (self._made(parent, generator(seed)) for parent, seed in zip(parents, seeds, strict=True))

    @cached_property
    def _list_of(self) -> Mapping[str, tuple[str, ...]]:
        return {one.casefold(): some for some in self.words for one in some}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        spelt = {spelling for some in self.words for one in some for spelling in (one, one.casefold())}
        longest_first = sorted(spelt, key=lambda one: (-len(one), one))
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)

    def _made(self, parent: AnyExample, draw: np.random.Generator) -> AnyExample | NotMade:
        wanted = {**(self._words(parent, draw) if self.words else {}), **(self._numbers(parent, draw) if self.numbers else {})}
        if not wanted:
            return NOTHING_TO_CHANGE
        calls = [call.arguments for message in all_turns(parent) for call in message.tool_calls]
        if any(word in call.casefold() for call in calls for word in wanted):
            return IN_A_CALL

        def swapped(found: re.Match[str]) -> str:
            other = wanted.get(found.group().casefold())
            return found.group() if other is None else _in_case_of(found.group(), other)

        def change(text: str) -> str:
            text = self._pattern.sub(swapped, text) if self.words else text
            return _NUMBER.sub(swapped, text) if self.numbers else text

        return changed_or_not(parent, parent.map_text(change))

    def _words(self, parent: AnyExample, draw: np.random.Generator) -> dict[str, str]:
        """Word that is swapped → word in its place."""
        found = dict.fromkeys(word.casefold() for text in parent.texts() for word in self._pattern.findall(text))
        there = [word for word in found if word in self._list_of]
        return self._chosen(there, {word: [one for one in self._list_of[word] if one.casefold() not in there] for word in there}, draw)

    def _numbers(self, parent: AnyExample, draw: np.random.Generator) -> dict[str, str]:
        if not isinstance(parent, Labelled):
            return {}
        there = list(dict.fromkeys(_NUMBER.findall(parent.text)))
        others = {}
        for number in there:
            if int(number) >= 2:
                drawn = {str(draw.integers(max(2, 10 ** (len(number) - 1)), 10 ** len(number))) for _ in range(4)}
                others[number] = sorted(drawn - set(there))
        return self._chosen(there, others, draw)

    def _chosen(self, there: Sequence[str], others: Mapping[str, Sequence[str]], draw: np.random.Generator) -> dict[str, str]:
        able = [word for word in there if others.get(word)]
        if not able:
            return {}
        chosen = [word for word, at in zip(able, draw.random(len(able)), strict=True) if at < self.rate] or [
            able[int(draw.integers(len(able)))]
        ]
        found: dict[str, str] = {}
        for word in chosen:
            free = [one for one in others[word] if one not in found.values()]
            if free:
                found[word] = free[int(draw.integers(len(free)))]
        return found


def _in_case_of(word: str, other: str) -> str:
    """`other` with the capitals of `word`: all, the first, or as it is given."""
    if word.isupper() and sum(map(str.isalpha, word)) > 1:
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other
