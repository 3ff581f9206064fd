"""The same code on an accelerator: skipped where there is none. The end-to-end tests take the accelerator by themselves."""

from __future__ import annotations

import pytest
import torch
from tests.small import network_of

from luthier.text.batching import Batch
from luthier.text.forest import make_forest
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
