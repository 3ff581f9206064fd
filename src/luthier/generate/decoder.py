"""Continuous batching: replies join a batch between two steps, and leave it when they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from luthier.generate.adapters import Adapters
from luthier.generate.cache import Cache
from luthier.generate.growing import Growing
from luthier.generate.sampling import choose_all
from luthier.models.network import Network
from luthier.text.padded import make_padded
from luthier.text.rows import Tokens, make_row, n_shared

PREFILL_NODES = 8192
"""Prompt tokens that join at once, unless one prompt alone has more: replies under way wait no longer than for these."""


@dataclass(eq=False)
class Decoder:
    """Replies of a network, and of the adapters beside it, decoded together.

    At most `max_sequences` replies are under way, holding at most `max_places` places for keys and values (one reply is
    always admitted); others wait in order. What a reply says depends on its prompt, its settings and the weights, not
    on what else is under way, except for how floating-point sums are rounded in batches of other sizes.
    """

    adapters: Adapters
    layout: Literal["forest", "padded"] = "forest"
    max_sequences: int = 64
    max_places: int = 2**62
    shelf_tokens: int = 8192
    counted: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "reply": 0})
    waiting: deque[Growing] = field(default_factory=deque)
    active: list[Growing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cache = Cache(self.adapters, self.shelf_tokens)

    @property
    def network(self) -> Network:
        """What computes."""
        return self.adapters.network

    def add(self, one: Growing) -> None:
        """Let a reply wait for its place."""
        self.waiting.append(one)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self.waiting and not self.active

    @torch.no_grad()
    def step(self) -> list[Growing]:
        """One token more for every reply under way and for those that join; gives these, whether they ended or not."""
        self.network.eval()
        self._leave()
        joining = self._joining()
        if not joining and not self.active:
            return []
        states = self._padded_states(joining) if self.layout == "padded" else self._states(joining)
        self.active += joining
        logits = self.network.logits(states)
        chosen = choose_all(
            logits, [one.sampling for one in self.active], [len(one.tokens) for one in self.active], [one.n_top for one in self.active]
        )
        for one, choice in zip(self.active, chosen, strict=True):
            one.take(choice)
        told = list(self.active)
        self._leave()
        return told

    def clear(self) -> list[Growing]:
        """Forget everything, after an error say; gives the replies that are lost."""
        lost = [*self.active, *self.waiting]
        self.active, self.waiting = [], deque()
        self._cache = Cache(self.adapters, self.shelf_tokens)
        return lost

    def _leave(self) -> None:
        self.waiting = deque(one for one in self.waiting if not one.is_cancelled)
        for b in reversed(range(len(self.active))):
            one = self.active[b]
            if one.finish is not None or one.is_cancelled:
                if self.layout == "forest":
                    self._cache.end(b)
                    self.active[b] = self.active[-1]
                    self.active.pop()
                else:
                    del self.active[b]

    def _joining(self) -> list[Growing]:
        """Those of the waiting, in order, for which there is room."""
        joining: list[Growing] = []
        longest = max((len(one.prompt) + one.sampling.max_tokens for one in self.active), default=0)
        n_tokens = 0
        while self.waiting and len(self.active) + len(joining) < self.max_sequences:
            one = self.waiting[0]
            longest = max(longest, len(one.prompt) + one.sampling.max_tokens)
            n_sequences = len(self.active) + len(joining) + 1
            n_tokens += len(one.prompt) - (_n_alike(joining[-1], one) if joining else 0)
            if n_sequences > 1 and (n_sequences * longest > self.max_places or (joining and n_tokens > PREFILL_NODES)):
                break
            joining.append(self.waiting.popleft())
        return joining

    def _states(self, joining: list[Growing]) -> Tensor:
        """The states (B, D) that predict the next token: of those under way, then of those that join."""
        parts = []
        if self.active:
            parts.append(self._cache.step(np.asarray([self._coded(one.tokens[-1:], one)[0] for one in self.active])))
            self.counted["reply"] += len(self.active)
        if joining:
            admitted = self._cache.admit([self._coded(one.prompt, one) for one in joining])
            parts.append(admitted.states_BD)
            self.counted["prompt"] += admitted.n_computed
            for one, n_cached in zip(joining, admitted.n_cached, strict=True):
                one.n_cached = n_cached
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _coded(self, tokens: Sequence[int], one: Growing) -> Tokens:
        return np.asarray(self.adapters.coded(tokens, one.adapter), dtype=np.int64)

    def _padded_states(self, joining: list[Growing]) -> Tensor:
        """For networks that only take padded rows: everything so far is read again for each token."""
        replies = [*self.active, *joining]
        batch = make_padded([make_row([*one.prompt, *one.tokens]) for one in replies], 0).to(self.network.device)
        self.counted["reply"] += batch.n_nodes
        with self.adapters.using(torch.tensor([[one.adapter] for one in replies])):
            states: Tensor = self.network(batch).at(batch.pool_R)
        return states


def _n_alike(first: Growing, second: Growing) -> int:
    """How many tokens two prompts begin with alike."""
    return n_shared(np.asarray(first.prompt), np.asarray(second.prompt)) if first.adapter == second.adapter else 0
