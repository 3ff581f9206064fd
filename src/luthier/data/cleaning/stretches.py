"""Which stretches of a row a model is given, and which it has to say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from luthier.core.examples import AnyExample, Chat, Pair, Preference, Ranking, Rated
from luthier.core.messages import Message

_WithTurns = Chat | Preference | Ranking | Rated


def map_sides(example: AnyExample, given: Callable[[str], str], reply: Callable[[str], str]) -> AnyExample:
    """The example with `given` applied to what the model is given and `reply` to what it has to say; tools keep their words.

    A text without sides, labelled or not, is given; in conversations the assistant's turns are replies, wherever they stand.
    """

    def turns(messages: tuple[Message, ...]) -> tuple[Message, ...]:
        changes = {"assistant": reply, "tool": unchanged}
        return tuple(Chat("", (one,)).map_text(changes.get(one.role, given)).messages[0] for one in messages)

    match example:
        case Pair():
            return dataclasses.replace(example, prompt=given(example.prompt), completion=reply(example.completion))
        case Chat():
            return dataclasses.replace(example, messages=turns(example.messages))
        case Preference():
            prompt, chosen, rejected = turns(example.prompt), turns(example.chosen), turns(example.rejected)
            return dataclasses.replace(example, prompt=prompt, chosen=chosen, rejected=rejected)
        case Ranking():
            return dataclasses.replace(example, prompt=turns(example.prompt), replies=tuple(map(turns, example.replies)))
        case Rated():
            return dataclasses.replace(example, prompt=turns(example.prompt), completion=turns(example.completion))
    return example.map_text(given)


def map_prose(example: AnyExample, change: Callable[[str], str]) -> AnyExample:
    """The example with `change` applied to what is learnt to be written: a text, a completion, the assistant's turns."""
    return map_sides(example, unchanged, change) if isinstance(example, Pair | _WithTurns) else example.map_text(change)


def prose(example: AnyExample) -> str:
    """What is learnt to be written, as one text."""
    if not isinstance(example, Pair | _WithTurns):
        return "\n\n".join(example.texts())
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    map_prose(example, note)
    return "\n\n".join(text for text in found if text)


def unchanged(text: str) -> str:
    """The text as it is."""
    return text
