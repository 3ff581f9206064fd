"""What a template and a tokenizer do to conversations that nobody asked for: counted, so that `check` can say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luthier.core.examples import Chat
from luthier.text.renderer import Renderer


@dataclass(frozen=True)
class Fidelity:
    """Over some conversations: how many there were, and in how many something differs from what one would expect.

    `n_deleted_text` and `n_deleted_reasoning` count conversations of which the template leaves out a message's text or
    reasoning; `n_retokenised` those that would have other tokens if their text were tokenised in one go.
    """

    n_chats: int
    n_deleted_text: int
    n_deleted_reasoning: int
    n_retokenised: int

    def lines(self) -> tuple[str, ...]:
        """What is worth telling a person."""
        of = f"of {self.n_chats:,} conversations looked at"
        said = (
            (self.n_deleted_text, "the template leaves out the text of a message"),
            (self.n_deleted_reasoning, "the template leaves out the reasoning of an earlier turn, so each turn becomes a row of its own"),
            (self.n_retokenised, "tokenising all at once would give other tokens than prompt and reply apart, as here"),
        )
        return tuple(f"in {n:,} {of}, {what}" for n, what in said if n)


def fidelity(renderer: Renderer, chats: Iterable[Chat]) -> Fidelity:
    """Compare what conversations say with what becomes of them."""
    n_chats = n_text = n_reasoning = n_retokenised = 0
    for chat in chats:
        text = renderer.text(chat)
        n_chats += 1
        n_text += any(message.text.strip() not in text for message in chat.messages)
        n_reasoning += any(message.reasoning is not None and message.reasoning.strip() not in text for message in chat.messages)
        rows = renderer.render(chat)
        if len(rows) == 1:
            n_retokenised += renderer.tokenizer.encode(text)[: len(rows[0].tokens)] != rows[0].tokens
    return Fidelity(n_chats, n_text, n_reasoning, n_retokenised)
