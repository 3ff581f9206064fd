"""A step gives the same bits whenever it is taken again, on several threads too: without this, no resumed run is the straight one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tests.tiny import tiny_network

from luthier.models.attention.kernels import KERNELS, KernelName
from luthier.models.blocks import Blocks
from luthier.models.heads import Pooling
from luthier.objectives import Classify, Imitate
from luthier.objectives.protocol import Objective
from luthier.text.batching import CutPlan, Layout
from luthier.text.rows import Row, make_row

N_TAKEN = 12


@pytest.fixture(autouse=True)
def _several_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(max(2, before))
    yield
    torch.set_num_threads(before)


def rows_that_share(trained: bool) -> list[Row]:
    """Many rows behind one beginning, some of them equal, so that gradients from many places meet in one."""
    draw = np.random.default_rng(0)
    shared = draw.integers(3, 60, 60).tolist()
    tails = [draw.integers(3, 60, draw.integers(2, 9)).tolist() for _ in range(60)] + [[7, 8, 9]] * 20
    if trained:
        return [make_row(shared + tail, [0.0] * 60 + [1.0] * len(tail), id=str(i)) for i, tail in enumerate(tails)]
    return [make_row(shared + tail, id=str(i), target=i % 3) for i, tail in enumerate(tails)]


def gradients(
    objective: Objective, rows: list[Row], pooling: Pooling | None, layout: Layout, kernel: KernelName | None = None
) -> dict[str, bytes]:
    """By the family's forward pass, or by our own and a kernel."""
    network = tiny_network(torch.float32, n_scores=3 if pooling else 0, pooling=pooling or "mean")
    if kernel is not None:
        network.attention_kernel, network.blocks = kernel, Blocks(network.body)
    if network.head is not None:
        torch.nn.init.normal_(network.head.linear.weight, generator=torch.Generator().manual_seed(0))
    for batch in CutPlan(layout, 10**6, 0).batches(rows):
        torch.stack(list(objective.loss(network(batch), batch).totals.values())).sum().backward()
    return {name: one.grad.numpy().tobytes() for name, one in network.named_parameters() if one.grad is not None}


CASES: list[tuple[Layout, Pooling | None, KernelName | None]] = [
    *((layout, pooling, None) for layout in ("forest", "padded") for pooling in ("mean", "last", None)),
    *(("forest", None, kernel) for kernel in KERNELS),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "pooling", "kernel"), CASES)
def test_a_gradient_has_the_same_bits_each_time(layout: Layout, pooling: Pooling | None, kernel: KernelName | None) -> None:
    objective: Objective = Imitate() if pooling is None else Classify(("a", "b", "c"))
    rows = rows_that_share(trained=pooling is None)
    first = gradients(objective, rows, pooling, layout, kernel)
    for _ in range(N_TAKEN):
        again = gradients(objective, rows, pooling, layout, kernel)
        assert [name for name, bits in first.items() if again[name] != bits] == []
