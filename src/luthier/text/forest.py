"""Rows packed as tries of shared token prefixes: what several rows begin with is computed once, exactly.

Nodes stand in preorder, so that one integer a node is the whole attention mask:

    node j is visible to node i  <=>  j <= i < leave[j]        leave[j]: the first node after j's subtree
    position of a node            =   its depth
    number of nodes               =   number of distinct prefixes of the rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.text.batch import Supervision, supervise
from luthier.text.rows import Row, n_shared, sort_key


@dataclass(frozen=True, eq=False)
class Forest(Supervision):
    """N nodes: their tokens, depths and subtree ends, and the borders of the trees, all of shape (N,) or (trees + 1,)."""

    tokens_N: Tensor
    depth_N: Tensor
    leave_N: Tensor
    borders: tuple[int, ...]

    @property
    def n_nodes(self) -> int:
        """N, the tokens that are computed."""
        return len(self.tokens_N)


def usual_size(n: int, most: int = 64) -> int:
    """The next of a few sizes from `n` on: at most 16 in each octave, and none more than `most` away.

    Kernels are made for each size of their inputs, which takes longer than many of them run and holds memory for good.
    Where sizes recur, the kernels do.
    """
    step = min(most, max(1, 1 << max(0, (n - 1).bit_length() - 5)))
    return -(-n // step) * step


def make_forest(rows: Sequence[Row], share: bool = True, whole: bool = True, most_nodes: int = 0) -> Forest:
    """Pack rows into a forest.

    Args:
        rows: what to pack.
        share: compute shared beginnings once; else each row becomes a tree of its own, as random layers need it.
        whole: take all tokens of the rows; else only those that have to be read, and a row's path ends with the last.
        most_nodes: up to so many, the forest is filled up to one of the usual sizes: nodes that nothing is learnt from
            and no row sees follow the last row.

    """
    lengths = [row.n_tokens if whole else row.n_read for row in rows]
    order = sorted(range(len(rows)), key=lambda r: (sort_key(rows[r], lengths[r]), r)) if share else list(range(len(rows)))
    n_all = sum(lengths)
    tokens, depth, leave = (np.zeros(n_all, dtype=np.int64) for _ in range(3))
    paths: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * len(rows)
    path = np.zeros(0, dtype=np.int64)  # the nodes of the row before, by depth
    n = 0
    borders: list[int] = []
    for r in order:
        row = rows[r].tokens[: lengths[r]]
        shared = n_shared(tokens[path], row) if share else 0
        leave[path[shared:]] = n  # what the row before did not share ends here
        new = np.arange(n, n + len(row) - shared)
        if shared == 0:
            borders.append(n)
        path = np.concatenate([path[:shared], new])
        tokens[new], depth[new] = row[shared:], np.arange(shared, len(row))
        paths[r] = path
        n += len(new)
    n_filled = max(n, min(most_nodes, usual_size(n)))
    leave[path] = n_filled
    # What fills up repeats the last node, at its depth: any token would do, but a further position may not exist.
    fill = (0, n_filled - n)
    return Forest(
        tokens_N=torch.from_numpy(np.pad(tokens[:n], fill, mode="edge")),
        depth_N=torch.from_numpy(np.pad(depth[:n], fill, mode="edge")),
        leave_N=torch.from_numpy(np.pad(leave[:n], fill, constant_values=n_filled)),
        borders=(*borders, n_filled),
        **supervise(rows, paths),  # type: ignore[arg-type]
    )


def visible(leave_N: Tensor, start: int = 0, stop: int | None = None, first: int = 0) -> Tensor:
    """The mask by definition: True where the query node (rows `start` to `stop`) sees the key node (columns from `first`)."""
    stop = len(leave_N) if stop is None else stop
    query = torch.arange(start, stop, device=leave_N.device)[:, None]
    key = torch.arange(first, stop, device=leave_N.device)[None]
    return (key <= query) & (query < leave_N[None, first:stop])
