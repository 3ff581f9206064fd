"""Attention in branches is attention by the mask: every visible pair once, outputs and all gradients equal to the reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.small import network_of
from torch import Tensor

from luthier.models.attention import branches as module
from luthier.models.attention.branches import Branches, plan_branches
from luthier.models.attention.in_branches import attend_in_branches
from luthier.models.attention.kernels import KERNELS, KernelName
from luthier.models.attention.plain import Scoring, attend
from luthier.models.network import trees
from luthier.text.forest import Forest, make_forest, visible
from luthier.text.rows import make_row

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=14)


def forest_of(rows: list[list[int]]) -> Forest:
    return make_forest([make_row(row) for row in rows])


def drawn(n_rows: int, n_tokens: int, n_shared: int, seed: int = 0, n_words: int = 50) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, n_words, n_shared).tolist()
    return [shared + rng.integers(0, n_words, rng.integers(1, n_tokens)).tolist() for _ in range(n_rows)]


SHAPES = {
    "one token": [[1]],
    "twins and a stranger": [[1, 2], [1, 2], [3]],
    "a long shared beginning": drawn(12, 9, 40),
    "long beginnings that branch": [a + b for a in drawn(3, 2, 70) for b in drawn(5, 12, 50, seed=len(a))],
    "nothing shared": drawn(9, 60, 0, n_words=5_000),
    "short beginnings": drawn(60, 8, 1, n_words=3),
    "a chain of beginnings": [drawn(1, 2, n)[0] for n in (5, 90, 91, 180, 181, 182)] * 2,
}


def seen(plan: Branches, n: int) -> np.ndarray:
    """How often each query (row) gets each key (column) by the plan."""
    count = np.zeros((n, n), dtype=int)
    for bucket in plan.buckets:
        own = (bucket.into_P == bucket.node_BL.reshape(-1)).numpy()
        for line, mine in zip(bucket.node_BL.tolist(), own.reshape(bucket.node_BL.shape), strict=True):
            for i, node in enumerate(line):
                if mine[i]:
                    np.add.at(count[node], line[: i + 1], 1)
    for block in plan.blocks:
        count[block.start : block.stop, block.first : block.last] += 1
    return count


@pytest.mark.parametrize("min_repeated", [1, 4, 10**9])
@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_each_visible_pair_is_in_the_plan_exactly_once(rows: list[list[int]], min_repeated: int) -> None:
    forest = forest_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MIN_REPEATED", min_repeated)
        plan = plan_branches(forest.leave_N)
    assert (seen(plan, forest.n_nodes) == visible(forest.leave_N).numpy()).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_each_node_has_one_place_of_its_own(shape: str) -> None:
    forest = forest_of(SHAPES[shape])
    plan = plan_branches(forest.leave_N)
    places = [pair for bucket in plan.buckets for pair in zip(bucket.node_BL.flatten().tolist(), bucket.into_P.tolist(), strict=True)]
    assert sorted(into for node, into in places if into == node) == list(range(forest.n_nodes))
    assert all(into == forest.n_nodes for node, into in places if into != node)
    others = sum(len(bucket.other_place) for bucket in plan.buckets)
    assert others == len(places) - forest.n_nodes


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bucket_is_alone_where_no_block_is_merged_with_it(shape: str) -> None:
    plan = plan_branches(forest_of(SHAPES[shape]).leave_N)
    for bucket in plan.buckets:
        own = set(bucket.into_P[bucket.into_P == bucket.node_BL.reshape(-1)].tolist())
        assert bucket.alone is not any(own & set(range(block.start, block.stop)) for block in plan.blocks)


def test_a_long_beginning_is_a_block_and_a_short_one_is_read_again() -> None:
    long, short = (plan_branches(forest_of(SHAPES[shape]).leave_N) for shape in ("a long shared beginning", "short beginnings"))
    assert [(block.first, block.last) for block in long.blocks] == [(0, 40)]
    assert sum(len(bucket.again_node) for bucket in long.buckets) < module.MIN_REPEATED
    assert not short.blocks
    assert sum(len(bucket.again_node) for bucket in short.buckets) > 0


def states(n: int, heads: int, dtype: torch.dtype, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, heads, 8, dtype=dtype, generator=generator).requires_grad_()


def both(forest: Forest, n_groups: int, dtype: torch.dtype, kernel: KernelName) -> list[list[Tensor]]:
    """Output and gradients by the mask, and in branches."""
    n = forest.n_nodes
    wanted = states(n, 4, dtype, 9).detach()
    found = []
    for by_mask in (True, False):
        query, key, value = states(n, 4, dtype, 0), states(n, n_groups, dtype, 1), states(n, n_groups, dtype, 2)
        if by_mask:
            q, k, v = (one.transpose(0, 1)[None] for one in (query, key, value))
            out = attend(q, k, v, visible(forest.leave_N), False, Scoring(0.4))[0].transpose(0, 1)
        else:
            out = attend_in_branches(query, key, value, plan_branches(forest.leave_N), 0.4, kernel)
        (out * wanted).sum().backward()
        found.append([out.detach(), *(one.grad for one in (query, key, value) if one.grad is not None)])
    return found


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_groups", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_are_those_of_the_mask(shape: str, n_groups: int, kernel: KernelName) -> None:
    reference, branches = both(forest_of(SHAPES[shape]), n_groups, torch.float64, kernel)
    for a, b in zip(reference, branches, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_half_precision_is_as_near_as_its_own_rounding(kernel: KernelName) -> None:
    forest = forest_of(SHAPES["long beginnings that branch"])
    exact = both(forest, 2, torch.float64, kernel)[0]
    reference, branches = both(forest, 2, torch.bfloat16, kernel)
    for true, a, b in zip(exact, reference, branches, strict=True):
        assert (b.double() - true).norm() <= 1.5 * (a.double() - true).norm() + 1e-6


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "mistral_window", "gpt2"])
def test_a_network_says_the_same_by_the_mask_and_in_branches(kind: str) -> None:
    network = network_of(kind)
    forest = forest_of([[1, *row] for row in drawn(8, 20, 30, n_words=60)])
    layout = trees(forest)
    said = [
        network.states(forest.tokens_N[None], forest.depth_N[None], dataclasses.replace(layout, dense=dense)) for dense in (True, False)
    ]
    torch.testing.assert_close(said[1], said[0], rtol=1e-9, atol=1e-10)


def test_a_forest_like_a_comb_attends_by_masks_and_others_in_branches() -> None:
    comb = [[*range(100, 100 + n), 5, n % 7] for n in range(1, 600)]
    assert not plan_branches(forest_of(comb).leave_N).pays
    for shape, rows in SHAPES.items():
        assert plan_branches(forest_of(rows).leave_N).pays, shape
    network = network_of("llama", max_position_embeddings=700, vocab_size=800)
    forest = forest_of(comb[::40])
    layout = trees(forest)
    said = [
        network.states(forest.tokens_N[None], forest.depth_N[None], dataclasses.replace(layout, dense=dense)) for dense in (True, False)
    ]
    torch.testing.assert_close(said[1], said[0], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_only_read_is_computed_bit_for_bit_as_what_is_learnt_from(shape: str, kernel: KernelName) -> None:
    forest = forest_of(SHAPES[shape])
    plan, n = plan_branches(forest.leave_N), forest.n_nodes
    q, k, v = (states(n, heads, torch.float32, seed) for seed, heads in enumerate((4, 2, 2)))
    learnt = attend_in_branches(q, k, v, plan, 0.4, kernel)
    with torch.no_grad():
        read = attend_in_branches(q, k, v, plan, 0.4, kernel)
    assert learnt.requires_grad and not read.requires_grad
    assert torch.equal(learnt, read)
    learnt.sum().backward()
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in (q, k, v))
