"""What objectives see of a forward pass: answers to questions, never rows × vocabulary of logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from luthier.models.cross_entropy import CrossEntropy, told_of
from luthier.text.batching import Batch

if TYPE_CHECKING:
    from luthier.models.network import Network

MAX_LOGITS = 16 * 2**20
"""Logits held at once for log-probabilities, in numbers: beyond it they are taken in chunks, and again for the gradient."""

N_CHUNK = 256
"""States whose logits are held at once where value and gradient are taken in one pass.

Measured with 1,500 states of width 512 and 18,608 tokens, on one core with 1 MiB of its own cache: with fewer states the
weights are read too often for the work on them (64: 282 ms, 128: 230, 256: 212, frozen in bfloat16), with more there is
little left to gain (512: 198; 1,500: 201) and the memory doubles. Where the output layer is trained it is the same, since
its gradient is added up once a chunk (mixed types: 128: 397 ms, 256: 320, 512: 313; float32: 1,117, 1,028, 990).
"""


@dataclass(frozen=True, eq=False)
class Outputs:
    """The states (M, D) of one batch, and the network that can read them.

    `place_N[i]` is where the state of the flattened place i stands, negative where it was not computed; without it, every
    place has a state, at its own number.
    """

    network: Network
    states_MD: Tensor
    place_N: Tensor | None = None

    def at(self, places: Tensor) -> Tensor:
        """The states (n, D) at flattened places (n,), all of which must have been computed."""
        if self.place_N is not None:
            places = self.place_N.index_select(0, places)
            assert not bool((places < 0).any()), "the states of some of these places were not computed: run the body for all of them"
        # index_select, not [...]: where places repeat, the backward pass of [...] adds them up in no fixed order on several threads.
        return self.states_MD.index_select(0, places)

    def token_logps(self, batch: Batch, smoothing: float = 0.0) -> Tensor:
        """The log-probability (S,), in nats and float32 or better, of each supervised token.

        With `smoothing`, so much of it is given up for the mean over the vocabulary. The output layer runs once for each
        distinct source state, in chunks.
        """
        sources, where = torch.unique(batch.source_S, return_inverse=True)
        states = self.at(sources)
        n_chunk = max(1, MAX_LOGITS // self.network.n_vocabulary)
        if len(sources) <= n_chunk:
            return self._logps(states, where, batch.target_S, smoothing)
        out = torch.empty(len(where), dtype=self._exact_dtype, device=states.device)
        parts, places = [], []
        for low in range(0, len(sources), n_chunk):
            inside = ((where >= low) & (where < low + n_chunk)).nonzero()[:, 0]
            chunk = states[low : low + n_chunk]
            told = where[inside] - low, batch.target_S[inside]
            parts.append(checkpoint(self._logps, chunk, *told, smoothing, use_reentrant=False))
            places.append(inside)
        return out.index_copy(0, torch.cat(places), torch.cat(parts))

    def cross_entropy(self, batch: Batch, smoothing: float = 0.0) -> Tensor:
        """Σ over the supervised tokens of weight × cross-entropy, in nats and float32 or better; cheaper than `token_logps`.

        `smoothing` is the share of each target that is spread over the vocabulary (label smoothing).
        """
        if not torch.is_grad_enabled():
            logps = self.token_logps(batch, smoothing)
            return -(logps * batch.weight_S.to(logps.dtype)).sum()
        told = told_of(batch, self.network.n_vocabulary)
        trained = tuple(one for one in self.network.decoder.get_output_embeddings().parameters() if one.requires_grad)
        return CrossEntropy(self.network.logits, trained, told, smoothing, N_CHUNK)(self.at(told.source_U))

    def row_scores(self, batch: Batch) -> Tensor:
        """The head's scores (R, C) of the batch's rows."""
        assert self.network.head is not None, "this network was built without a head"
        scores: Tensor = self.network.head(self, batch)
        return scores

    @property
    def _exact_dtype(self) -> torch.dtype:
        return torch.promote_types(self.states_MD.dtype, torch.float32)

    def _logps(self, states: Tensor, where: Tensor, target: Tensor, smoothing: float) -> Tensor:
        logits = self.network.logits(states).to(self._exact_dtype)
        # index_select, not [...]: where places repeat, the backward pass of [...] adds them up in no fixed order on several threads.
        wanted = logits.flatten().index_select(0, where * logits.shape[-1] + target)
        if smoothing:
            wanted = (1 - smoothing) * wanted + smoothing * logits.mean(-1).index_select(0, where)
        return wanted - logits.logsumexp(-1).index_select(0, where)
