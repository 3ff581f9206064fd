"""Rows in other letters: without capitals, or with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.augment.making import NOTHING_TO_CHANGE, NotMade, changed_or_not, generator, map_asked, prose
from luthier.data.tools import Tools

_CHANGES: Mapping[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}


@dataclass(frozen=True, kw_only=True)
class LetterCase:
    """Writes what is asked in lower or in upper case, whichever is drawn of those that change it; not code and addresses."""

    kind: Literal["letter_case"] = "letter_case"
    share: Annotated[float, Field(gt=0, le=1)] = option(
        0.1, about="share of the training rows that a row is made of", why="some noise, not a second language"
    )
    styles: Annotated[tuple[Literal["lower", "upper"], ...], Field(min_length=1)] = option(
        ("lower", "upper"), about="the cases that are drawn from", why="both are met in messages"
    )

    def make(self, parents: Sequence[AnyExample], seeds: Sequence[int], tools: Tools) -> Iterator[AnyExample | NotMade]:
        """One row each."""
        return (self._made(parent, generator(seed)) for parent, seed in zip(parents, seeds, strict=True))

    def _made(self, parent: AnyExample, draw: np.random.Generator) -> AnyExample | NotMade:
        made = [changed_or_not(parent, map_asked(parent, partial(prose, change=_CHANGES[style]))) for style in dict.fromkeys(self.styles)]
        able = [one for one in made if not isinstance(one, str)]
        return able[int(draw.integers(len(able)))] if able else next(iter(made), NOTHING_TO_CHANGE)
