from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows

from luthier.methods import LoRA
from luthier.methods.lora import Delta, adapted
from luthier.models.network import Network
from luthier.prove.merging import merged_equals_adapter, outputs
from luthier.text.batching import CutPlan

CUTS, ROWS = CutPlan("forest", 400, 0), tiny_rows(4, seed=1, n_classes=3)


def tuned(n_scores: int) -> Network:
    network = tiny_network(torch.float32, n_scores=n_scores)
    LoRA(rank=4).attach(network, 0)
    torch.manual_seed(1)
    for _, layer in adapted(network):
        torch.nn.init.normal_(layer.lora.B, std=0.05)
    if network.head is not None:
        torch.nn.init.normal_(network.head.linear.weight)
    return network.eval()


@pytest.mark.parametrize("n_scores", [0, 3])
def test_a_merged_adapter_answers_as_the_adapter_beside_the_base(n_scores: int) -> None:
    network = tuned(n_scores)
    wanted = outputs(network, ROWS, CUTS)
    found = merged_equals_adapter(network, LoRA(rank=4), ROWS, CUTS)
    assert found.holds, found.detail
    assert not list(adapted(network))
    torch.testing.assert_close(outputs(network, ROWS, CUTS), wanted, rtol=1e-4, atol=1e-4)
    without = float(found.detail.rsplit(" ", 1)[1])
    assert without > 0.01, "the adapter moves what is compared, far beyond the bound"


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.001, 2.0])
def test_a_wrong_scale_is_seen(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Delta.matrix
    monkeypatch.setattr(Delta, "matrix", lambda self: right(self) * factor)
    assert not merged_equals_adapter(tuned(0), LoRA(rank=4), ROWS, CUTS).holds


def test_a_layer_that_is_not_merged_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tuned(0)
    right, first = Delta.matrix, next(layer.lora for _, layer in adapted(network))
    monkeypatch.setattr(Delta, "matrix", lambda self: right(self) * (self is not first))
    assert not merged_equals_adapter(network, LoRA(rank=4), ROWS, CUTS).holds
