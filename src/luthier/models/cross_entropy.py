"""The cross-entropy of states against the tokens that follow them: value and gradient in one pass over the vocabulary.

With logits l of a state, targets t of weights w, a = Σ w, V tokens and a smoothing of ε, a state costs

    (1 − ε) · Σ w · (logsumexp(l) − l_t)  +  ε · a · (logsumexp(l) − mean(l))

nats (Szegedy and others, 2016, arXiv:1512.00567, section 7), and the gradient at its logits is

    a · softmax(l)  −  (1 − ε) · Σ w · onehot(t)  −  a · ε / V.

Both are read off the same logits while these are in memory, a chunk of states at a time, so that logits are computed once
a step and never held for all states; the backward pass only scales what the forward pass found. A chunk takes one
product with the output layer for the logits, one for the gradient at the states and, where the output layer is trained,
one for its own. What lies between the products is done a few rows at a time, which stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.text.batching import Batch

IN_CACHE = 2**18
"""Logits whose exact values a processor's cache of the second level holds (float32: a megabyte), so that passes over them cost little."""


@dataclass(frozen=True, eq=False)
class Told:
    """What U distinct states are told: P distinct pairs of a state and a target, in the order of the states.

    `source_U` are the states' flattened places, `weight_U` the summed weights of their pairs, in float64.
    """

    source_U: Tensor
    weight_U: Tensor
    state_P: Tensor
    target_P: Tensor
    weight_P: Tensor

    def chunks(self, n_chunk: int) -> Iterator[tuple[slice, Told]]:
        """Parts of `n_chunk` states: their places among the U, and what they are told, the part's states numbered from 0."""
        lows = range(0, len(self.source_U), n_chunk)
        cuts = torch.searchsorted(self.state_P, torch.tensor([*lows, len(self.source_U)], device=self.state_P.device)).tolist()
        for low, start, stop in zip(lows, cuts, cuts[1:], strict=False):
            part, pairs = slice(low, low + n_chunk), slice(start, stop)
            state_P = self.state_P[pairs] - low
            yield part, Told(self.source_U[part], self.weight_U[part], state_P, self.target_P[pairs], self.weight_P[pairs])


def told_of(batch: Batch, n_vocabulary: int) -> Told:
    """What a batch tells its states. Equal pairs become one, their weights added."""
    pair_P, pair_S = torch.unique(batch.source_S * n_vocabulary + batch.target_S, return_inverse=True)
    source_U, state_P = torch.unique_consecutive(pair_P // n_vocabulary, return_inverse=True)
    weight_P = torch.zeros(len(pair_P), dtype=torch.float64, device=pair_P.device).index_add(0, pair_S, batch.weight_S.double())
    weight_U = torch.zeros(len(source_U), dtype=torch.float64, device=pair_P.device).index_add(0, state_P, weight_P)
    return Told(source_U, weight_U, state_P, pair_P % n_vocabulary, weight_P)


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Σ of the cost above over the states that are told something, as a function of these states.

    `logits_of` gives logits (n, V) of states (n, D); it runs on `n_chunk` states at a time. `trained` are the tensors
    behind it that want a gradient.
    """

    logits_of: Callable[[Tensor], Tensor]
    trained: tuple[Tensor, ...]
    told: Told
    smoothing: float
    n_chunk: int

    def __call__(self, states_UD: Tensor) -> Tensor:
        """The sum in nats, a scalar in float32 or better. It can be differentiated once."""
        total: Tensor = _InOnePass.apply(self, torch.is_grad_enabled(), states_UD, *self.trained)  # type: ignore[no-untyped-call]
        return total

    def value_and_gradients(self, states_UD: Tensor, wants_gradients: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The sum in float64, and its gradients at the states and at `trained`, where they are wanted."""
        value = torch.zeros((), dtype=torch.float64, device=states_UD.device)
        at_states = torch.empty_like(states_UD) if wants_gradients else None
        at_trained: list[Tensor] = []
        for part, told in self.told.chunks(self.n_chunk):
            added, gradients = self._chunk(states_UD[part], told, wants_gradients)
            value += added
            if at_states is not None:
                at_states[part] = gradients[0]
                at_trained = [old.add_(new) for old, new in zip(at_trained, gradients[1:], strict=True)] if at_trained else [*gradients[1:]]
        if at_states is None:
            return value, ()
        return value, (at_states, *(at_trained or [torch.zeros_like(one) for one in self.trained]))

    def _chunk(self, states: Tensor, told: Told, wants_gradients: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same of one chunk."""
        with torch.set_grad_enabled(wants_gradients):
            states = states.detach().requires_grad_(wants_gradients)
            logits = self.logits_of(states)
        value = torch.zeros((), dtype=torch.float64, device=states.device)
        at_logits = torch.empty_like(logits) if wants_gradients else None
        n_rows = _rows_at_a_time(logits)
        for part, told_here in [(slice(None), told)] if n_rows >= len(logits) else told.chunks(n_rows):
            value += self._rows(logits.detach()[part], told_here, None if at_logits is None else at_logits[part])
        if at_logits is None:
            return value, ()
        return value, torch.autograd.grad(logits, (states, *self.trained), at_logits)

    def _rows(self, logits: Tensor, told: Told, at_logits: Tensor | None) -> Tensor:
        """The sum over some states of which all is read off their logits; their gradient is written to `at_logits` if it is given."""
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        n_vocabulary = exact.shape[-1]
        share = torch.softmax(exact, -1)
        # The greatest share is at least 1 / V, so its logarithm is exact where that of a target's share may be lost.
        logsumexp_U = exact.amax(-1) - share.amax(-1).log()
        flat_P = told.state_P * n_vocabulary + told.target_P
        nats_P = logsumexp_U.index_select(0, told.state_P) - exact.flatten().index_select(0, flat_P)
        value = (1 - self.smoothing) * (told.weight_P * nats_P).sum()
        if self.smoothing:
            value = value + self.smoothing * (told.weight_U * (logsumexp_U - exact.mean(-1))).sum()
        if at_logits is not None:
            share *= told.weight_U.to(exact.dtype)[:, None]
            share.view(-1).index_add_(0, flat_P, (self.smoothing - 1) * told.weight_P.to(exact.dtype))
            if self.smoothing:
                share -= (self.smoothing / n_vocabulary * told.weight_U.to(exact.dtype))[:, None]
            at_logits.copy_(share)
        return value


def _rows_at_a_time(logits: Tensor) -> int:
    """Of how many rows of logits the exact values lie in memory at once: on a processor, of so many that its cache holds them."""
    return max(1, IN_CACHE // logits.shape[-1]) if logits.device.type == "cpu" else max(1, len(logits))


class _InOnePass(torch.autograd.Function):
    """Finds the gradients in the forward pass and scales them in the backward pass."""

    @staticmethod
    def forward(ctx: Any, spec: CrossEntropy, is_grad_enabled: bool, states_UD: Tensor, *trained: Tensor) -> Tensor:
        wants_gradients = is_grad_enabled and any(ctx.needs_input_grad)
        value, gradients = spec.value_and_gradients(states_UD, wants_gradients)
        ctx.save_for_backward(*gradients)
        return value.to(torch.promote_types(states_UD.dtype, torch.float32))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        # In the scale's own type, which is float32 or better: rounded to a half one it would bend every gradient alike.
        scaled = (one.to(scale.dtype).mul(scale).to(one.dtype) for one in ctx.saved_tensors)
        return (None, None, *scaled)
