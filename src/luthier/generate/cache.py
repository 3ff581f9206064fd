"""The keys and values of sequences that are being decoded, and of some that were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.generate.adapters import Adapters
from luthier.models.attention import Continued, Grown
from luthier.models.network import trees
from luthier.text.forest import Forest, make_forest
from luthier.text.rows import Tokens, make_row, n_shared

GROWTH = 64
"""Places that a cache grows by at least, so that it is not copied for each token."""
SHELF = 64
"""Sequences that are remembered at most, so that looking through them stays quick."""


LONG, WORTH = 2048, 0.125
"""Of a prompt of more than `LONG` tokens, less than this share is not worth knowing: behind what is known, attention needs masks."""


@dataclass(frozen=True, eq=False)
class Shelved:
    """A sequence that has ended: its tokens, and their keys and values (G, T, D) of each layer."""

    tokens: Tokens
    keys: list[Tensor]
    values: list[Tensor]


@dataclass(frozen=True, eq=False)
class Known:
    """The beginning of a prompt that need not be computed: `n` tokens, and their keys and values (G, T ≥ n, D) of each layer."""

    n: int
    keys: list[Tensor]
    values: list[Tensor]


@dataclass(frozen=True, eq=False)
class Admitted:
    """What reading new prompts gave: the states (B, D) of their last tokens, and what it took.

    `n_computed` tokens went through the network; `n_cached` says of each prompt how many of its tokens an earlier call
    had computed.
    """

    states_BD: Tensor
    n_computed: int
    n_cached: list[int]


@dataclass(eq=False)
class Cache:
    """Keys and values (S, G, T, D) of each layer; the first B of the S sequences are under way.

    Tokens are coded with their adapter (`Adapters.decoded`), so that what two adapters read never seems to begin alike. What
    has ended is shelved, the latest first, up to `SHELF` sequences and `shelf_tokens` tokens.
    """

    adapters: Adapters
    shelf_tokens: int = 0
    lengths: list[int] = field(default_factory=list)
    tokens_ST: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    shelf: list[Shelved] = field(default_factory=list)

    def admit(self, prompts: Sequence[Tokens]) -> Admitted:
        """Read new prompts at once, as a forest: what they begin with alike, or what is known already, is not computed again."""
        network = self.adapters.network
        forest = make_forest([make_row(prompt.tolist()) for prompt in prompts])
        paths = [path.numpy() for path in torch.split(forest.path_P, [len(prompt) for prompt in prompts])]
        begun = [self._known(prompt) for prompt in prompts]
        is_known = np.zeros(forest.n_nodes, dtype=bool)
        for path, known in zip(paths, begun, strict=True):
            is_known[path[: known.n]] = True
        is_known[forest.pool_R.numpy()] = False  # a prompt's last state is wanted, so its last token is always computed
        new = torch.from_numpy(np.flatnonzero(~is_known))
        tokens_Q, adapter_Q = self.adapters.decoded(forest.tokens_N[new])
        with self.adapters.using(adapter_Q[None]):
            inputs = tokens_Q[None].to(network.device), forest.depth_N[new][None].to(network.device)
            if is_known.any():
                keys, values = self._filled(forest, paths, begun)
                places = new.to(network.device)
                moved = forest.to(network.device)
                layout = Continued(moved.leave_N, moved.depth_N, forest.borders, places, keys, values)
                states = network.states(*inputs, layout)[0]
            else:
                kept: dict[int, tuple[Tensor, Tensor]] = {}
                states = network.states(*inputs, trees(forest.to(network.device), kept))[0]
                keys, values = ([kept[layer][side] for layer in sorted(kept)] for side in (0, 1))
        self._take(prompts, paths, keys, values)
        return Admitted(states[torch.searchsorted(new, forest.pool_R)], len(new), [int(is_known[path].sum()) for path in paths])

    def step(self, tokens: Tokens) -> Tensor:
        """Feed one coded token (B,) to each sequence; gives the states (B, D) that predict the next ones."""
        network, n = self.adapters.network, len(self.lengths)
        longest = max(self.lengths)
        self._make_room(n, longest + 1)
        self.tokens_ST[np.arange(n), self.lengths] = tokens
        length_B = torch.tensor(self.lengths, device=network.device)
        tokens_B, adapter_B = self.adapters.decoded(torch.from_numpy(tokens))
        with self.adapters.using(adapter_B[None]):
            states = network.states(
                tokens_B[None].to(network.device), length_B[None], Grown(self.keys, self.values, length_B, longest)
            )
        self.lengths = [length + 1 for length in self.lengths]
        return states[0]

    def end(self, b: int) -> None:
        """Sequence `b` has ended: shelve it, and let the last one take its place."""
        last = len(self.lengths) - 1
        if self.shelf_tokens:
            self._shelve(b)
        if b != last:
            n = self.lengths[last]
            for layer in (*self.keys, *self.values):
                layer[b, :, :n] = layer[last, :, :n]
            self.tokens_ST[b, :n] = self.tokens_ST[last, :n]
            self.lengths[b] = n
        self.lengths.pop()

    def _known(self, prompt: Tokens) -> Known:
        """The longest beginning of a prompt, its last token aside, that a sequence under way or on the shelf has computed."""
        best = Known(0, [], [])
        width = min(len(prompt), self.tokens_ST.shape[1])
        if self.lengths and width:
            same = self.tokens_ST[: len(self.lengths), :width] == prompt[:width]
            shared = np.minimum(np.where(same.all(1), width, same.argmin(1)), self.lengths)
            b = int(shared.argmax())
            best = Known(int(shared[b]), [layer[b] for layer in self.keys], [layer[b] for layer in self.values])
        for i, one in enumerate(self.shelf):
            if one.tokens[0] == prompt[0] and (n := n_shared(one.tokens, prompt)) > best.n:
                best = Known(n, one.keys, one.values)
                self.shelf.insert(0, self.shelf.pop(i))  # used last, so forgotten last
        n = min(best.n, len(prompt) - 1)
        return Known(0 if len(prompt) > LONG and n < WORTH * len(prompt) else n, best.keys, best.values)

    def _filled(self, forest: Forest, paths: list[Tokens], begun: list[Known]) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values (G, N, D) of a forest with what is known at its places."""
        like = next(known for known in begun if known.n)
        keys, values = (
            [layer.new_empty(layer.shape[0], forest.n_nodes, layer.shape[2]) for layer in side] for side in (like.keys, like.values)
        )
        is_filled = np.zeros(forest.n_nodes, dtype=bool)
        for path, known in zip(paths, begun, strict=True):
            where = np.flatnonzero(~is_filled[path[: known.n]])
            if len(where):
                is_filled[path[where]] = True
                here, there = torch.from_numpy(path[where]), torch.from_numpy(where)
                for into, source in zip((*keys, *values), (*known.keys, *known.values), strict=True):
                    into[:, here] = source[:, there]
        return keys, values

    def _take(self, prompts: Sequence[Tokens], paths: list[Tokens], keys: list[Tensor], values: list[Tensor]) -> None:
        """Let sequences begin with keys and values (G, N, D) of a forest, each along its path."""
        before = len(self.lengths)
        if not self.keys:
            self.keys, self.values = ([layer.new_zeros(0, layer.shape[0], 0, layer.shape[2]) for layer in side] for side in (keys, values))
        self._make_room(before + len(prompts), max([*self.lengths, *map(len, prompts)]) + 1)
        for b, (prompt, path) in enumerate(zip(prompts, paths, strict=True), before):
            self.tokens_ST[b, : len(prompt)] = prompt
            places = torch.from_numpy(path)
            for into, source in zip((*self.keys, *self.values), (*keys, *values), strict=True):
                into[b, :, : len(path)] = source[:, places]
        self.lengths += [len(prompt) for prompt in prompts]

    def _make_room(self, n_sequences: int, n_places: int) -> None:
        """Grow to at least that many sequences and places; none needs more places than `n_places`.

        What grows in one direction shrinks in the other to what is needed there: many short sequences first and a long
        one later never take the memory of many long ones.
        """
        size, width = self.tokens_ST.shape
        if n_sequences <= size and n_places <= width:
            return
        more, wider = n_sequences > size, n_places > width
        size = max(n_sequences, size * 3 // 2 if more else min(size, n_sequences * 3 // 2))
        width = -(-max(n_places, width * 5 // 4 if wider else min(width, n_places * 5 // 4)) // GROWTH) * GROWTH
        self.tokens_ST = _resized(torch.from_numpy(self.tokens_ST), (size, width), -1).numpy()
        for side in (self.keys, self.values):
            for i, layer in enumerate(side):  # one after another, so that only one stands twice at a time
                side[i] = _resized(layer, (size, layer.shape[1], width, layer.shape[3]), 0)

    def _shelve(self, b: int) -> None:
        n = self.lengths[b]
        tokens = self.tokens_ST[b, :n].copy()
        keys, values = ([layer[b, :, :n].clone() for layer in side] for side in (self.keys, self.values))
        self.shelf = [one for one in self.shelf if n_shared(one.tokens, tokens) < len(one.tokens)]
        self.shelf.insert(0, Shelved(tokens, keys, values))
        total = 0
        for i, one in enumerate(self.shelf):
            total += len(one.tokens)
            if total > self.shelf_tokens or i == SHELF:
                del self.shelf[i:]
                break


def _resized(old: Tensor, shape: tuple[int, ...], filling: int) -> Tensor:
    """A copy of another shape. What is new holds `filling`: zeros for keys and values, since masked places must be finite."""
    new = old.new_full(shape, filling)
    both = tuple(slice(min(before, after)) for before, after in zip(old.shape, shape, strict=True))
    new[both] = old[both]
    return new
