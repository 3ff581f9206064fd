"""Rows in other words around the same text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option, required
from luthier.data.augment.making import NotMade, changed_or_not, generator, map_asked
from luthier.data.shapes.conversations import first_question, leading_turns, with_first_question
from luthier.data.tools import Tools

PLACE = "{text}"


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Puts what is asked into one of the given patterns, such as "Hello, {text} Thanks!"; of a conversation, the first question."""

    kind: Literal["templates"] = "templates"
    patterns: tuple[str, ...] = required(about="patterns, each with {text} in it once; which one is drawn")
    share: Annotated[float, Field(gt=0, le=1)] = option(
        0.1, about="share of the training rows that a row is made of", why="some variety beside the rows as they are"
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Patterns without a place for the text, or with several, or that change nothing."""
        if not self.patterns:
            yield "patterns", "holds no pattern", 'give some, such as patterns = ["Hello, {text}"]'
        for i, pattern in enumerate(self.patterns):
            if pattern.count(PLACE) != 1:
                yield f"patterns[{i}]", f"has {PLACE} in it {pattern.count(PLACE)} times", "put it in once"
            elif pattern == PLACE:
                yield f"patterns[{i}]", "changes nothing", "put words around {text}, or remove it"

    def make(self, parents: Sequence[AnyExample], seeds: Sequence[int], tools: Tools) -> Iterator[AnyExample | NotMade]:
        """One row each."""
        for parent, seed in zip(parents, seeds, strict=True):
            before, _, after = self.patterns[int(generator(seed).integers(len(self.patterns)))].partition(PLACE)
            yield changed_or_not(parent, _around(parent, before, after))


def _around(parent: AnyExample, before: str, after: str) -> AnyExample | None:
    if leading_turns(parent) is None:
        return map_asked(parent, lambda text: before + text + after)
    # Words cannot be put around an image: a question that is made of parts stays.
    text = first_question(parent)
    return with_first_question(parent, before + text + after) if text else parent
