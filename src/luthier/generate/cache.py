"""The keys and values of sequences that are being decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.models.attention import Grown
from luthier.models.network import Network, trees
from luthier.text.forest import make_forest
from luthier.text.rows import make_row


@dataclass
class Cache:
    """Keys and values (B, G, T, D) of each layer, and the number of tokens (B,) that each sequence has in them."""

    keys: list[Tensor]
    values: list[Tensor]
    length_B: Tensor

    def keep(self, wanted: Tensor) -> None:
        """Only the sequences whose numbers are `wanted` go on."""
        self.keys = [layer[wanted] for layer in self.keys]
        self.values = [layer[wanted] for layer in self.values]
        self.length_B = self.length_B[wanted]

    def step(self, network: Network, tokens: list[int]) -> Tensor:
        """Feed one token to each sequence; gives the states (B, D) that predict the next ones."""
        token_1B = torch.tensor([tokens], device=self.length_B.device)
        states = network.states(token_1B, self.length_B[None], Grown(self.keys, self.values, self.length_B))
        self.length_B = self.length_B + 1
        return states[0]


def prefill(network: Network, prompts: Sequence[Sequence[int]], room: int) -> tuple[Cache, Tensor, int]:
    """Read all prompts at once, as a forest: what they begin with alike is computed once.

    Returns:
        the cache with `room` places after the longest prompt, the states (B, D) of the prompts' last tokens, and how
        many tokens were computed.

    """
    forest = make_forest([make_row(list(prompt)) for prompt in prompts]).to(network.device)
    kept: dict[int, tuple[Tensor, Tensor]] = {}
    states = network.states(forest.tokens_N[None], forest.depth_N[None], trees(forest, kept))[0]
    lengths = [len(prompt) for prompt in prompts]
    width = max(lengths) + room
    place = torch.zeros(len(prompts), width, dtype=torch.long, device=network.device)
    paths = torch.split(forest.path_P, lengths)
    for b, path in enumerate(paths):
        place[b, : len(path)] = path
    keys, values = ([kept[layer][side][:, place].transpose(0, 1).contiguous() for layer in sorted(kept)] for side in (0, 1))
    return Cache(keys, values, torch.tensor(lengths, device=network.device)), states[forest.pool_R], forest.n_nodes
