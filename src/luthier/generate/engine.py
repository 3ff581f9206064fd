"""Batched decoding: prompts share the computation of what they begin with, and no place is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from luthier.core.errors import LuthierError
from luthier.core.generator import Finish, Piece, Reply, Sampling
from luthier.generate.cache import Cache, prefill
from luthier.generate.sampling import choose_all
from luthier.models.network import Network
from luthier.text.padded import make_padded
from luthier.text.rows import make_row, sort_key
from luthier.text.tokenizer import Tokenizer


@dataclass
class _Growing:
    """One reply under way."""

    prompt: list[int]
    sampling: Sampling
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Finish | None = None
    text: str = ""


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
        order = sorted(range(len(replies)), key=lambda i: sort_key(make_row(replies[i].prompt)))
        for low in range(0, len(order), self.max_sequences):
            for _ in self._grow([replies[i] for i in order[low : low + self.max_sequences]]):
                pass
        return [self._reply(one) for one in replies]

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[Piece]:
        """The reply to one prompt, piece by piece; characters that are still incomplete wait for the next piece."""
        one = self._begin(prompt, sampling)
        n_told, told = 0, ""
        for _ in self._grow([one]):
            text = self._visible(one)
            whole = one.finish is not None
            safe = text if whole else _settled(text, sampling.stop)
            if len(safe) > len(told) or whole:
                yield Piece(tuple(one.tokens[n_told:]), tuple(one.logprobs[n_told:]), safe[len(told) :], one.finish)
                n_told, told = len(one.tokens), safe

    @torch.no_grad()
    def _grow(self, replies: list[_Growing]) -> Iterator[None]:
        """Extend all replies, a token each a turn, until the last has ended."""
        self.network.eval()
        active = replies
        cache: Cache | None = None
        while active:
            if self.layout == "padded":
                states = self._read_again(active)
            elif cache is None:
                cache, states, n_computed = prefill(
                    self.network, [one.prompt for one in active], max(one.sampling.max_tokens for one in active)
                )
                self.counted["prompt"] += n_computed
            else:
                states = cache.step(self.network, [one.tokens[-1] for one in active])
                self.counted["reply"] += len(active)
            self._extend(active, states)
            yield
            going = [b for b, one in enumerate(active) if one.finish is None]
            if len(going) < len(active) and cache is not None:
                cache.keep(torch.tensor(going, dtype=torch.long, device=self.network.device))
            active = [active[b] for b in going]

    def _extend(self, active: list[_Growing], states_BD: Tensor) -> None:
        logits = self.network.logits(states_BD)
        tokens, logprobs = choose_all(logits, [one.sampling for one in active], [len(one.tokens) for one in active])
        for one, token, logprob in zip(active, tokens, logprobs, strict=True):
            one.tokens.append(token)
            one.logprobs.append(logprob)
            if token in self.stop_ids or (one.sampling.stop and _first_stop(self._decode(one), one.sampling.stop) is not None):
                one.finish = "stop"
            elif len(one.tokens) >= one.sampling.max_tokens:
                one.finish = "length"

    def _read_again(self, active: list[_Growing]) -> Tensor:
        """For networks that only take padded rows: everything so far is read again for each token."""
        batch = make_padded([make_row([*one.prompt, *one.tokens]) for one in active], self.tokenizer.pad_id).to(self.network.device)
        self.counted["reply"] += batch.n_nodes
        states: Tensor = self.network(batch).states_MD[batch.pool_R]
        return states

    def _begin(self, prompt: Sequence[int], sampling: Sampling) -> _Growing:
        room = self.context - len(prompt)
        if room < 1 or not prompt:
            problem = f"it has {len(prompt):,} tokens, and the model reads {self.context:,}" if prompt else "it is empty"
            raise LuthierError("the prompt", problem, "shorten it" if prompt else "give it at least one token")
        return _Growing(list(prompt), replace(sampling, max_tokens=min(sampling.max_tokens, room)))

    def _decode(self, one: _Growing) -> str:
        return self.tokenizer.decode([token for token in one.tokens if token not in self.tokenizer.special_ids])

    def _visible(self, one: _Growing) -> str:
        text = self._decode(one)
        cut = _first_stop(text, one.sampling.stop)
        return text if cut is None else text[:cut]

    def _reply(self, one: _Growing) -> Reply:
        assert one.finish is not None, "decoding goes on until every reply has ended"
        return Reply(tuple(one.tokens), tuple(one.logprobs), one.finish, self._visible(one))


def _first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return min(places) if places else None


def _settled(text: str, stops: tuple[str, ...]) -> str:
    """The part of an unfinished reply that no later token can change: no half characters, no beginning of a stop text."""
    text = text.rstrip("\ufffd")
    held = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return text[: len(text) - held]
