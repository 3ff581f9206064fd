"""The cross-entropy in one pass: value and gradients of the plain formula, whatever is repeated, scaled, capped or cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.small import N_VOCABULARY, network_of
from torch import Tensor

from luthier.models import cross_entropy, outputs
from luthier.models.cross_entropy import CrossEntropy, Told, told_of
from luthier.models.network import Network
from luthier.text.batching import Batch, CutPlan
from luthier.text.rows import make_row

ROWS = [
    make_row([5, 6, 7, 8], [0, 0, 1, 0.5]), make_row([5, 6, 7, 8], [0, 0, 2, 1]), make_row([5, 6, 9], [0, 1, 0.25]),
    make_row([11, 12, 13, 14, 15], [0, 1, 3, 1, 1]), make_row([11, 12, 16], [0, 0, 1]),
]  # fmt: skip
"""Equal pairs of a state and a target, states with several targets, and unlike weights."""


def plain(network: Network, batch: Batch, smoothing: float) -> Tensor:
    """The formula of the module, with all logits at once."""
    logits = network.logits(network(batch).at(batch.source_S)).double()
    wanted = logits.gather(1, batch.target_S[:, None])[:, 0]
    cost = logits.logsumexp(-1) - (1 - smoothing) * wanted - smoothing * logits.mean(-1)
    return (batch.weight_S * cost).sum()


def value_and_gradients(network: Network, total: Tensor) -> list[Tensor]:
    network.zero_grad(set_to_none=True)
    (total / 7).backward()
    return [total.detach(), *(one.grad for one in network.parameters() if one.grad is not None)]


def calls_of(network: Network) -> list[int]:
    """Filled with the number of states that each call of the output layer reads."""
    calls: list[int] = []
    network.decoder.get_output_embeddings().register_forward_hook(lambda layer, given, out: calls.append(len(given[0])))
    return calls


@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["llama", "llama_one_head", "gemma2", "granite", "cohere"])
def test_value_and_all_gradients_are_those_of_the_formula_at_every_size_of_chunk_and_of_cache(
    kind: str, smoothing: float, layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untied and tied output layers, a soft cap, a divisor, a factor; the loop's division is in the gradients."""
    network = network_of(kind)
    batch = CutPlan(layout, 10_000, 0).make(ROWS)
    wanted = value_and_gradients(network, plain(network, batch, smoothing))
    n_sources = len(torch.unique(batch.source_S))
    for n_chunk, n_in_cache in [*((n, 1 + n % 3) for n in range(1, n_sources + 2)), (n_sources, 1), (n_sources, 2), (n_sources, 10_000)]:
        monkeypatch.setattr(outputs, "N_CHUNK", n_chunk)
        monkeypatch.setattr(cross_entropy, "IN_CACHE", n_in_cache * N_VOCABULARY)
        found = value_and_gradients(network, network(batch).cross_entropy(batch, smoothing))
        assert len(found) == len(wanted) > 10
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("is_trained", [True, False])
def test_each_distinct_state_is_read_once_in_chunks_that_are_held_to_their_size(is_trained: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("llama")
    network.decoder.get_output_embeddings().requires_grad_(is_trained)
    batch = CutPlan("forest", 10_000, 0).make(ROWS)
    calls = calls_of(network)
    monkeypatch.setattr(outputs, "N_CHUNK", 4)
    network(batch).cross_entropy(batch).backward()
    assert calls == [4, 3]
    assert (network.decoder.get_output_embeddings().weight.grad is not None) == is_trained


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_it_is_pytorchs_cross_entropy_where_all_weigh_one(smoothing: float) -> None:
    network = network_of("llama")
    batch = CutPlan("forest", 100, 0).make([make_row([4, 5, 6, 7], [0, 1, 1, 1]), make_row([4, 9], [0, 1])])
    logits = network.logits(network(batch).at(batch.source_S))
    wanted = torch.nn.functional.cross_entropy(logits, batch.target_S, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(network(batch).cross_entropy(batch, smoothing), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_without_a_gradient_the_value_is_the_same(smoothing: float) -> None:
    network = network_of("gemma2")
    batch = CutPlan("forest", 100, 0).make(ROWS)
    wanted = plain(network, batch, smoothing).detach()
    with torch.no_grad():
        found = network(batch).cross_entropy(batch, smoothing)
    assert not found.requires_grad
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    network.requires_grad_(False)
    torch.testing.assert_close(network(batch).cross_entropy(batch, smoothing), wanted, rtol=1e-12, atol=1e-12)


def told(pairs: list[tuple[int, int, float]], n: int) -> Told:
    state, target, weight = (torch.tensor(one) for one in zip(*pairs, strict=True))
    weight_U = torch.zeros(n, dtype=torch.float64).index_add(0, state, weight.double())
    return Told(torch.arange(n), weight_U, state, target, weight.double())


def layer_of(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda states: 2 * torch.tanh(torch.nn.functional.linear(states, weight, bias) / 2)


def test_the_gradient_is_that_of_finite_differences_with_a_bias_and_a_cap() -> None:
    torch.manual_seed(0)
    states, weight, bias = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 4), (6, 4), (6,)))
    said = told([(0, 1, 1.0), (0, 5, 0.5), (1, 1, 2.0), (2, 0, 1.0)], 3)

    def total(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return CrossEntropy(layer_of(weight, bias), (weight, bias), said, 0.2, 2)(states)

    assert torch.autograd.gradcheck(total, (states, weight, bias))


def test_weights_that_cancel_leave_a_gradient() -> None:
    """w = 1 and −1 on two targets of one state: l_5 − l_1, whatever else is likely."""
    states = torch.eye(6, dtype=torch.float64)[:1].requires_grad_()
    weight = torch.arange(36, dtype=torch.float64).reshape(6, 6)
    CrossEntropy(lambda x: x @ weight.T, (), told([(0, 1, 1.0), (0, 5, -1.0)], 1), 0.0, 8)(states).backward()
    torch.testing.assert_close(states.grad, (weight[5] - weight[1])[None])


def test_a_target_too_unlikely_for_its_share_to_be_a_number_costs_what_it_should() -> None:
    states = torch.tensor([[300.0, 0.0, 1.0]], requires_grad=True)
    total = CrossEntropy(lambda x: 1 * x, (), told([(0, 1, 2.0)], 1), 0.0, 8)(states)
    total.backward()
    assert float(total.detach()) == 600.0
    assert states.grad is not None and states.grad.tolist() == [[2.0, -2.0, 0.0]]


def test_in_half_precision_the_value_is_float32_and_the_scale_is_not_rounded() -> None:
    """Two thirds of a gradient of one: with the scale rounded to bfloat16 first, many a product would round elsewhere."""
    network = network_of("llama", torch.bfloat16)
    batch = CutPlan("forest", 100, 0).make(ROWS)
    states = network(batch).states_MD.detach().requires_grad_()
    total = outputs.Outputs(network, states).cross_entropy(batch)
    assert total.dtype == torch.float32
    whole = torch.autograd.grad(total, states, retain_graph=True)[0]
    part = torch.autograd.grad(total, states, torch.tensor(2 / 3))[0]
    assert whole.dtype == part.dtype == torch.bfloat16
    assert torch.equal(part, (whole.float() * torch.tensor(2 / 3)).bfloat16())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_of_half_precise_logits_the_value_is_as_exact_as_float32(smoothing: float) -> None:
    """Logits are what bfloat16 made of them; nothing that is read off them is rounded to bfloat16 again, where 1 + 1/300 is 1."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 300, generator=draw).bfloat16().requires_grad_()
    pairs = [(state, 7 * state, 1.0 + state % 3) for state in range(40)]
    value = CrossEntropy(lambda x: 1 * x, (), told(pairs, 40), smoothing, 16)(logits)
    true = logits.detach().double()
    weight, target = (torch.tensor([pair[i] for pair in pairs]) for i in (2, 1))
    cost = true.logsumexp(-1) - (1 - smoothing) * true[torch.arange(40), target] - smoothing * true.mean(-1)
    torch.testing.assert_close(value.detach().double(), (weight * cost).sum(), rtol=1e-6, atol=0)
    wanted = weight[:, None] * (true.softmax(-1) - smoothing / 300)
    wanted[torch.arange(40), target] -= (1 - smoothing) * weight
    rounded_elsewhere = torch.autograd.grad(value, logits)[0] != wanted.bfloat16()
    assert float(rounded_elsewhere.float().mean()) < 0.01


def test_what_is_told_is_merged() -> None:
    batch = CutPlan("padded", 100, 0).make([make_row([5, 6, 7], [0, 1, 0.5]), make_row([5, 9], [0, 2])])
    found = told_of(batch, N_VOCABULARY)
    assert found.source_U.tolist() == [0, 1, 2] and found.weight_U.tolist() == [1, 0.5, 2]
    batch = CutPlan("forest", 100, 0).make([make_row([5, 9, 7], [0, 1, 0.5]), make_row([5, 6], [0, 2]), make_row([5, 9], [0, 4])])
    found = told_of(batch, N_VOCABULARY)
    assert found.weight_U.tolist() == [7, 0.5] and found.state_P.tolist() == [0, 0, 1]
    assert found.target_P.tolist() == [6, 9, 7] and found.weight_P.tolist() == [2, 5, 0.5]


def test_a_batch_that_tells_nothing_costs_nothing_and_can_be_differentiated() -> None:
    network = network_of("llama")
    batch = CutPlan("forest", 100, 0).make([make_row([5, 6])])
    total = network(batch).cross_entropy(batch, 0.1)
    assert float(total.detach()) == 0
    total.backward()
    assert all(float(one.grad.abs().max()) == 0 for one in network.parameters() if one.grad is not None)
