"""Attention in branches: the blocks of a forest computed by a kernel, merged, and differentiated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from luthier.models.attention.branches import Branches, Bucket, Rectangle
from luthier.models.attention.kernels import KERNELS, Block, Kernel, KernelName, Merged


def attend_in_branches(query: Tensor, key: Tensor, value: Tensor, branches: Branches, scale: float, kernel: KernelName) -> Tensor:
    """Attention of query (N, H, D) over key and value (N, G, D), G dividing H; gives (N, H, D). On a CPU, without dropout."""
    # Under autocast, rotary embeddings leave queries and keys in float32; products are taken in the type of the values.
    query, key = query.to(value.dtype), key.to(value.dtype)
    out: Tensor = _InBranches.apply(query, key, value, branches, scale, KERNELS[kernel])  # type: ignore[no-untyped-call]
    return out


class _InBranches(torch.autograd.Function):
    """The blocks' outputs merged, and their backward passes added up. Inside, heads stand first: (H, N, D)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, branches: Branches, scale: float, kernel: Kernel) -> Tensor:
        n_sharing = query.shape[1] // key.shape[1]
        q, k, v = _heads_first(query), _heads_first(key, n_sharing), _heads_first(value, n_sharing)
        exact = torch.promote_types(q.dtype, torch.float32)
        out, log_sum = _room(q, exact if branches.blocks else q.dtype), _room(q[..., 0], exact)
        is_read_only = not any(ctx.needs_input_grad)
        kept: list[tuple[Tensor, ...]] = []
        has_logs: list[bool] = []
        for bucket in branches.buckets:
            found, logs, wanted = kernel.forward(_causal(q, k, v, bucket, scale))
            _put(out, found, bucket)
            if logs is not None:
                _put(log_sum, logs, bucket)
            kept.append(() if is_read_only else wanted)
            has_logs.append(logs is not None)
        for block in branches.blocks:
            below = slice(block.start, block.stop)
            found, logs, wanted = kernel.forward(_block_of(q, k, v, block, scale))
            assert logs is not None, "what is merged is not alone"
            _merge(out[:, below], log_sum[:, below], found[:, 0], logs[:, 0])
            kept.append(() if is_read_only else wanted)
        out, log_sum = out[:, :-1].to(q.dtype), log_sum[:, :-1]
        ctx.save_for_backward(q, k, v, out, log_sum, *(tensor for tensors in kept for tensor in tensors))
        ctx.settings = branches, scale, kernel, [len(tensors) for tensors in kept], has_logs, n_sharing
        return out.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        branches, scale, kernel, sizes, has_logs, n_sharing = ctx.settings
        q, k, v, out, log_sum, *tensors = ctx.saved_tensors
        kept = _dealt(tensors, sizes)
        g = _heads_first(given)
        totals = tuple(_room(q, q.dtype) for _ in range(3))
        again: list[tuple[Tensor, Tensor, Tensor]] = []
        for bucket, has in zip(branches.buckets, has_logs, strict=True):
            merged = Merged(_picked(out, bucket), _picked(log_sum, bucket)) if has else None
            shares = kernel.backward(_causal(q, k, v, bucket, scale), _wanted(g, bucket), merged, next(kept))
            for total, share in zip(totals, shares, strict=True):
                _put(total, share, bucket)
            if len(bucket.again_place):
                # No loss hangs on what is read again, so its queries have no gradient; its keys and values have.
                again.append((bucket.again_node, *(share.flatten(1, 2).index_select(1, bucket.again_place) for share in shares[1:])))
        for node, of_key, of_value in again:
            totals[1].index_add_(1, node, of_key)
            totals[2].index_add_(1, node, of_value)
        for block in branches.blocks:
            below, above = slice(block.start, block.stop), slice(block.first, block.last)
            merged = Merged(out[:, None, below], log_sum[:, None, below])
            shares = kernel.backward(_block_of(q, k, v, block, scale), g[:, None, below], merged, next(kept))
            for total, part, share in zip(totals, (below, above, above), shares, strict=True):
                total[:, part] += share[:, 0]
        d_query, d_key, d_value = (total[:, :-1] for total in totals)
        return d_query.transpose(0, 1), _narrowed(d_key, n_sharing), _narrowed(d_value, n_sharing), None, None, None


def _merge(out: Tensor, log_sum: Tensor, found: Tensor, logs: Tensor) -> None:
    """Bring a further block into the outputs (H, M, D) of its queries and the logarithms (H, M) of their sums, in place."""
    merged = torch.logaddexp(log_sum, logs)
    out.mul_((log_sum - merged).exp_()[..., None]).add_(found * (logs - merged).exp_()[..., None])
    log_sum.copy_(merged)


def _heads_first(states: Tensor, n_sharing: int = 1) -> Tensor:
    """(N, G, D) as (G · n_sharing, N, D): each group of keys or values once for each head that shares it."""
    across = states.transpose(0, 1)
    if n_sharing == 1:
        return across.contiguous()
    return across[:, None].expand(-1, n_sharing, -1, -1).reshape(-1, *across.shape[1:])


def _narrowed(gradient: Tensor, n_sharing: int) -> Tensor:
    """The gradient (H, N, D) of repeated keys or values as that of the keys or values (N, G, D) themselves."""
    summed = gradient if n_sharing == 1 else gradient.view(-1, n_sharing, *gradient.shape[1:]).sum(1)
    return summed.transpose(0, 1)


def _room(like: Tensor, dtype: torch.dtype) -> Tensor:
    """Room for what is found of each node (H, N, …), and for one more: places that are nobody's own are written there."""
    return torch.empty(like.shape[0], like.shape[1] + 1, *like.shape[2:], dtype=dtype)


def _picked(states: Tensor, bucket: Bucket) -> Tensor:
    """The states (H, N, …) of a bucket's nodes, (H, B, L, …)."""
    if bucket.span is not None:
        return states[:, slice(*bucket.span)][:, None]
    return states.index_select(1, bucket.node_BL.reshape(-1)).view(states.shape[0], *bucket.node_BL.shape, *states.shape[2:])


def _wanted(given: Tensor, bucket: Bucket) -> Tensor:
    """The gradients (H, N, D) of a bucket's nodes, (H, B, L, D): zero in places that are not the node's own."""
    found = _picked(given, bucket)
    if bucket.span is None:
        found.flatten(1, 2).index_fill_(1, bucket.other_place, 0)
    return found


def _put(total: Tensor, found: Tensor, bucket: Bucket) -> None:
    """Write what was found in a bucket's places, (H, B, L, …), to the nodes whose own places they are."""
    if bucket.span is not None:
        total[:, slice(*bucket.span)] = found[:, 0]
    else:
        total.index_copy_(1, bucket.into_P, found.flatten(1, 2).to(total.dtype))


def _causal(q: Tensor, k: Tensor, v: Tensor, bucket: Bucket, scale: float) -> Block:
    return Block(_picked(q, bucket), _picked(k, bucket), _picked(v, bucket), True, scale, bucket.alone)


def _block_of(q: Tensor, k: Tensor, v: Tensor, block: Rectangle, scale: float) -> Block:
    """What grew from a segment, as queries, and the segment, as keys: a batch of one."""
    keys = slice(block.first, block.last)
    return Block(q[:, None, block.start : block.stop], k[:, None, keys], v[:, None, keys], False, scale)


def _dealt(tensors: list[Tensor], sizes: list[int]) -> Iterator[list[Tensor]]:
    """The tensors in lists of the given sizes, one after the other."""
    rest = iter(tensors)
    return iter([[next(rest) for _ in range(size)] for size in sizes])
