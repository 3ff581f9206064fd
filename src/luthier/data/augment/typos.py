"""Rows as somebody in a hurry would have typed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.augment.making import NotMade, changed_or_not, generator, map_asked, prose
from luthier.data.tools import Tools

_WORD = re.compile(r"[^\W\d_]{4,}")
_BESIDE = {
    "a": "qwsz", "b": "vghn", "c": "xdfv", "d": "serfcx", "e": "wsdr", "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb", "i": "ujko",
    "j": "huikmn", "k": "jiolm", "l": "kop", "m": "njk", "n": "bhjm", "o": "iklp", "p": "ol", "q": "wa", "r": "edft", "s": "awedxz",
    "t": "rfgy", "u": "yhji", "v": "cfgb", "w": "qase", "x": "zsdc", "y": "tghu", "z": "asx",
}  # fmt: skip
"""The keys around each key of a QWERTY keyboard."""


@dataclass(frozen=True, kw_only=True)
class Typos:
    """Spoils words of what is asked: two letters swapped, one left out, doubled, or struck beside its key.

    Words of four letters and more are spoilt, at least one a row; numbers, code and addresses are not.
    """

    kind: Literal["typos"] = "typos"
    share: Annotated[float, Field(gt=0, le=1)] = option(
        0.1, about="share of the training rows that a row is made of", why="some noise, not a second language"
    )
    rate: Annotated[float, Field(gt=0, le=1)] = option(
        0.05, about="share of a row's longer words that are spoilt", why="about what hurried typing leaves"
    )

    def make(self, parents: Sequence[AnyExample], seeds: Sequence[int], tools: Tools) -> Iterator[AnyExample | NotMade]:
        """One spoilt row each."""
        return (self._made(parent, generator(seed)) for parent, seed in zip(parents, seeds, strict=True))

    def _made(self, parent: AnyExample, draw: np.random.Generator) -> AnyExample | NotMade:
        n_words = 0

        def counted(text: str) -> str:
            nonlocal n_words
            n_words += len(_WORD.findall(text))
            return text

        map_asked(parent, lambda text: prose(text, counted))
        spoilt = set(np.flatnonzero(draw.random(n_words) < self.rate).tolist()) or ({int(draw.integers(n_words))} if n_words else set())
        place = -1

        def one(found: re.Match[str]) -> str:
            nonlocal place
            place += 1
            return misspelt(found.group(), draw) if place in spoilt else found.group()

        return changed_or_not(parent, map_asked(parent, lambda text: prose(text, lambda part: _WORD.sub(one, part))))


def misspelt(word: str, draw: np.random.Generator) -> str:
    """The word with one mistake behind its first letter; never the word itself."""
    places = range(2, len(word))
    ways: list[str] = []
    i = int(draw.choice([k for k in places if word[k - 1 : k + 1] != word[k : k + 1] + word[k - 1 : k]] or [0]))
    if i > 0:
        ways.append(word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :])
    i = int(draw.integers(1, len(word)))
    ways += [word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:]]
    beside = _BESIDE.get(word[i].lower(), "")
    if beside:
        key = str(draw.choice(list(beside)))
        ways.append(word[:i] + (key.upper() if word[i].isupper() else key) + word[i + 1 :])
    return ways[int(draw.integers(len(ways)))]
