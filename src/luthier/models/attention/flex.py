"""A forest's attention as one fused kernel that skips whole blocks of the mask: FlexAttention, for CUDA.

The mask is written down as a function of two node numbers, and as a list of the blocks of keys in which any query of a
block sees anything (Dong and others, 2024, arXiv:2412.05496). The list comes of the preorder: the keys that a block of
queries sees end at its last query, and a block of keys is seen in full where each of its nodes is an ancestor of each query.

Kernels are compiled once a shape, so the nodes are padded to one of few numbers: a padded node sees itself only, and
nobody sees it. On a CPU there is a forward pass only, in the library's unfused reference, which the tests use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

BLOCK = 128
"""Nodes of one side of a block of the mask: the library's own default."""
FINEST = 8
"""Steps between two powers of two at which padded numbers of nodes lie: no more than an eighth of the nodes is added."""
MOST_SHAPES = 512
"""Kernels that one process may compile, for numbers of nodes, kinds of layers, windows and number types together."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The mask of one forest of N nodes, padded to P; every layer with the same window shares it."""

    mask: BlockMask
    n_nodes: int
    n_padded: int


def padded_length(n_nodes: int) -> int:
    """P, the whole number of blocks to which N nodes are padded: one of about eight between two powers of two."""
    n_blocks = -(-n_nodes // BLOCK)
    step = max(1, (1 << (n_blocks - 1).bit_length()) // (2 * FINEST))
    padded: int = -(-n_blocks // step) * step * BLOCK
    return padded


def plan(leave_N: Tensor, depth_N: Tensor, window: int | None, device: torch.device) -> Plan:
    """The blocks of a forest's mask on `device`: node j is visible to node i where j <= i < leave[j].

    Args:
        leave_N: the first node after each node's subtree.
        depth_N: the nodes' positions, which a window is counted in.
        window: how many positions up a node sees, itself among them; None for all.
        device: where attention will be computed.

    """
    n = len(leave_N)
    padded = padded_length(n)
    extra = torch.arange(n, padded, device=leave_N.device)
    leave = torch.cat([leave_N, extra + 1]).to(device, torch.int32)
    depth = torch.cat([depth_N, torch.zeros_like(extra)]).to(device, torch.int32)
    some, whole = _blocks(leave, depth, window)
    partly, fully = _listed(some & ~whole), _listed(whole)
    rule = _visible(leave, depth, window)
    mask = BlockMask.from_kv_blocks(*partly, *fully, BLOCK_SIZE=BLOCK, mask_mod=rule, seq_lengths=(padded, padded))
    return Plan(mask, n, padded)


def _blocks(leave: Tensor, depth: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
    """For each block of queries and each of keys: whether a query may see a key, and whether all see all. No N × N tensor is made.

    A window is judged by the least and greatest depth of a block, so that now and then a block is computed of which nothing
    is seen; the mask itself is exact.
    """
    leave, depth = leave.view(-1, BLOCK), depth.view(-1, BLOCK)
    number = torch.arange(len(leave), device=leave.device)
    first = number[:, None] * BLOCK  # the first query of each block
    before = number[None] < number[:, None]
    some = (before & (leave.amax(1)[None] > first)) | (number[None] == number[:, None])
    whole = before & (leave.amin(1)[None] >= first + BLOCK)
    if window is not None:
        some = some & (depth.amin(1)[:, None] - depth.amax(1)[None] < window)
        whole = whole & (depth.amax(1)[:, None] - depth.amin(1)[None] < window)
    return some, whole


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys each block of queries has, and which: those first, in their order, as the library wants it."""
    order = blocks.to(torch.int8).argsort(dim=1, descending=True, stable=True)
    return blocks.sum(1, dtype=torch.int32)[None, None], order.to(torch.int32)[None, None].contiguous()


def attend_in_forest(
    query_HND: Tensor, key_GND: Tensor, value_GND: Tensor, planned: Plan, scale: float | None, softcap: float | None
) -> Tensor:
    """Attention of queries (H, N, D) over keys and values (G, N, D), G dividing H; gives (H, N, D).

    `scale` is 1 / sqrt(D) where it is None; `softcap` is Gemma 2's cap · tanh(score / cap) before the softmax.
    """
    n, padded = planned.n_nodes, planned.n_padded
    assert query_HND.shape[1] == n, "the plan is that of these nodes"
    states = [F.pad(one, (0, 0, 0, padded - n))[None] for one in (query_HND, key_GND, value_GND)]
    attend = _compiled() if query_HND.device.type == "cuda" else flex_attention
    shared = query_HND.shape[0] != key_GND.shape[0]
    out: Any = attend(*states, score_mod=_capped(softcap), block_mask=planned.mask, scale=scale, enable_gqa=shared)
    found: Tensor = out[0, :, :n]
    return found


def _visible(leave: Tensor, depth: Tensor, window: int | None) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The mask as a function. Its code is the same for every forest, whose numbers it reads: nothing is compiled anew."""

    def anywhere(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i < leave[j])

    if window is None:
        return anywhere
    most = window

    def within(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i < leave[j]) & (depth[i] - depth[j] < most)

    return within


@cache
def _capped(softcap: float | None) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor] | None:
    """What becomes of a score; one function a cap, since the library compiles anew for each function that it has not met."""
    if softcap is None:
        return None

    def capped(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return softcap * torch.tanh(score / softcap)

    return capped


@cache
def _compiled() -> Any:
    """The kernel, compiled a shape at a time.

    `fullgraph` makes it an error when the library's limit of compilations is reached: without it, the rest of the run would
    go through the unfused reference, N × N scores and all, with nothing but a warning. Few shapes keep below the limit.
    """
    import torch._dynamo

    for limit in ("recompile_limit", "accumulated_recompile_limit"):
        setattr(torch._dynamo.config, limit, max(getattr(torch._dynamo.config, limit), MOST_SHAPES))
    return torch.compile(flex_attention, dynamic=False, fullgraph=True)
