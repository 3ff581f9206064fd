"""Rows that say too little, or too much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample, Chat, Pair
from luthier.core.options import option
from luthier.data.decisions import Dropped, Kept


@dataclass(frozen=True, kw_only=True)
class Length:
    """Drops rows whose text, prompt, completion, or share of a conversation is too short, and rows too long in all.

    Lengths are in characters, space at both ends not counted. Lengths in tokens belong to the model's context, and
    to the recipe's truncation policy.
    """

    kind: Literal["length"] = "length"
    min_characters: Annotated[int, Field(ge=0)] = option(
        1, about="fewest characters of each part of a row", why="an empty text teaches nothing"
    )
    max_characters: Annotated[int, Field(ge=1)] | None = option(
        None, about="most characters of a row in all; none: no limit", why="the model's context decides, in tokens"
    )
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Bounds that no row can meet."""
        if self.max_characters is not None and self.max_characters < self.min_characters:
            yield "max_characters", f"is {self.max_characters}, under min_characters {self.min_characters}", "raise it, or leave it out"

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` with the part that is too short, or as too long."""
        for name, n_characters in _parts(example).items():
            if n_characters < self.min_characters:
                reason = f"empty {name}" if n_characters == 0 else f"{name} under {self.min_characters} characters"
                return Dropped(reason, f"{n_characters} characters")
        n_total = sum(len(text.strip()) for text in example.texts())
        if self.max_characters is not None and n_total > self.max_characters:
            return Dropped(f"over {self.max_characters} characters", f"{n_total} characters")
        return Kept()


def _parts(example: AnyExample) -> dict[str, int]:
    """Characters of each part that has to say something; what the system or a tool says may be empty.

    A turn that is made of calls, images or the like counts as one character more.
    """
    if isinstance(example, Pair):
        return {"prompt": len(example.prompt.strip()), "completion": len(example.completion.strip())}
    if not isinstance(example, Chat):
        return {"text": len(example.text.strip())}
    lengths: dict[str, int] = {}
    for message in example.messages:
        if message.role in ("user", "assistant"):
            n_characters = len(message.text.strip()) + bool(message.tool_calls or message.other_parts)
            lengths[f"{message.role} turns"] = lengths.get(f"{message.role} turns", 0) + n_characters
    return lengths or {"conversation": 0}
