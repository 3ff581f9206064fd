"""How one block of attention is computed and differentiated: by PyTorch's flash attention, or by plain products.

Both give the output of a block and the logarithm of each query's sum of exponentials, so that the blocks of a forest can
be merged (`in_branches`), and both take the merged ones in the backward pass.

On many processors PyTorch's flash attention multiplies bfloat16 blocks by a slow path, and two large products with a
softmax between them are several times as fast; on others it is the other way round. Which one is used is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

KernelName: TypeAlias = Literal["flash", "products"]
MAX_KEPT_KEYS = 1024
"""Where queries see more keys than this, their weights are computed again in the backward pass instead of being kept."""
QUERIES_AT_ONCE = 256
"""A long causal sequence is cut into so many queries, each with the keys up to its last: half the square is never computed."""

# PyTorch keeps these two to itself; a build without them has the other kernel.
_flash: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_flash_backward: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None)


@dataclass(frozen=True, eq=False)
class Block:
    """Queries (H, B, Q, D) and the keys and values (H, B, K, D) that they see: all, or causally (then Q = K).

    `alone` says that its queries see nothing but these keys, so that nothing will be merged with what is found.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    causal: bool
    scale: float
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Merged:
    """What all blocks together gave a block's queries: the output (H, B, Q, D), and the logarithms (H, B, Q) of the sums."""

    out: Tensor
    log_sum: Tensor


class Kernel(Protocol):
    """The attention of a block, and the block's share of the gradient when several are merged."""

    def forward(self, block: Block) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        """The output (H, B, Q, D), the logarithms (H, B, Q) in float32 or better, and what the backward pass wants kept.

        Logarithms are None where the block is alone and the backward pass asks for none.
        """
        ...

    def backward(self, block: Block, given: Tensor, merged: Merged | None, kept: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The shares of the gradients of q, k and v; `merged` is None where `forward` gave no logarithms."""
        ...


class Flash:
    """PyTorch's flash attention for CPUs (Dao and others, 2022, arXiv:2205.14135): nothing of size Q × K is ever held."""

    def forward(self, block: Block) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """As `Kernel.forward`; keeps nothing."""
        out, logs = _flash(*_across(block.q, block.k, block.v), 0.0, block.causal, scale=block.scale)
        return out.transpose(0, 1), logs.transpose(0, 1), ()

    def backward(self, block: Block, given: Tensor, merged: Merged | None, kept: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """As `Kernel.backward`."""
        assert merged is not None, "forward gave logarithms"
        states = _across(given, block.q, block.k, block.v, merged.out)
        d_q, d_k, d_v = _flash_backward(*states, merged.log_sum.transpose(0, 1).contiguous(), 0.0, block.causal, scale=block.scale)
        return d_q.transpose(0, 1), d_k.transpose(0, 1), d_v.transpose(0, 1)


class Products:
    """Scores, softmax and weighted sum as three whole operations, the scores in float32 or better.

    The backward pass is that of the definition. With P the block's own weights, c = exp(own logarithm − merged
    logarithm) turns them into the share of the merged ones, and since c stands outside all sums over keys it is put on the
    queries' side:

        dV = Pᵀ (c · dO)      dS = P ∘ ((c · dO) Vᵀ − c · δ)      dQ = dS K      dK = dSᵀ Q      δ = Σ dO ∘ O

    Where a block is alone, c is 1, and δ = Σ P ∘ (dO Vᵀ) comes with the backward pass of the softmax.
    """

    def forward(self, block: Block) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        """As `Kernel.forward`; keeps the weights of each cut and the block's logarithms, unless the keys are many."""
        outs, logs, kept = [], [], []
        for cut in _cuts(block):
            weights, log = _weights(cut)
            outs.append(_product(weights, cut.v))
            kept.append(weights)
            if log is not None:
                logs.append(log)
        log_sum = _joined(logs) if logs else None
        if block.k.shape[2] > MAX_KEPT_KEYS:
            kept = []
        elif log_sum is not None:
            kept.append(log_sum)
        return _joined(outs), log_sum, tuple(kept)

    def backward(self, block: Block, given: Tensor, merged: Merged | None, kept: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """As `Kernel.backward`."""
        delta = None if merged is None else (given.to(merged.log_sum.dtype) * merged.out).sum(-1, keepdim=True)
        d_q, d_k, d_v = (torch.empty_like(one) for one in (block.q, block.k, block.v))
        start = block.q.shape[2]
        # From the last queries to the first: the last ones see all keys, so that nothing has to be zeroed first.
        for i, cut in reversed(list(enumerate(_cuts(block)))):
            start, stop, n_keys = start - cut.q.shape[2], start, cut.k.shape[2]
            weights, own = (kept[i], kept[-1][:, :, start:stop]) if kept else _weights(cut)
            g = given[:, :, start:stop]
            if merged is None or delta is None or own is None:
                d_scores = torch._softmax_backward_data(_product(g, cut.v.transpose(-1, -2)), weights, -1, weights.dtype)
            else:
                share = (own - merged.log_sum[:, :, start:stop]).exp_()[..., None]
                g = (g * share).to(g.dtype)
                d_scores = _score_gradient(g, cut.v, delta[:, :, start:stop] * share).mul_(weights)
            found_v = _product(weights.transpose(-1, -2), g)
            d_q[:, :, start:stop] = _product(d_scores, cut.k).mul_(block.scale)
            found_k = _product(d_scores.transpose(-1, -2), cut.q).mul_(block.scale)
            for total, found in ((d_k, found_k), (d_v, found_v)):
                if n_keys == total.shape[2]:
                    total.copy_(found)
                else:
                    total[:, :, :n_keys] += found
        return d_q, d_k, d_v


KERNELS: dict[KernelName, Kernel] = {"products": Products(), **({"flash": Flash()} if _flash is not None else {})}


def _weights(block: Block) -> tuple[Tensor, Tensor | None]:
    """The weights (H, B, Q, K) in q's type, and the logarithm (H, B, Q) of each query's sum of exponentials.

    Where the block is alone, nobody asks for the logarithm.
    """
    exact = torch.promote_types(block.q.dtype, torch.float32)
    q, k = block.q.to(exact).flatten(0, 1), block.k.to(exact).flatten(0, 1).transpose(1, 2)
    with _exact_products(block.q.dtype):
        scores = torch.baddbmm(q.new_empty(()), q, k, beta=0, alpha=block.scale)
    if block.causal:
        # The last query sees all keys, the one before it all but the last: only among as many keys as there are queries is any hidden.
        n = q.shape[1]
        scores[:, :, k.shape[2] - n :] += torch.full((n, n), float("-inf"), dtype=exact).triu_(1)
    weights = scores.softmax(-1)
    shape = block.q.shape[:3]
    # The greatest score and its weight give the sum: two reductions instead of an exponential of everything.
    logs = None if block.alone else (scores.amax(-1) - weights.amax(-1).log()).view(shape)
    return weights.to(block.q.dtype).view(*shape, -1), logs


@contextmanager
def _exact_products(dtype: torch.dtype) -> Iterator[None]:
    """Within, products of float32 copies of bfloat16 numbers are taken in bfloat16 units: nothing is rounded but the sums.

    A float32 product of the same numbers gives the same, several times slower where there are such units.
    """
    backend: Any = torch.backends.mkldnn
    settings = backend.matmul
    before = settings.fp32_precision
    if dtype == torch.bfloat16:
        settings.fp32_precision = "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = before


def _score_gradient(given: Tensor, v: Tensor, delta: Tensor) -> Tensor:
    """Given (H, B, Q, D) times vᵀ, minus δ (H, B, Q, 1).

    − δ rides along as two more columns of the product, its rounding error as the second: rounded once, after subtracting.
    """
    first = (-delta).to(given.dtype)
    rest = (-delta - first).to(given.dtype)
    ones = torch.ones(*v.shape[:-1], 2, dtype=v.dtype)
    return _product(torch.cat([given, first, rest], -1), torch.cat([v, ones], -1).transpose(-1, -2))


def _cuts(block: Block) -> list[Block]:
    """The block in cuts: a causal one by its queries, in equal parts of about `QUERIES_AT_ONCE`; others whole."""
    if not block.causal:
        return [block]
    length = block.q.shape[2]
    n = max(1, round(length / QUERIES_AT_ONCE))
    edges = [length * i // n for i in range(n + 1)]
    return [
        Block(block.q[:, :, start:stop], block.k[:, :, :stop], block.v[:, :, :stop], True, block.scale, block.alone)
        for start, stop in pairwise(edges)
    ]


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The product (H, B, M, N) of a (H, B, M, K) and b (H, B, K, N)."""
    return torch.bmm(a.flatten(0, 1), b.flatten(0, 1)).view(*a.shape[:3], b.shape[3])


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def _across(*states: Tensor) -> list[Tensor]:
    """Each (H, B, L, D) as (B, H, L, D)."""
    return [one.transpose(0, 1) for one in states]


def measure_kernels(n_heads: int, width: int, length: int, dtype: torch.dtype, rounds: int = 3) -> dict[KernelName, float]:
    """Seconds that each kernel needs on this CPU for the two blocks of a trunk and what grew from it, forward and backward.

    Args:
        n_heads: H.
        width: D, of one head.
        length: tokens of the trunk, and of all that grew from it.
        dtype: the type of queries, keys and values.
        rounds: how often each is timed, by turns; the least counts, since other work on the machine only adds.

    """
    draw = torch.Generator().manual_seed(0)
    q, k, v, given = (torch.randn(n_heads, 1, length, width, generator=draw).to(dtype) for _ in range(4))
    found: dict[KernelName, list[float]] = {name: [] for name in KERNELS}
    for _ in range(rounds + 1):
        for name, kernel in KERNELS.items():
            began = time.perf_counter()
            for causal in (True, False):
                block = Block(q, k, v, causal, width**-0.5)
                out, log_sum, kept = kernel.forward(block)
                kernel.backward(block, given, None if log_sum is None else Merged(out, log_sum), kept)
            found[name].append(time.perf_counter() - began)
    return {name: min(seconds[1:]) for name, seconds in found.items()}
