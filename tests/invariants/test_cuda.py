"""The same code on an accelerator: skipped where there is none. The end-to-end tests take the accelerator by themselves."""

from __future__ import annotations

import pytest
import torch
from tests.small import network_of

from luthier.models.attention import flex
from luthier.models.attention.plain import Scoring, attend
from luthier.text.batching import Batch
from luthier.text.forest import make_forest, visible
from luthier.text.padded import make_padded
from luthier.text.rows import make_row

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")

ROWS = [
    make_row([1, 5, 6, 7, 8], [0, 0, 1, 1, 1], id="a"),
    make_row([1, 5, 6, 9], [0, 0, 1, 1], id="b"),
    make_row([1, 12, 13], [0, 1, 1], id="c"),
]


def gradients(batch: Batch, device: str) -> dict[str, torch.Tensor]:
    network = network_of("llama").to(device)
    moved = batch.to(torch.device(device))
    (-network(moved).token_logps(moved) * moved.weight_S).sum().backward()
    return {name: one.grad.cpu() for name, one in network.named_parameters() if one.grad is not None}


def test_gradients_on_the_accelerator_are_those_of_the_processor_in_both_layouts() -> None:
    wanted = gradients(make_forest(ROWS), "cpu")
    for batch in (make_forest(ROWS), make_padded(ROWS, 0)):
        found = gradients(batch, "cuda")
        assert found.keys() == wanted.keys()
        for name, one in wanted.items():
            torch.testing.assert_close(found[name], one, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("n_own", [9, 300])
def test_flex_attention_and_its_gradients_are_those_of_dense_masks(softcap: float | None, window: int | None, n_own: int) -> None:
    forest = make_forest([make_row([1] * 500 + [k] * n_own) for k in range(2, 8)]).to(torch.device("cuda"))
    draw = torch.Generator("cuda").manual_seed(0)
    states = [torch.randn(heads, forest.n_nodes, 64, generator=draw, device="cuda") for heads in (4, 2, 2)]
    weight = torch.randn(4, forest.n_nodes, 64, generator=draw, device="cuda")
    mask = visible(forest.leave_N)
    if window is not None:
        mask = mask & (forest.depth_N[:, None] - forest.depth_N[None] < window)
    planned = flex.plan(forest.leave_N, forest.depth_N, window, torch.device("cuda"))
    exact = [one.double().requires_grad_() for one in states]
    tried = [one.requires_grad_() for one in states]
    wanted = attend(*(one[None] for one in exact), mask, False, Scoring(0.2, softcap))[0]
    found = flex.attend_in_forest(*tried, planned, 0.2, softcap)
    (wanted * weight).sum().backward()
    (found * weight).sum().backward()
    # Kernels may multiply float32 as TF32, whose significand has 11 bits.
    torch.testing.assert_close(found.double(), wanted, rtol=5e-3, atol=5e-3)
    for one, other in zip(tried, exact, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=5e-3, atol=1e-2 * float(other.grad.abs().max()))
