"""Attention in branches beside attention by mask, forward and backward, by turns on the same forests.

    python bench/attention.py --rounds 7

Prints, for each kind of forest, the median milliseconds of both and the ratio within a round (least to greatest).
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import numpy as np
import torch
from torch import Tensor, nn

from luthier.models.attention.seam import Trees, seam
from luthier.models.network import trees
from luthier.text.forest import Forest, make_forest
from luthier.text.rows import make_row

HEADS, GROUPS, DEPTH = 8, 4, 64
KINDS = {
    "200 short rows, one token shared": (200, 30, 1),
    "16 short rows behind 560 tokens": (16, 30, 560),
    "64 short rows behind 60 tokens": (64, 30, 60),
    "16 rows of up to 300 tokens, nothing shared": (16, 300, 0),
}
"""How many rows, the most tokens of their own, and how many tokens they share."""


class _Layer(nn.Module):
    """What a layer tells the seam of itself."""

    layer_idx = 0


def forest_of(n_rows: int, n_own: int, n_shared: int) -> Forest:
    """Rows of random tokens."""
    draw = np.random.default_rng(0)
    shared = draw.integers(0, 30_000, n_shared).tolist()
    return make_forest([make_row(shared + draw.integers(0, 30_000, draw.integers(1, n_own)).tolist()) for _ in range(n_rows)])


def seconds(states: list[Tensor], layout: Trees) -> float:
    """Of one forward and backward pass; each has its own layout, so that planning and masks are paid for."""
    began = time.perf_counter()
    out, _ = seam(_Layer(), *states, luthier_layout=dataclasses.replace(layout, masks={}))
    out.sum().backward()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    for name, kind in KINDS.items():
        forest = forest_of(*kind)
        generator = torch.Generator().manual_seed(0)
        states = [
            torch.randn(1, forest.n_nodes, heads, DEPTH, generator=generator).transpose(1, 2).requires_grad_()
            for heads in (HEADS, GROUPS, GROUPS)
        ]
        turns = range(args.rounds + 1)
        rounds = [[seconds(states, dataclasses.replace(trees(forest), dense=dense)) for dense in (True, False)] for _ in turns]
        by_mask, in_branches = (1e3 * statistics.median(times) for times in zip(*rounds[1:], strict=True))
        ratios = [a / b for a, b in rounds[1:]]
        print(f"{name} ({forest.n_nodes:,} nodes): {by_mask:.1f} ms by mask, {in_branches:.1f} in branches; ", end="")
        print(f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
