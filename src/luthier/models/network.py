"""A loaded decoder with everything that may be added to it, and the one way to run it on a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from luthier.models.attention import Layout, Sequences, Trees
from luthier.models.attention.kernels import KernelName
from luthier.models.families import logit_rule
from luthier.models.heads import RowHead
from luthier.models.outputs import Outputs
from luthier.text.batching import Batch
from luthier.text.forest import Forest


class Network(nn.Module):
    """`decoder` is the family's own causal language model (names of its tensors stay the ecosystem's); `head` may be absent.

    `compute_dtype` is the type in which products are taken; where it differs from that of the weights, autocast does it.
    `attention_kernel` computes the blocks of a forest's attention on a CPU.
    """

    def __init__(self, decoder: nn.Module, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.decoder: Any = decoder
        self.head: RowHead | None = None
        self.compute_dtype = compute_dtype
        self.attention_kernel: KernelName = "products"
        self._rule = logit_rule(self.decoder.config)

    @property
    def n_vocabulary(self) -> int:
        """The number of logits of one state."""
        return int(self.decoder.get_output_embeddings().weight.shape[0])

    @property
    def width(self) -> int:
        """D, the width of a state."""
        return int(self.decoder.config.get_text_config().hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        parameter: Tensor = next(self.decoder.parameters())
        return parameter.device

    @property
    def _body(self) -> Any:
        """The decoder without its output layer; some families misname it, and then `base_model` is the decoder itself."""
        body = self.decoder.base_model
        return self.decoder.model if body is self.decoder else body

    def forward(self, batch: Batch) -> Outputs:
        """Run a batch through the body; what is read off the states is up to the objective."""
        if isinstance(batch, Forest):
            states = self.states(batch.tokens_N[None], batch.depth_N[None], replace(trees(batch), kernel=self.attention_kernel))
        else:
            width = batch.tokens_BT.shape[1]
            place = torch.arange(width, device=batch.tokens_BT.device)[None].expand_as(batch.tokens_BT)
            states = self.states(batch.tokens_BT, place, Sequences())
        return Outputs(self, states.reshape(-1, states.shape[-1]))

    def states(self, tokens: Tensor, positions: Tensor, layout: Layout) -> Tensor:
        """The last hidden states (B, T, D) of tokens (B, T) at given positions, attending by `layout`."""
        weights = next(self.decoder.parameters()).dtype
        mixed = self.compute_dtype != weights and weights == torch.float32
        with torch.autocast(tokens.device.type, self.compute_dtype, enabled=mixed):
            out: Tensor = self._body(input_ids=tokens, position_ids=positions, use_cache=False, luthier_layout=layout).last_hidden_state
        return out

    def logits(self, states: Tensor) -> Tensor:
        """The family's logits (…, V) of states (…, D)."""
        embedding = self.decoder.get_output_embeddings()
        mixed = self.compute_dtype != embedding.weight.dtype and embedding.weight.dtype == torch.float32
        with torch.autocast(states.device.type, self.compute_dtype, enabled=mixed):
            product: Tensor = embedding(states)
        return self._rule(product)


def trees(batch: Forest, kept: dict[int, tuple[Tensor, Tensor]] | None = None) -> Trees:
    """The layout of a forest: a tree is one branch if all its nodes end where the tree ends."""
    spans = list(zip(batch.borders, batch.borders[1:], strict=False))
    plain = tuple(bool((batch.leave_N[start:stop] == stop).all()) for start, stop in spans)
    return Trees(batch.leave_N, batch.depth_N, batch.borders, plain, int(batch.depth_N.max()) + 1, kept)
