"""Examples in a prompt: training rows as earlier turns of the conversation, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Pair
from luthier.core.messages import Message
from luthier.text.renderer import as_chat

S = TypeVar("S")

Shot: TypeAlias = tuple[str, str | None]
"""A text and its label, which is None for the text that is asked about."""
FULL = 0.75
"""A prompt of this share of the room is full: to seek shorter examples for the rest is not worth rendering again and again."""
MOST_IN_THE_WAY = 4
"""Examples that are left out for their length, one by one, before the others are given up."""


def most_that_fit(shots: Sequence[S], render: Callable[[Sequence[S]], list[int]], room: int) -> tuple[list[S], list[int]] | None:
    """The last of `shots` that leave a prompt within `room` tokens, and that prompt; None where not even none of them do.

    Examples that the model's template refuses (two turns of one role in a row, say) count as examples without room. One that
    is too long, while a good part of the room stays empty, is left out for the sake of those before it.
    """
    left = list(shots)
    for _ in range(MOST_IN_THE_WAY + 1):
        found = _last_that_fit(left, render, room)
        if found is None or found[0] == len(left) or len(found[1]) > FULL * room:
            break
        del left[len(left) - found[0] - 1]
    return None if found is None else (left[len(left) - found[0] :], found[1])


def _last_that_fit(shots: Sequence[S], render: Callable[[Sequence[S]], list[int]], room: int) -> tuple[int, list[int]] | None:
    """How many of the last `shots` in a row there is room for, and their prompt."""

    def with_last(n: int) -> list[int] | None:
        try:
            tokens = render(shots[len(shots) - n :])
        except LuthierError:
            return None
        return tokens if len(tokens) <= room else None

    fitting, too_many = -1, len(shots) + 1
    found: list[int] | None = None
    middle = len(shots)
    while too_many - fitting > 1:
        tokens = with_last(middle)
        if tokens is None:
            too_many = middle
        else:
            fitting, found = middle, tokens
        middle = (fitting + too_many) // 2
    return None if found is None else (fitting, found)


def behind(example: Pair | Chat, shots: Sequence[Pair | Chat]) -> Chat:
    """The conversation of an example behind those of others, whose replies are context; its own system prompt stays first.

    The others stand without their system prompts and end with their last reply, so that a question follows.
    """
    chat = as_chat(example)
    opening = next((i for i, message in enumerate(chat.messages) if message.role not in ("system", "developer")), len(chat.messages))
    turns = [
        replace(message, weight=0.0) if message.role == "assistant" else message for shot in shots for message in _turns(as_chat(shot))
    ]
    return replace(chat, messages=(*chat.messages[:opening], *turns, *chat.messages[opening:]))


def _turns(chat: Chat) -> list[Message]:
    last = max((i for i, message in enumerate(chat.messages) if message.role == "assistant"), default=-1)
    return [message for message in chat.messages[: last + 1] if message.role not in ("system", "developer")]
