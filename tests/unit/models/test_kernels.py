"""Both kernels compute the definition of attention, whatever they are cut into and whatever they keep."""

from __future__ import annotations

import math

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows
from torch import Tensor

from luthier.models.attention import kernels as module
from luthier.models.attention.kernels import KERNELS, Block, KernelName, Merged, measure_kernels
from luthier.text.forest import make_forest

SCALE = 0.4


def drawn(n_queries: int, n_keys: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n_queries + n_keys)
    shapes = [(2, 3, n_queries, 8), (2, 3, n_keys, 8), (2, 3, n_keys, 8), (2, 3, n_queries, 8)]
    return [torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype) for shape in shapes]


def by_definition(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """The output and the logarithm of each query's sum of exponentials."""
    scores = q @ k.transpose(-1, -2) * SCALE
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -math.inf)
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


@pytest.mark.parametrize("kept_keys", [0, 10**6], ids=["weights computed again", "weights kept"])
@pytest.mark.parametrize("at_once", [3, 10**6], ids=["in cuts", "whole"])
@pytest.mark.parametrize(("n_queries", "n_keys", "causal"), [(13, 13, True), (5, 11, False), (1, 1, True), (4, 1, False)])
@pytest.mark.parametrize("name", KERNELS)
def test_a_block_is_the_definition(
    name: KernelName, n_queries: int, n_keys: int, causal: bool, at_once: int, kept_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", at_once)
    monkeypatch.setattr(module, "MAX_KEPT_KEYS", kept_keys)
    *states, given = drawn(n_queries, n_keys)
    leaves = [one.clone().requires_grad_() for one in states]
    wanted, wanted_logs = by_definition(leaves[0], leaves[1], leaves[2], causal)
    block = Block(*states, causal, SCALE)
    out, logs, kept = KERNELS[name].forward(block)
    torch.testing.assert_close(out, wanted, rtol=1e-11, atol=1e-12)
    assert bool(kept) is (name == "products" and kept_keys > 0)
    assert logs is not None
    torch.testing.assert_close(logs, wanted_logs, rtol=1e-11, atol=1e-12)
    gradients = torch.autograd.grad(wanted, leaves, given)
    for found, true in zip(KERNELS[name].backward(block, given, Merged(out, logs), kept), gradients, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kept_keys", [0, 10**6], ids=["weights computed again", "weights kept"])
@pytest.mark.parametrize("at_once", [3, 10**6], ids=["in cuts", "whole"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_block_that_is_alone_is_differentiated_as_one_that_is_merged_with_nothing(
    name: KernelName, at_once: int, kept_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", at_once)
    monkeypatch.setattr(module, "MAX_KEPT_KEYS", kept_keys)
    *states, given = drawn(13, 13)
    found = []
    for alone in (False, True):
        block = Block(*states, True, SCALE, alone)
        out, logs, kept = KERNELS[name].forward(block)
        found.append((out, *KERNELS[name].backward(block, given, None if logs is None else Merged(out, logs), kept)))
    assert logs is None or name == "flash"
    torch.testing.assert_close(found[1], found[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_two_blocks_merged_are_one(name: KernelName) -> None:
    kernel = KERNELS[name]
    q, k, v, given = drawn(6, 10)
    whole = Block(q, k, v, False, SCALE)
    out, logs, kept = kernel.forward(whole)
    assert logs is not None
    wanted = kernel.backward(whole, given, Merged(out, logs), kept)
    shares = []
    for keys in (slice(0, 4), slice(4, 10)):
        part = Block(q, k[:, :, keys], v[:, :, keys], False, SCALE)
        _, own_logs, own_kept = kernel.forward(part)
        assert own_logs is not None and not torch.equal(own_logs, logs)
        shares.append(kernel.backward(part, given, Merged(out, logs), own_kept))
    torch.testing.assert_close(shares[0][0] + shares[1][0], wanted[0])
    for i in (1, 2):
        torch.testing.assert_close(torch.cat([shares[0][i], shares[1][i]], 2), wanted[i])


def test_scores_of_half_precision_states_are_not_rounded_to_it() -> None:
    q, k, v, _ = drawn(40, 300, torch.bfloat16)
    q = q * 6
    _, logs, _ = KERNELS["products"].forward(Block(q, k, v, False, SCALE))
    _, wanted = by_definition(q.double(), k.double(), v.double(), False)
    assert wanted.abs().max() > 8 and logs is not None
    torch.testing.assert_close(logs.double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_setting_for_products_is_put_back() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    *states, _ = drawn(4, 4, torch.bfloat16)
    KERNELS["products"].forward(Block(*states, True, SCALE))
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_measuring_gives_seconds_for_each_kernel() -> None:
    found = measure_kernels(2, 8, 20, torch.float32, rounds=1)
    assert set(found) == set(KERNELS)
    assert all(seconds > 0 for seconds in found.values())


@pytest.mark.parametrize("name", KERNELS)
def test_a_network_attends_by_the_kernel_that_it_is_given(name: KernelName, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for one, kernel in KERNELS.items():
        right = kernel.forward
        monkeypatch.setattr(type(kernel), "forward", lambda self, block, one=one, right=right: (called.append(one), right(block))[1])
    network = tiny_network()
    network.attention_kernel = name
    network(make_forest(tiny_rows(3)))
    assert set(called) == {name}
