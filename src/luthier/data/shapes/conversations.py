"""The messages of rows that are conversations, whatever shape they have."""

from __future__ import annotations

import dataclasses

from luthier.core.examples import AnyExample, Chat, Preference, Ranking, Rated
from luthier.core.messages import Message


def leading_turns(example: AnyExample) -> tuple[Message, ...] | None:
    """A conversation's messages; of a row with replies to compare or to rate, those before the replies. None for other shapes."""
    if isinstance(example, Chat):
        return example.messages
    return example.prompt if isinstance(example, Preference | Ranking | Rated) else None


def with_leading_turns(example: AnyExample, turns: tuple[Message, ...]) -> AnyExample:
    """The row with other messages in their place."""
    if isinstance(example, Chat):
        return dataclasses.replace(example, messages=turns)
    assert isinstance(example, Preference | Ranking | Rated), "only conversations have messages"
    return dataclasses.replace(example, prompt=turns)


def all_turns(example: AnyExample) -> tuple[Message, ...]:
    """Every message of the row, replies included; none for other shapes."""
    match example:
        case Chat():
            return example.messages
        case Preference():
            return (*example.prompt, *example.chosen, *example.rejected)
        case Ranking():
            return (*example.prompt, *(message for reply in example.replies for message in reply))
        case Rated():
            return (*example.prompt, *example.completion)
        case _:
            return ()


def first_question(example: AnyExample) -> str:
    """What the first user message says; empty if it is made of parts (an image, say) or if there is none."""
    first = next((one for one in leading_turns(example) or () if one.role == "user"), None)
    return first.content if first is not None and isinstance(first.content, str) else ""


def with_first_question(example: AnyExample, text: str) -> AnyExample:
    """The row whose first user message says `text`."""
    turns = leading_turns(example) or ()
    first = next(i for i, one in enumerate(turns) if one.role == "user")
    return with_leading_turns(example, (*turns[:first], dataclasses.replace(turns[first], content=text), *turns[first + 1 :]))
