"""Rows in a model's other words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled, Pair, Scored
from luthier.core.options import option, required
from luthier.data.augment.making import NotMade, changed_or_not, map_asked
from luthier.data.cleaning.language import NO_LANGUAGE, UNKNOWN, language_of
from luthier.data.likeness.compared import normalised
from luthier.data.shapes.conversations import first_question, leading_turns, with_first_question
from luthier.data.tools import Tools

PLACE = "{text}"
INSTRUCTION = (
    "Write the following message in other words. Keep its meaning, its language, and every name and number. "
    "Give the new message only.\n\n{text}"
)
NO_QUESTION = "no question in it that could be said in other words"
_NUMBERS = re.compile(r"\d+")
_MOST_TIMES = 2.0


@dataclass(frozen=True, kw_only=True)
class Paraphrase:
    """Has a model say what is asked in other words; of a conversation, the first question.

    What comes back is taken if it came to an end, says something else in the same language, has the same numbers in it, and is
    neither half as long nor twice as long. Whether it means the same, nobody has checked: look at the rows.
    """

    kind: Literal["paraphrase"] = "paraphrase"
    model: str = required(about='what writes the other words: a folder, a hub id, or "sprout"; one that follows instructions')
    instruction: str = option(
        INSTRUCTION, about="what the model is asked, with {text} in it once", why="plain words that most models follow"
    )
    share: Annotated[float, Field(gt=0, le=1)] = option(
        0.1, about="share of the training rows that a row is made of", why="some variety beside the rows as they are"
    )
    temperature: Annotated[float, Field(ge=0, le=2)] = option(
        0.7, about="how freely words are chosen; 0: always the likeliest", why="other words, but sound ones"
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """An instruction without a place for the text."""
        if self.instruction.count(PLACE) != 1:
            yield "instruction", f"has {PLACE} in it {self.instruction.count(PLACE)} times", "put it in once, where the text shall stand"

    def make(self, parents: Sequence[AnyExample], seeds: Sequence[int], tools: Tools) -> Iterator[AnyExample | NotMade]:
        """One row each. A reply depends on the row's text, the model and the recipe's seed."""
        if tools.rephrase is None:
            raise LuthierError(
                "[prepare] augment", '"paraphrase" needs a model, and none can be loaded here',
                "run it through `luthier prepare`, or hand over Tools(rephrase=…)",
            )  # fmt: skip
        asked = [_question(parent) for parent in parents]
        prompts = [self.instruction.replace(PLACE, text) for text in asked if text]
        replies = iter(tools.rephrase(self.model)(prompts, self.temperature, tools.seed) if prompts else ())
        for parent, text in zip(parents, asked, strict=True):
            if not text:
                yield NO_QUESTION
                continue
            said = next(replies)
            why_not = refused(text, said)
            yield changed_or_not(parent, _with_question(parent, (said or "").strip())) if why_not is None else why_not


def refused(text: str, said: str | None) -> NotMade | None:
    """Why what a model said is not taken for other words of the text; None if it is."""
    if said is None:
        return "the model did not come to an end"
    if not normalised(said):
        return "the model said nothing"
    if normalised(said) == normalised(text):
        return "the model said the same"
    if sorted(_NUMBERS.findall(said)) != sorted(_NUMBERS.findall(text)):
        return "the model changed the numbers"
    if not 1 / _MOST_TIMES <= len(normalised(said)) / len(normalised(text)) <= _MOST_TIMES:
        return "the model said much less or much more"
    before, after = language_of(text).code, language_of(said).code
    if before != after and not {before, after} & {UNKNOWN, NO_LANGUAGE}:
        return "the model changed the language"
    return None


def _question(parent: AnyExample) -> str:
    """The text to say in other words; empty where there is none."""
    if isinstance(parent, Pair):
        found = parent.prompt
    elif isinstance(parent, Labelled | Scored):
        found = parent.text
    else:
        found = first_question(parent)
    return found if found.strip() else ""


def _with_question(parent: AnyExample, text: str) -> AnyExample | None:
    return map_asked(parent, lambda _: text) if leading_turns(parent) is None else with_first_question(parent, text)
