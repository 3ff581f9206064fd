"""What cleaning steps are handed that only models can give: counts of tokens, embedders, and models that say things in other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from luthier.core.examples import Chat
from luthier.core.generator import Generator, Sampling
from luthier.core.messages import Message
from luthier.data.tools import Embed, Rephrase, Tools
from luthier.models.load import load_tokenizer
from luthier.models.tokenizer import LoadedTokenizer
from luthier.stages.recipe import Recipe
from luthier.text.renderer import Renderer

LEAST_ROOM = 64
"""Tokens that the shortest prompt's reply may have; others may have twice as many as their prompt, rounded up to a power of two."""


def embedder(name: str) -> Embed:
    """What embeds texts by this model.

    Raises:
        LuthierError: there is no such model, or it cannot be loaded.

    """
    # Models are loaded only where a recipe asks for them: rows can be prepared without.
    from luthier.models.embedding import load_embedder
    from luthier.stages.tune import device

    return load_embedder(name, str(device()))


def rephraser(name: str) -> Rephrase:
    """What has this model answer prompts, each as the one message of a conversation; replies that do not end are None.

    Raises:
        LuthierError: there is no such model, or it cannot be loaded.

    """
    from luthier.models.load import load
    from luthier.models.probe import probe
    from luthier.serve.bundle import engine_for
    from luthier.stages.tune import device

    base = load(name, device=str(device()))
    engine = engine_for(base.network, base.tokenizer, probe(base.network).layout, base.context)
    return by_generator(engine, base.renderer, base.context)


def by_generator(generator: Generator, renderer: Renderer, context: int) -> Rephrase:
    """The same by any engine. What is said to a prompt depends on it, the seed and the model, and on no other prompt."""

    def rephrase(prompts: Sequence[str], temperature: float, seed: int) -> list[str | None]:
        found: list[str | None] = [None] * len(prompts)
        tokens = [renderer.prompt(Chat("", (Message("user", prompt),))) for prompt in prompts]
        room = [max(LEAST_ROOM, 1 << (2 * len(one) - 1).bit_length()) for one in tokens]
        for n_tokens in sorted(set(room)):
            # A prompt that leaves no room for a reply as long as itself is given up.
            some = [i for i, one in enumerate(tokens) if room[i] == n_tokens and 2 * len(one) <= context]
            replies = generator([tokens[i] for i in some], Sampling(min(n_tokens, context // 2), temperature, seed=seed)) if some else []
            for i, reply in zip(some, replies, strict=True):
                found[i] = renderer.parse(list(reply.tokens)).text if reply.finish == "stop" else None
        return found

    return rephrase


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
