"""What it means to generate: prompts of token ids in, replies out, whatever engine does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from luthier.core.errors import Complaints

Finish: TypeAlias = Literal["stop", "length"]
"""`stop`: the model ended its turn, or a stop text came; `length`: it ran out of tokens."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        max_tokens: the most tokens of a reply.
        temperature: divides the logits; 0 takes the likeliest token (greedy), and the next three do nothing.
        top_p: the smallest set of tokens whose probabilities reach this sum is sampled from; 1 = all.
        top_k: only this many of the likeliest tokens are sampled from; 0 = all.
        seed: the reply to a prompt is a function of the prompt, this and the weights.
        stop: texts that end a reply; they are not part of it.
        stop_tokens: token ids that end a reply, beside the model's own; their text is not part of it.

    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    stop_tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        rules = (
            ("max_tokens", self.max_tokens >= 1, "give 1 or more"),
            ("temperature", 0 <= self.temperature < float("inf"), "give 0 for the likeliest token, or more"),
            ("top_p", 0 < self.top_p <= 1, "give a number above 0 and up to 1"),
            ("top_k", self.top_k >= 0, "give 0 for all tokens, or how many"),
            ("stop", all(self.stop), "leave out empty texts, which would stop every reply at once"),
        )
        complaints = Complaints()
        for name, holds, fix in rules:
            if not holds:
                complaints.add(f"sampling {name}", f"it is {getattr(self, name)}", fix)
        complaints.raise_if_any()


@dataclass(frozen=True)
class Reply:
    """What a model said.

    Attributes:
        tokens: the ids it generated, the token that ended its turn included.
        logprobs: natural logarithm of each token's probability under the model itself, before temperature and cuts.
        finish: why it ended.
        text: the tokens as text, without special tokens and without what a stop text cut off.

    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish
    text: str

    def __post_init__(self) -> None:
        assert len(self.tokens) == len(self.logprobs), "each token has its log-probability"


@dataclass(frozen=True)
class Piece:
    """The next stretch of a reply that is being generated; the pieces joined are the reply. `finish` stands in the last."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    finish: Finish | None = None


class Generator(Protocol):
    """An engine: the embedded one, or one that runs elsewhere."""

    def __call__(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Reply]:
        """One reply for each prompt (token ids), in order; no prompt influences another's reply."""

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[Piece]:
        """The same reply as a call with this prompt alone gives, piece by piece."""
