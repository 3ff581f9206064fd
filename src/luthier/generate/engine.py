"""Luthier's own generator, as a call: prompts share the computation of what they begin with, and no place is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from luthier.core.errors import LuthierError
from luthier.core.generator import Piece, Reply, Sampling
from luthier.generate.adapters import Adapters
from luthier.generate.decoder import Decoder
from luthier.generate.growing import Growing
from luthier.models.network import Network
from luthier.text.rows import make_row, sort_key
from luthier.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Engine:
    """Luthier's own generator. `stop_ids` end a reply; `layout` is what the probe settled for the network."""

    network: Network
    tokenizer: Tokenizer
    stop_ids: frozenset[int]
    context: int
    layout: Literal["forest", "padded"] = "forest"
    max_sequences: int = 64
    counted: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "reply": 0})
    """Tokens computed so far, of prompts and of replies."""

    def __call__(self, prompts: Sequence[Sequence[int]], sampling: Sampling | Sequence[Sampling]) -> list[Reply]:
        """One reply for each prompt, in order; no prompt influences another's reply.

        Raises:
            LuthierError: a prompt leaves no room for a reply.

        """
        each = [sampling] * len(prompts) if isinstance(sampling, Sampling) else list(sampling)
        replies = [self._begin(prompt, one) for prompt, one in zip(prompts, each, strict=True)]
        decoder = self._decoder()
        for one in sorted(replies, key=lambda one: sort_key(make_row(one.prompt))):
            decoder.add(one)
        while not decoder.is_idle:
            decoder.step()
        return [one.reply for one in replies]

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[Piece]:
        """The reply to one prompt, piece by piece; characters that are still incomplete wait for the next piece."""
        one = self._begin(prompt, sampling)
        one.is_watched = True
        decoder = self._decoder()
        decoder.add(one)
        while not decoder.is_idle:
            decoder.step()
            if (piece := one.piece()) is not None:
                yield piece

    def _decoder(self) -> Decoder:
        """A decoder of this call alone: the weights may change before the next one."""
        return Decoder(Adapters(self.network), self.layout, self.max_sequences, counted=self.counted)

    def _begin(self, prompt: Sequence[int], sampling: Sampling) -> Growing:
        room = room_for(prompt, self.context)
        return Growing(list(prompt), replace(sampling, max_tokens=min(sampling.max_tokens, room)), self.tokenizer, self.stop_ids)


def room_for(prompt: Sequence[int], context: int) -> int:
    """How many tokens of a reply fit behind a prompt.

    Raises:
        LuthierError: none does, or the prompt is empty.

    """
    room = context - len(prompt)
    if room < 1 or not prompt:
        problem = f"it has {len(prompt):,} tokens, and the model reads {context:,}" if prompt else "it is empty"
        raise LuthierError("the prompt", problem, "shorten it" if prompt else "give it at least one token")
    return room
