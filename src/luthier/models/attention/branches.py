"""Attention in a forest without masks and without N × N scores: what a branch sees is itself and, whole, what it grew from.

A forest in preorder falls into *segments*: runs of nodes of which each is the only child of the one before. For a segment
with the nodes a … b whose subtree ends at e,

    its own nodes see each other causally                          queries a … b,  keys a … b
    and everything below it sees all of it                         queries b … e,  keys a … b

so the attention of each node is a sum over a few contiguous blocks. Each block gives its output and the logarithm of its
sum of exponentials, and blocks are merged by these (Dao and others, 2022, arXiv:2205.14135, section 3.1). The backward
pass of a block is right for its share when it is given the merged output and logarithm instead of the block's own.

Short segments would be many tiny blocks. They are read again in front of each segment that grew from them instead, and
all causal blocks of about one length are one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MIN_REPEATED = 128
"""From so many nodes on that would be read again, a segment becomes a block of its own: about what a call costs."""
MAX_PADDING = (8, 0.1)
"""Causal sequences share a call while the shortest lacks no more than so many nodes and this share of the longest."""

MERGING = 64
"""Merging a block costs its queries about as much as so many keys would."""
TOO_DEAR = 2.0
"""Where branches would cost so many times what masks cost, masks are taken: a forest shaped like a comb is all small blocks."""

# PyTorch keeps these two to itself; a build without them attends by masks.
_forward: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_backward: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None)


@dataclass(frozen=True)
class Block:
    """The queries `start` … `stop` see all keys `first` … `last`: a segment, and everything that grew from it."""

    first: int
    last: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Bucket:
    """Causal sequences of about one length, (B, L), as numbers of nodes; a short one repeats its last node.

    Each node has one place that is its own; `own_place` (into the B·L flattened places) and `own_node` say which. The
    other places of real nodes, where a short segment is read again, are `again_place` and `again_node`. `span` is where
    the nodes stand where they are one whole run of the forest, which needs no copies.
    """

    node_BL: Tensor
    own_place: Tensor
    own_node: Tensor
    again_place: Tensor
    again_node: Tensor
    span: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class Branches:
    """How the attention of one forest is cut: causal buckets, and blocks of what grew from long segments.

    `pays` says whether that is cheaper than masks, tree by tree.
    """

    buckets: tuple[Bucket, ...]
    blocks: tuple[Block, ...]
    pays: bool = True


def plan_branches(leave_N: Tensor) -> Branches:
    """Cut a forest, given by the first node after each node's subtree, into causal buckets and blocks."""
    leave = leave_N.cpu().numpy()
    starts = np.flatnonzero(np.r_[True, leave[1:] != leave[:-1]])
    stops = np.r_[starts[1:], len(leave)]
    ends = leave[starts]
    parent = _parents(starts, ends)
    is_leaf = ends == stops
    n_leaves = np.searchsorted(starts[is_leaf], ends) - np.searchsorted(starts[is_leaf], starts)
    apart = ~is_leaf & ((stops - starts) * (n_leaves - 1) >= MIN_REPEATED)
    for s in range(len(starts) - 1, -1, -1):
        if apart[s] and parent[s] >= 0:
            apart[parent[s]] = True
    sequences, owned = _sequences(starts, stops, parent, is_leaf, apart)
    blocks = tuple(Block(int(starts[s]), int(stops[s]), int(stops[s]), int(ends[s])) for s in np.flatnonzero(apart))
    buckets = tuple(_buckets(sequences, owned, leave_N.device))
    trees = ends[[s for s, above in enumerate(parent) if above < 0]]
    by_mask = float((np.diff(trees, prepend=0).astype(np.float64) ** 2).sum())
    in_branches = sum(bucket.node_BL.numel() * bucket.node_BL.shape[1] for bucket in buckets)
    in_branches += sum((block.stop - block.start) * (block.last - block.first + MERGING) for block in blocks)
    return Branches(buckets, blocks, _forward is not None and in_branches <= TOO_DEAR * by_mask + MERGING**2)


def _parents(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[int]:
    """The segment that each segment grew from, −1 for those that begin a tree."""
    parent: list[int] = []
    open_: list[int] = []
    for s, start in enumerate(starts):
        while open_ and ends[open_[-1]] <= start:
            open_.pop()
        parent.append(open_[-1] if open_ else -1)
        open_.append(s)
    return parent


def _sequences(
    starts: NDArray[np.int64], stops: NDArray[np.int64], parent: list[int], is_leaf: NDArray[np.bool_], apart: NDArray[np.bool_]
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]:
    """The causal sequences, as nodes, and which of their nodes are theirs: a short segment belongs to the first that reads it."""
    taken = np.zeros(len(starts), dtype=bool)
    sequences, owned = [], []
    for s in np.flatnonzero(is_leaf | apart):
        path = [int(s)]
        while parent[path[-1]] >= 0 and not apart[parent[path[-1]]]:
            path.append(parent[path[-1]])
        path.reverse()
        sequences.append(np.concatenate([np.arange(starts[p], stops[p]) for p in path]))
        owned.append(np.concatenate([np.full(stops[p] - starts[p], not taken[p]) for p in path]))
        taken[path] = True
    return sequences, owned


def _buckets(sequences: list[NDArray[np.int64]], owned: list[NDArray[np.bool_]], device: torch.device) -> list[Bucket]:
    """Sequences of about one length together, the longest first."""
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
    groups: list[list[int]] = []
    for i in order:
        longest = len(sequences[groups[-1][0]]) if groups else 0
        if groups and longest - len(sequences[i]) <= MAX_PADDING[0] + MAX_PADDING[1] * longest:
            groups[-1].append(i)
        else:
            groups.append([i])
    buckets = []
    for group in groups:
        width = len(sequences[group[0]])
        node = np.stack([np.pad(sequences[i], (0, width - len(sequences[i])), mode="edge") for i in group])
        own = np.stack([np.pad(owned[i], (0, width - len(owned[i]))) for i in group])
        real = np.arange(width) < np.array([len(sequences[i]) for i in group])[:, None]
        own_place, again_place = np.flatnonzero(own), np.flatnonzero(real & ~own)
        flat = node.reshape(-1)
        arrays = (node, own_place, flat[own_place], again_place, flat[again_place])
        whole = len(group) == 1 and bool(own.all()) and flat[-1] - flat[0] == width - 1
        span = (int(flat[0]), int(flat[-1]) + 1) if whole else None
        node_BL, *rest = (torch.from_numpy(array).to(device) for array in arrays)
        buckets.append(Bucket(node_BL, rest[0], rest[1], rest[2], rest[3], span))
    return buckets


def attend_in_branches(query: Tensor, key: Tensor, value: Tensor, branches: Branches, scale: float) -> Tensor:
    """Attention of query (N, H, D) over key and value (N, G, D), G dividing H; gives (N, H, D). On a CPU, without dropout."""
    # Under autocast, rotary embeddings leave queries and keys in float32; products are taken in the type of the values.
    out: Tensor = _InBranches.apply(query.to(value.dtype), key.to(value.dtype), value, branches, scale)  # type: ignore[no-untyped-call]
    return out


class _InBranches(torch.autograd.Function):
    """The blocks' outputs merged, and their backward passes added up."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, branches: Branches, scale: float) -> Tensor:
        wide_key, wide_value = _widened(key, query), _widened(value, query)
        exact = query.dtype if query.dtype == torch.float64 else torch.float32
        n, heads, width = query.shape
        out = torch.empty(n, heads, width, dtype=exact if branches.blocks else query.dtype)
        log_sum = torch.empty(n, heads, dtype=exact)
        for bucket in branches.buckets:
            q, k, v = (_picked(states, bucket) for states in (query, wide_key, wide_value))
            found, logs = _forward(q, k, v, 0.0, True, scale=scale)
            _put(out, _flat(found), bucket)
            _put(log_sum, _flat(logs), bucket)
        for block in branches.blocks:
            below, above = slice(block.start, block.stop), slice(block.first, block.last)
            found, logs = _forward(*_as_batch(query[below], wide_key[above], wide_value[above]), 0.0, False, scale=scale)
            _merge(out[below], log_sum[below], _flat(found), _flat(logs))
        out = out.to(query.dtype)
        ctx.save_for_backward(query, key, value, out, log_sum)
        ctx.branches, ctx.scale = branches, scale
        return out

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, out, log_sum = ctx.saved_tensors
        wide_key, wide_value = _widened(key, query), _widened(value, query)
        totals = tuple(torch.empty(query.shape, dtype=query.dtype) for _ in range(3))
        again: list[tuple[Tensor, Tensor, Tensor]] = []
        for bucket in ctx.branches.buckets:
            q, k, v, o = (_picked(states, bucket) for states in (query, wide_key, wide_value, out))
            g, logs = _wanted(given, bucket), _picked(log_sum, bucket).contiguous()
            shares = [_flat(share) for share in _backward(g, q, k, v, o, logs, 0.0, True, scale=ctx.scale)]
            for total, share in zip(totals, shares, strict=True):
                _put(total, share, bucket)
            if len(bucket.again_place):
                # No loss hangs on what is read again, so its queries have no gradient; its keys and values have.
                again.append((bucket.again_node, *(share[bucket.again_place] for share in shares[1:])))
        for node, of_key, of_value in again:
            totals[1].index_add_(0, node, of_key)
            totals[2].index_add_(0, node, of_value)
        for block in ctx.branches.blocks:
            below, above = slice(block.start, block.stop), slice(block.first, block.last)
            g, q, k, v, o = _as_batch(given[below], query[below], wide_key[above], wide_value[above], out[below])
            logs = log_sum[below].t()[None].contiguous()
            found = _backward(g, q, k, v, o, logs, 0.0, False, scale=ctx.scale)
            for total, part, share in zip(totals, (below, above, above), map(_flat, found), strict=True):
                total[part] += share
        d_query, d_key, d_value = totals
        return d_query, _narrowed(d_key, key), _narrowed(d_value, value), None, None


def _merge(out: Tensor, log_sum: Tensor, found: Tensor, logs: Tensor) -> None:
    """Bring a further block into the outputs (M, H, D) of its queries and the logarithms (M, H) of their sums, in place."""
    merged = torch.logaddexp(log_sum, logs)
    out.mul_((log_sum - merged).exp_()[..., None]).add_(found.to(out.dtype) * (logs - merged).exp_()[..., None])
    log_sum.copy_(merged)


def _picked(states: Tensor, bucket: Bucket) -> Tensor:
    """The states (N, H, …) of a bucket's nodes, (B, H, L, …)."""
    if bucket.span is not None:
        return states[slice(*bucket.span)][None].transpose(1, 2)
    return states[bucket.node_BL.reshape(-1)].view(*bucket.node_BL.shape, *states.shape[1:]).transpose(1, 2)


def _wanted(given: Tensor, bucket: Bucket) -> Tensor:
    """The gradients (N, H, D) of a bucket's nodes, (B, H, L, D): zero in places that are not the node's own."""
    if bucket.span is not None:
        return _picked(given, bucket)
    found = torch.zeros(bucket.node_BL.numel(), *given.shape[1:], dtype=given.dtype)
    found[bucket.own_place] = given[bucket.own_node]
    return found.view(*bucket.node_BL.shape, *given.shape[1:]).transpose(1, 2)


def _put(total: Tensor, found: Tensor, bucket: Bucket) -> None:
    """Write what was found in a bucket's flattened places to the nodes whose own places they are."""
    if bucket.span is not None:
        total[slice(*bucket.span)] = found
    else:
        total[bucket.own_node] = found[bucket.own_place].to(total.dtype)


def _flat(states: Tensor) -> Tensor:
    """(B, H, L, …) as (B · L, H, …)."""
    return states.transpose(1, 2).flatten(0, 1)


def _as_batch(*states: Tensor) -> list[Tensor]:
    """Each (M, H, D) as (1, H, M, D)."""
    return [one.transpose(0, 1)[None] for one in states]


def _widened(states: Tensor, query: Tensor) -> Tensor:
    """Keys or values (N, G, D) repeated for the heads (N, H, D) that share them."""
    n_sharing = query.shape[1] // states.shape[1]
    return states if n_sharing == 1 else states.repeat_interleave(n_sharing, 1)


def _narrowed(gradient: Tensor, states: Tensor) -> Tensor:
    """The gradient (N, H, D) of repeated keys or values as that of the keys or values (N, G, D) themselves."""
    if gradient.shape == states.shape:
        return gradient
    return gradient.view(states.shape[0], states.shape[1], -1, states.shape[2]).sum(2)
