"""Rows that are too short or too long for the model, in its own tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.decisions import Dropped, Kept
from luthier.data.tools import Tools


@dataclass(frozen=True, kw_only=True)
class TokenLength:
    """Drops rows whose texts make fewer or more tokens of the recipe's model than asked for.

    All texts of a row count together: system message, prompt, reply. What a chat template adds, some ten tokens a turn, does not.
    Rows that wait for an answer are not measured.
    """

    kind: Literal["token_length"] = "token_length"
    min_tokens: Annotated[int, Field(ge=0)] = option(1, about="fewest tokens of a row", why="a row without one teaches nothing")
    max_tokens: Annotated[int, Field(ge=1)] = option(2048, about="most tokens of a row", why="longer rows would be cut off by most recipes")
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Bounds that no row can meet."""
        if self.max_tokens < self.min_tokens:
            yield "max_tokens", f"is {self.max_tokens}, under min_tokens {self.min_tokens}", "raise it, or lower min_tokens"

    def apply(self, example: AnyExample) -> Kept:
        """`Kept`: without a tokenizer no row is too long."""
        return Kept()

    def with_tools(self, tools: Tools) -> CountedTokens:
        """The step with the model's tokenizer; LuthierError if there is none."""
        if tools.count_tokens is None:
            fix = "leave the step out, or prepare the data with a model whose tokenizer can be loaded"
            raise LuthierError("[prepare] steps", '"token_length" needs the tokenizer of [model] base, and it is not at hand', fix)
        return CountedTokens(self, tools.count_tokens)


@dataclass(frozen=True)
class CountedTokens:
    """`TokenLength` with what counts tokens."""

    step: TokenLength
    count: Callable[[Sequence[str]], Sequence[int]]

    @property
    def kind(self) -> str:
        """The step's name in a recipe."""
        return self.step.kind

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` as too short or too long."""
        texts = [text for text in example.texts() if text]
        n_tokens = sum(self.count(texts)) if texts else 0
        if n_tokens < self.step.min_tokens:
            return Dropped(f"under {self.step.min_tokens} tokens", f"{n_tokens} tokens")
        if n_tokens > self.step.max_tokens:
            return Dropped(f"over {self.step.max_tokens} tokens", f"{n_tokens} tokens")
        return Kept()
