"""What augmentations have in common: which rows they take, what they may change, and when they make nothing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from luthier.core.examples import AnyExample, Chat, Pair, Text
from luthier.data.shapes.conversations import leading_turns, with_leading_turns
from luthier.data.tools import Tools

NotMade: TypeAlias = str
"""Why nothing was made of a row: one of a few reasons, which are counted."""
NOTHING_ASKED = "a plain text is learnt as a whole, and nothing of it may be spoilt"
NOTHING_TO_CHANGE = "nothing in it to change"

_UNTOUCHED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|(?:https?://|www\.)\S+|\S+@\S+|\{[^{}\n]*\}", re.DOTALL)
"""Code, addresses and placeholders."""


class Augmentation(Protocol):
    """Makes a training row of a training row. What it draws depends on the seed that it is given for the row, and on nothing else."""

    @property
    def kind(self) -> str:
        """The augmentation's name in a recipe."""
        ...

    @property
    def share(self) -> float:
        """The share of the training rows that it takes."""
        ...

    def make(self, parents: Sequence[AnyExample], seeds: Sequence[int], tools: Tools) -> Iterator[AnyExample | NotMade]:
        """For each parent the row as it was changed, still under its parent's name, or why there is none."""
        ...


def map_asked(example: AnyExample, change: Callable[[str], str]) -> AnyExample | None:
    """The row with `change` applied to what is asked; None for plain text, of which all is learnt.

    What the model is to say, and what the system and tools say, stays as it is.
    """
    if isinstance(example, Text):
        return None
    if isinstance(example, Pair):
        return dataclasses.replace(example, prompt=change(example.prompt))
    turns = leading_turns(example)
    if turns is None:
        return example.map_text(change)
    asked = Chat(example.id, tuple(message for message in turns if message.role == "user")).map_text(change)
    changed = iter(asked.messages)
    return with_leading_turns(example, tuple(next(changed) if one.role == "user" else one for one in turns))


def prose(text: str, change: Callable[[str], str]) -> str:
    """The text with `change` applied to what is not code, an address or a placeholder."""
    parts: list[str] = []
    end = 0
    for kept in _UNTOUCHED.finditer(text):
        parts += [change(text[end : kept.start()]), kept.group()]
        end = kept.end()
    return "".join([*parts, change(text[end:])])


def generator(seed: int) -> np.random.Generator:
    """Draws for one row."""
    return np.random.default_rng(seed)


def changed_or_not(parent: AnyExample, made: AnyExample | None) -> AnyExample | NotMade:
    """The row that was made, or why it is none."""
    if made is None:
        return NOTHING_ASKED
    return NOTHING_TO_CHANGE if made == parent else made
