"""Which stretches of a row a model is given, and which it has to say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from luthier.core.examples import AnyExample, Chat, Pair


def map_sides(example: AnyExample, given: Callable[[str], str], reply: Callable[[str], str]) -> AnyExample:
    """The example with `given` applied to what the model is given and `reply` to what it has to say; tools keep their words.

    A text without sides, labelled or not, is given.
    """
    if isinstance(example, Pair):
        return dataclasses.replace(example, prompt=given(example.prompt), completion=reply(example.completion))
    if not isinstance(example, Chat):
        return example.map_text(given)
    changes: dict[str, Callable[[str], str]] = {"assistant": reply, "tool": unchanged}
    turns = [dataclasses.replace(example, messages=(turn,)).map_text(changes.get(turn.role, given)) for turn in example.messages]
    return dataclasses.replace(example, messages=tuple(turn.messages[0] for turn in turns))


def map_prose(example: AnyExample, change: Callable[[str], str]) -> AnyExample:
    """The example with `change` applied to what is learnt to be written: a text, a completion, the assistant's turns."""
    if isinstance(example, Pair | Chat):
        return map_sides(example, unchanged, change)
    return example.map_text(change)


def prose(example: AnyExample) -> str:
    """What is learnt to be written, as one text."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    map_prose(example, note)
    return "\n\n".join(text for text in found if text)


def unchanged(text: str) -> str:
    """The text as it is."""
    return text
