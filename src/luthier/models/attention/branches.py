"""Attention in a forest without masks and without N × N scores: what a branch sees is itself and, whole, what it grew from.

A forest in preorder falls into *segments*: runs of nodes of which each is the only child of the one before. For a segment
with the nodes a … b whose subtree ends at e,

    its own nodes see each other causally                          queries a … b,  keys a … b
    and everything below it sees all of it                         queries b … e,  keys a … b

so the attention of each node is a sum over a few contiguous blocks. Each block gives its output and the logarithm of its
sum of exponentials, and blocks are merged by these (Dao and others, 2022, arXiv:2205.14135, section 3.1). The backward
pass of a block is right for its share when it is given the merged output and logarithm instead of the block's own.

Short segments would be many tiny blocks. They are read again in front of each segment that grew from them instead, and
all causal blocks of about one length are one call. `in_branches` computes what is planned here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.text.forest import usual_size

MIN_REPEATED = 128
"""From so many nodes on that would be read again, a segment becomes a block of its own: about what a call costs."""
MAX_PADDING = (8, 0.1)
"""Causal sequences share a call while the shortest lacks no more than so many nodes and this share of the longest."""

MERGING = 64
"""Merging a block costs its queries about as much as so many keys would."""
TOO_DEAR = 2.0
"""Where branches would cost so many times what masks cost, masks are taken: a forest shaped like a comb is all small blocks."""


@dataclass(frozen=True)
class Rectangle:
    """The queries `start` … `stop` see all keys `first` … `last`: a segment, and everything that grew from it."""

    first: int
    last: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Bucket:
    """Causal sequences of about one length, (B, L), as numbers of nodes; a short one repeats its last node.

    Each node has one place that is its own. `into_P` says for each of the P = B·L flattened places whose own it is: a
    node, or N where it is nobody's. Those are `other_place`; among them, where a short segment is read again, are
    `again_place` and `again_node`. `span` is where the nodes stand where they are one whole run of the forest, which needs
    no copies. `alone` says that all sequences begin at roots, so that no block is merged with what is found for them.
    """

    node_BL: Tensor
    into_P: Tensor
    other_place: Tensor
    again_place: Tensor
    again_node: Tensor
    span: tuple[int, int] | None
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Branches:
    """How the attention of one forest is cut: causal buckets, and blocks of what grew from long segments.

    `pays` says whether that is cheaper than masks, tree by tree.
    """

    buckets: tuple[Bucket, ...]
    blocks: tuple[Rectangle, ...]
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
    blocks = tuple(Rectangle(int(starts[s]), int(stops[s]), int(stops[s]), int(ends[s])) for s in np.flatnonzero(apart))
    roots = [s for s, above in enumerate(parent) if above < 0]
    buckets = tuple(_buckets(sequences, owned, frozenset(starts[roots].tolist()), len(leave), leave_N.device))
    trees = ends[roots]
    by_mask = float((np.diff(trees, prepend=0).astype(np.float64) ** 2).sum())
    in_branches = sum(bucket.node_BL.numel() * bucket.node_BL.shape[1] for bucket in buckets)
    in_branches += sum((block.stop - block.start) * (block.last - block.first + MERGING) for block in blocks)
    return Branches(buckets, blocks, in_branches <= TOO_DEAR * by_mask + MERGING**2)


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


def _buckets(
    sequences: list[NDArray[np.int64]], owned: list[NDArray[np.bool_]], roots: frozenset[int], n_nodes: int, device: torch.device
) -> list[Bucket]:
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
        width = usual_size(len(sequences[group[0]]))
        node = np.stack([np.pad(sequences[i], (0, width - len(sequences[i])), mode="edge") for i in group])
        own = np.stack([np.pad(owned[i], (0, width - len(owned[i]))) for i in group])
        real = np.arange(width) < np.array([len(sequences[i]) for i in group])[:, None]
        again_place = np.flatnonzero(real & ~own)
        flat = node.reshape(-1)
        arrays = (node, np.where(own.reshape(-1), flat, n_nodes), np.flatnonzero(~own), again_place, flat[again_place])
        whole = len(group) == 1 and bool(own.all()) and flat[-1] - flat[0] == width - 1
        span = (int(flat[0]), int(flat[-1]) + 1) if whole else None
        node_BL, *rest = (torch.from_numpy(array).to(device) for array in arrays)
        alone = all(int(sequences[i][0]) in roots for i in group)
        buckets.append(Bucket(node_BL, rest[0], rest[1], rest[2], rest[3], span, alone))
    return buckets
