"""A loaded decoder with everything that may be added to it, and the one way to run it on a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from luthier.models.attention import Layout, Sequences, Trees
from luthier.models.attention.kernels import KernelName
from luthier.models.blocks import Blocks
from luthier.models.families import logit_rule
from luthier.models.heads import RowHead
from luthier.models.outputs import Outputs
from luthier.text.batching import Batch
from luthier.text.forest import Forest


class Network(nn.Module):
    """`decoder` is the family's own causal language model (names of its tensors stay the ecosystem's); `head` may be absent.

    `compute_dtype` is the type in which products are taken; where it differs from that of the weights, autocast does it.
    `attention_kernel` computes the blocks of a forest's attention on a CPU. `blocks` is our own forward pass over the
    decoder's modules, where the probe found it equal to the family's. Of the first `n_recomputed` layers only the inputs
    are kept for the gradient, and the rest is computed again.
    """

    def __init__(self, decoder: nn.Module, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.decoder: Any = decoder
        self.head: RowHead | None = None
        self.compute_dtype = compute_dtype
        self.attention_kernel: KernelName = "products"
        self.blocks: Blocks | None = None
        self.n_recomputed = 0
        self._recomputes = False
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
    def body(self) -> Any:
        """The decoder without its output layer; some families misname it, and then `base_model` is the decoder itself."""
        body = self.decoder.base_model
        return self.decoder.model if body is self.decoder else body

    @property
    def recomputable(self) -> range:
        """What `n_recomputed` may be: any number of layers in our own forward pass, all or none in a family's, or only 0."""
        n_layers = int(self.decoder.config.get_text_config().num_hidden_layers)
        if self.blocks is not None:
            return range(n_layers + 1)
        return range(0, n_layers + 1, n_layers) if self.decoder.supports_gradient_checkpointing else range(1)

    def forward(self, batch: Batch) -> Outputs:
        """Run a batch through the body; what is read off the states is up to the objective."""
        layout: Layout
        if isinstance(batch, Forest):
            tokens, positions = batch.tokens_N[None], batch.depth_N[None]
            layout = replace(trees(batch), kernel=self.attention_kernel)
        else:
            tokens, layout = batch.tokens_BT, Sequences()
            positions = torch.arange(tokens.shape[1], device=tokens.device)[None].expand_as(tokens)
        if self.blocks is None or not self.blocks.are_bare:
            return Outputs(self, self.states(tokens, positions, layout).flatten(0, 1))
        wanted = self._wanted(batch)
        with self._autocast(tokens.device):
            states = self.blocks.states(tokens, positions, layout, wanted, self.n_recomputed)
        if wanted is None:
            return Outputs(self, states)
        place = torch.full((tokens.numel(),), -1, device=tokens.device)
        place[wanted] = torch.arange(len(wanted), device=tokens.device)
        return Outputs(self, states, place)

    def states(self, tokens: Tensor, positions: Tensor, layout: Layout) -> Tensor:
        """The last hidden states (B, T, D) of tokens (B, T) at given positions, attending by `layout`, by the family's own code."""
        self._recompute(self.n_recomputed > 0)
        with self._autocast(tokens.device):
            out: Tensor = self.body(input_ids=tokens, position_ids=positions, use_cache=False, luthier_layout=layout).last_hidden_state
        return out

    @contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        """Within, products are taken in `dtype`, and no gradient; no weight may change, for their copies in `dtype` are kept."""
        before = self.compute_dtype
        self.compute_dtype = dtype
        try:
            # Autocast forgets its copies of weights when the outermost context ends: with one around all batches, they are cast once.
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                yield
        finally:
            self.compute_dtype = before

    def logits(self, states: Tensor) -> Tensor:
        """The family's logits (…, V) of states (…, D)."""
        with self._autocast(states.device):
            product: Tensor = self.decoder.get_output_embeddings()(states)
        return self._rule(product)

    def _autocast(self, device: torch.device) -> torch.autocast:
        weights = next(self.decoder.parameters()).dtype
        mixed = self.compute_dtype != weights and weights == torch.float32
        return torch.autocast(device.type, self.compute_dtype, enabled=mixed)

    def _wanted(self, batch: Batch) -> Tensor | None:
        """The flattened places whose states are read: sources, and what the head pools. None: all, or nobody can know."""
        if self.head is not None and self.head.pooling == "mean":
            return None
        pooled = () if self.head is None else (batch.pool_R,)
        wanted = torch.unique(torch.cat([batch.source_S, *pooled]))
        return wanted if len(wanted) else None

    def _recompute(self, wanted: bool) -> None:
        """Switch the family's own recomputation, which is of all its layers, on or off."""
        if wanted == self._recomputes:
            return
        # transformers gave both a new name in 5.23 and warns of the old one.
        name = "activation" if hasattr(self.decoder, "activation_checkpointing_enable") else "gradient"
        if wanted:
            getattr(self.decoder, f"{name}_checkpointing_enable")(**{f"{name}_checkpointing_kwargs": {"use_reentrant": False}})
        else:
            getattr(self.decoder, f"{name}_checkpointing_disable")()
        self._recomputes = wanted


def trees(batch: Forest, kept: dict[int, tuple[Tensor, Tensor]] | None = None) -> Trees:
    """The layout of a forest: a tree is one branch if all its nodes end where the tree ends."""
    spans = list(zip(batch.borders, batch.borders[1:], strict=False))
    plain = tuple(bool((batch.leave_N[start:stop] == stop).all()) for start, stop in spans)
    return Trees(batch.leave_N, batch.depth_N, batch.borders, plain, int(batch.depth_N.max()) + 1, kept)
