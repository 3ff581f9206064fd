"""FlexAttention over a forest: its mask by definition, and its forward pass beside dense masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch._dynamo
import torch.nn.functional as F
from torch import Tensor

from luthier.models.attention import flex
from luthier.models.attention.plain import Scoring, attend
from luthier.text.forest import Forest, make_forest, visible
from luthier.text.rows import make_row

CPU = torch.device("cpu")


def forest_of(n_rows: int, n_shared: int, n_own: int, seed: int = 0) -> Forest:
    """Rows that share a beginning, and of these some a little more."""
    draw = np.random.default_rng(seed)
    shared = draw.integers(0, 50, n_shared).tolist()
    cuts = [(draw.integers(0, n_shared + 1), draw.integers(1, n_own)) for _ in range(n_rows)]
    return make_forest([make_row(shared[:n] + draw.integers(0, 3, more).tolist()) for n, more in cuts])


FORESTS = [  # the last has blocks that are seen in full
    forest_of(1, 1, 2), forest_of(6, 5, 9), forest_of(30, 40, 20), forest_of(12, 150, 60, 1), forest_of(3, 0, 200, 2),
    make_forest([make_row([1] * 600 + [k] * 70) for k in range(2, 8)]),
]


def seen(forest: Forest, window: int | None) -> Tensor:
    mask = visible(forest.leave_N)
    if window is not None:
        mask = mask & (forest.depth_N[:, None] - forest.depth_N[None] < window)
    return mask


@pytest.mark.parametrize("window", [None, 1, 7, 100])
@pytest.mark.parametrize("forest", FORESTS, ids=lambda one: f"{one.n_nodes} nodes")
def test_the_mask_is_the_definition_block_by_block_and_padding_sees_only_itself(forest: Forest, window: int | None) -> None:
    planned = flex.plan(forest.leave_N, forest.depth_N, window, CPU)
    n, padded = forest.n_nodes, planned.n_padded
    wanted = torch.eye(padded, dtype=torch.bool)
    wanted[:n, :n] = seen(forest, window)
    place = torch.arange(padded)
    found = planned.mask.mask_mod(torch.tensor(0), torch.tensor(0), place[:, None], place[None])
    assert found.equal(wanted)
    blocks = wanted.view(padded // 128, 128, padded // 128, 128).transpose(1, 2)
    some, whole = flex._blocks(*(torch.cat([a, b]) for a, b in ((forest.leave_N, place[n:] + 1), (forest.depth_N, 0 * place[n:]))), window)
    assert (some | ~blocks.any(-1).any(-1)).all() and (blocks.all(-1).all(-1) | ~whole).all()
    assert planned.mask.to_dense()[0, 0].bool().equal(some | whole)
    if window is None:
        assert some.equal(blocks.any(-1).any(-1)) and whole.equal(blocks.all(-1).all(-1))


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("forest", FORESTS, ids=lambda one: f"{one.n_nodes} nodes")
def test_the_forward_pass_is_that_of_dense_masks(forest: Forest, softcap: float | None, window: int | None, scale: float | None) -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(heads, forest.n_nodes, 16, generator=draw) for heads in (4, 2, 2))
    planned = flex.plan(forest.leave_N, forest.depth_N, window, CPU)
    found = flex.attend_in_forest(query, key, value, planned, scale, softcap)
    wanted = attend(query[None], key[None], value[None], seen(forest, window), False, Scoring(scale, softcap))[0]
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_nodes_are_padded_to_whole_blocks_of_few_numbers() -> None:
    lengths = [flex.padded_length(n) for n in range(1, 2**14 + 1)]
    assert all(n <= padded and padded % 128 == 0 for n, padded in enumerate(lengths, 1))
    assert all(padded - n < max(128, n / 8 + 128) for n, padded in enumerate(lengths, 1))
    assert lengths == sorted(lengths) and len(set(lengths)) <= flex.MOST_SHAPES // 2
    assert [flex.padded_length(n) for n in (1, 128, 129, 1024, 2048, 2049, 4097)] == [128, 128, 256, 1024, 2048, 2304, 4608]


def test_equal_heads_need_no_sharing() -> None:
    forest = FORESTS[1]
    states = torch.randn(3, 2, forest.n_nodes, 8, generator=torch.Generator().manual_seed(1))
    found = flex.attend_in_forest(*states, flex.plan(forest.leave_N, forest.depth_N, None, CPU), None, None)
    wanted = F.scaled_dot_product_attention(*states, seen(forest, None))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_no_run_meets_the_librarys_limit_of_compilations() -> None:
    """It would end the run: all lengths of a long context, by two kinds of layers, with and without a gradient, in two types."""
    lengths = {flex.padded_length(n) for n in range(1, 2**15 + 1)}
    assert len(lengths) * 2 * 2 * 2 <= flex.MOST_SHAPES
    before = {limit: getattr(torch._dynamo.config, limit) for limit in ("recompile_limit", "accumulated_recompile_limit")}
    try:
        flex._compiled()
        assert all(getattr(torch._dynamo.config, limit) >= flex.MOST_SHAPES for limit in before)
    finally:
        flex._compiled.cache_clear()
        for limit, value in before.items():
            setattr(torch._dynamo.config, limit, value)
