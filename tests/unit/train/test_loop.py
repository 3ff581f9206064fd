"""One step of the loop: its gradient against any cut, any layout and the reference library; and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.tiny import tiny_decoder, tiny_network, tiny_rows
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.utils._python_dispatch import TorchDispatchMode

from luthier.core.errors import LuthierError
from luthier.methods import AnyMethod, Full, LoRA
from luthier.objectives import AnyObjective, Classify, Imitate
from luthier.text.batching import CutPlan
from luthier.text.rows import Row, make_row
from luthier.train import TrainState, take_step
from luthier.train.loop import accumulate
from luthier.train.optim import AdamW
from luthier.train.state import begin

LABELS = ("a", "b", "c")
OBJECTIVES: tuple[AnyObjective, ...] = (Imitate(), Classify(LABELS), Classify(LABELS, smoothing=0.1))
WHOLE = CutPlan("padded", 10**6, 0)


def started(method: AnyMethod, objective: AnyObjective) -> TrainState:
    """A state whose step is exactly minus the gradient: plain gradient descent with rate 1."""
    network = tiny_network(n_scores=objective.n_scores, pooling="mean")
    method.attach(network, 0)
    draw = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.requires_grad and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1, generator=draw)
    state = begin(network, AdamW(weight_decay=0.0), "a fingerprint")
    state.optimizers = (torch.optim.SGD([parameter for parameter in network.parameters() if parameter.requires_grad], lr=1.0),)
    return state


def gradients(method: AnyMethod, objective: AnyObjective, rows: list[Row], cuts: CutPlan) -> tuple[dict[str, Tensor], float]:
    """The gradient of every trained tensor in one step of the loop, and the loss that the step reports."""
    state = started(method, objective)
    before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters()}
    found = take_step(state, objective, rows, cuts, 1.0, math.inf)
    after = dict(state.network.named_parameters())
    return {name: tensor - after[name].detach() for name, tensor in before.items() if after[name].requires_grad}, found["loss_nats"]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("method", [Full(), LoRA(rank=3)], ids=lambda method: method.kind)
@pytest.mark.parametrize("cuts", [CutPlan(layout, n, 0) for layout in ("padded", "packed", "forest") for n in (1, 45, 10**6)], ids=str)
def test_any_cut_and_any_layout_give_the_same_gradient(method: AnyMethod, objective: AnyObjective, cuts: CutPlan) -> None:
    rows = tiny_rows(9, n_classes=3)
    wanted, loss = gradients(method, objective, rows, WHOLE)
    found, found_loss = gradients(method, objective, rows, cuts)
    assert wanted.keys() == found.keys()
    assert len(cuts.cut(rows)) == 1 if cuts.max_nodes == 10**6 else len(cuts.cut(rows)) > 1
    for name, tensor in wanted.items():
        assert tensor.abs().max() > 0 or "head" in name or objective.n_scores == 0, f"{name} has no gradient"
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-10, msg=name)
    assert found_loss == pytest.approx(loss, abs=1e-10)


def reference_loss(decoder: torch.nn.Module, rows: list[Row]) -> Tensor:
    """Σ w · −log p over the trained tokens / Σ w, row by row through `transformers` alone."""
    total, count = torch.zeros((), dtype=torch.float64), 0.0
    for row in rows:
        logits = decoder(torch.from_numpy(row.tokens)[None]).logits[0]
        for t in range(1, row.n_tokens):
            if row.weights[t]:
                total = total - float(row.weights[t]) * log_softmax(logits[t - 1], -1)[int(row.tokens[t])]
                count += float(row.weights[t])
    return total / count


def test_a_step_learns_the_trained_tokens_and_nothing_else_as_the_reference_library_computes_it() -> None:
    rows = tiny_rows(7, seed=3)
    decoder = tiny_decoder()
    loss = reference_loss(decoder, rows)
    loss.backward()
    wanted = {f"decoder.{name}": parameter.grad for name, parameter in decoder.named_parameters()}
    found, found_loss = gradients(Full(), Imitate(), rows, CutPlan("forest", 40, 0))
    assert found_loss == pytest.approx(loss.item(), abs=1e-10)
    for name, tensor in wanted.items():
        assert tensor is not None
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-10, msg=name)


def test_the_stop_token_at_the_end_of_a_row_is_trained() -> None:
    rows = [make_row([5, 6, 7, 2], [0, 0, 1, 1], id="with a stop")]
    stop_moved = [make_row([5, 6, 7, 3], [0, 0, 1, 1], id="with another")]
    wanted, _ = gradients(Full(), Imitate(), rows, WHOLE)
    other, _ = gradients(Full(), Imitate(), stop_moved, WHOLE)
    assert max((wanted[name] - other[name]).abs().max() for name in wanted) > 1e-3


def test_the_gradient_is_clipped_to_the_length_asked_for_and_its_own_length_is_reported() -> None:
    rows = tiny_rows(4)
    free, _ = gradients(Full(), Imitate(), rows, WHOLE)
    norm = math.sqrt(sum(float((tensor**2).sum()) for tensor in free.values()))
    state = started(Full(), Imitate())
    before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters()}
    found = take_step(state, Imitate(), rows, WHOLE, 1.0, 0.01)
    moved = math.sqrt(sum(float(((parameter.detach() - before[name]) ** 2).sum()) for name, parameter in state.network.named_parameters()))
    assert found["grad_norm"] == pytest.approx(norm, rel=1e-9)
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_a_step_says_what_it_cost_and_advances_the_clock() -> None:
    rows = [make_row([4, 5, 6], [0, 1, 1], id="a"), make_row([4, 5, 7, 8], [0, 0, 0, 2], id="b")]
    state = started(Full(), Imitate())
    found = take_step(state, Imitate(), rows, CutPlan("forest", 10**6, 0), 0.5, 1.0)
    # Distinct prefixes that something is predicted from, or stands behind: 4, 45, 457.
    assert {name: found[name] for name in ("n_rows", "n_tokens", "n_nodes", "n_supervised", "lr")} == {
        "n_rows": 2, "n_tokens": 7, "n_nodes": 3, "n_supervised": 3, "lr": 0.5,
    }  # fmt: skip
    assert (state.step, state.units) == (1, 2)


def test_a_loss_that_is_not_finite_is_refused_before_the_step_and_names_the_rows() -> None:
    state = started(Full(), Imitate())
    state.step = 6
    with torch.no_grad():
        state.network.decoder.model.norm.weight[0] = math.nan
    before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters()}
    with pytest.raises(LuthierError) as caught:
        take_step(state, Imitate(), tiny_rows(2, name="ticket"), WHOLE, 1.0, 1.0)
    assert caught.value.where == "step 7"
    assert "ticket 0, ticket 1" in caught.value.problem
    assert "learning_rate" in caught.value.fix
    assert all(torch.equal(parameter, before[name]) or name.endswith("norm.weight") for name, parameter in state.network.named_parameters())


def test_a_gradient_that_is_not_finite_is_refused_although_the_loss_is() -> None:
    state = started(Full(), Imitate())
    parameter = state.network.decoder.model.norm.weight
    parameter.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(LuthierError, match="gradient's norm is"):
        take_step(state, Imitate(), tiny_rows(2), WHOLE, 1.0, 1.0)
    assert state.step == 0


def test_a_step_whose_rows_teach_nothing_is_refused() -> None:
    rows = [make_row([4, 5, 6], id="only context")]
    with pytest.raises(LuthierError, match="nothing in its rows can be learnt \\(only context\\)"):
        take_step(started(Full(), Imitate()), Imitate(), rows, WHOLE, 1.0, 1.0)


def test_a_row_without_a_label_weighs_nothing() -> None:
    rows = tiny_rows(5, n_classes=3)
    wanted, _ = gradients(Full(), Classify(LABELS), rows, WHOLE)
    found, _ = gradients(Full(), Classify(LABELS), [*rows, replace(tiny_rows(1, seed=8)[0], target=None)], WHOLE)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-10, msg=name)


def test_random_passes_draw_from_the_seed_the_step_and_the_micro_batch_alone() -> None:
    cuts = CutPlan("packed", 40, 0)
    rows = tiny_rows(6)

    def moved(seed: int, noise: int, step: int = 0) -> dict[str, Tensor]:
        state = started(LoRA(rank=3, dropout=0.5), Imitate())
        state.network.train()
        state.seed, state.step = seed, step
        torch.manual_seed(noise)
        take_step(state, Imitate(), rows, cuts, 1.0, math.inf)
        return {name: parameter.detach() for name, parameter in state.network.named_parameters() if parameter.requires_grad}

    first, again = moved(1, 5), moved(1, 6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    for other in (moved(2, 5), moved(1, 5, step=1)):
        assert any(not torch.equal(first[name], other[name]) for name in first)


def test_equal_micro_batches_of_one_step_draw_unlike_numbers() -> None:
    row = tiny_rows(1)[0]

    def gradient(n: int) -> Tensor:
        state = started(LoRA(rank=3, dropout=0.5), Imitate())
        state.network.train()
        state.seed = 1
        before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters() if parameter.requires_grad}
        take_step(state, Imitate(), [row] * n, CutPlan("packed", 1, 0), 1.0, math.inf)
        after = dict(state.network.named_parameters())
        return torch.cat([(after[name].detach() - tensor).flatten() for name, tensor in before.items()])

    # With the same draws in both, the mean over two equal micro-batches would be the gradient of one.
    assert (gradient(1) - gradient(2)).abs().max() > 1e-3


class CountCasts(TorchDispatchMode):
    """Counts how often a tensor of a given shape is copied into bfloat16."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.n = shape, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default and tuple(args[0].shape) == self.shape and kwargs["dtype"] == torch.bfloat16:
            self.n += 1
        return func(*args, **(kwargs or {}))


def test_trained_weights_are_cast_once_a_step_however_it_is_cut() -> None:
    network = tiny_network(torch.float32)
    Full().attach(network, 0)
    network.compute_dtype = torch.bfloat16
    rows = tiny_rows(9)
    batches = list(CutPlan("forest", 30, 0).batches(rows))
    assert len(batches) > 2
    with CountCasts((48, 32)) as counted:  # gate and up of each of two layers
        accumulate(network, Imitate(), batches)
    assert counted.n == 4
    assert not torch.is_autocast_enabled("cpu")
    assert all(one.grad is not None and one.grad.dtype == torch.float32 for one in network.parameters())
