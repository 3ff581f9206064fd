"""What cleaning steps are handed: counts of tokens by the recipe's model, and the models that they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from luthier.data.tools import Tools
from luthier.models.load import load_tokenizer
from luthier.models.tokenizer import LoadedTokenizer
from luthier.stages.recipe import Recipe
from luthier.stages.step_tools import embedder, rephraser


@dataclass(frozen=True)
class TokenCounter:
    """Texts to their lengths in tokens of a model, whose tokenizer is loaded when the first text comes.

    It can be handed to another process, which loads the tokenizer for itself.
    """

    base: str

    @cached_property
    def _tokenizer(self) -> LoadedTokenizer:
        return load_tokenizer(self.base)

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text; nothing is added to it."""
        return [len(tokens) for tokens in self._tokenizer.encode_all(texts)]

    def __reduce__(self) -> tuple[type[TokenCounter], tuple[str]]:
        return TokenCounter, (self.base,)


def tools_of(recipe: Recipe) -> Tools:
    """The tools for a recipe's steps; what only the stage knows is added there."""
    return Tools(TokenCounter(recipe.model.base), cache(embedder), cache(rephraser))
