"""Which parameters go where and decay, steps by hand, and the optimizers' state as tensors."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_network

from luthier.methods import Full, LoRA
from luthier.models.network import Network
from luthier.train.optim import (
    BETAS,
    EPS,
    MOMENTUM,
    AdamW,
    AnyOptimizer,
    Muon,
    load_optimizer_tensors,
    optimizer_tensors,
    trained_parameters,
)

KINDS: tuple[AnyOptimizer, ...] = (AdamW(weight_decay=0.1), Muon(weight_decay=0.1))


def parameters_of(optimizers: tuple[torch.optim.Optimizer, ...], network: Network, *, decayed: bool) -> set[str]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = [group for optimizer in optimizers for group in optimizer.param_groups if bool(group["weight_decay"]) is decayed]
    return {names[id(parameter)] for group in groups for parameter in group["params"]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.kind)
def test_matrices_decay_and_embeddings_norms_and_biases_do_not(kind: AnyOptimizer) -> None:
    network = tiny_network(n_scores=3)
    Full().attach(network, 0)
    optimizers = kind.over(network)
    decayed, spared = (parameters_of(optimizers, network, decayed=one) for one in (True, False))
    names = dict(network.named_parameters()).keys()
    assert decayed | spared == names
    assert decayed == {name for name in names if "_proj" in name} | {"head.linear.weight"}
    assert {"decoder.model.embed_tokens.weight", "decoder.model.norm.weight", "head.linear.bias"} <= spared


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.kind)
def test_an_untied_output_layer_is_a_matrix_and_decays(kind: AnyOptimizer) -> None:
    network = tiny_network(tie_word_embeddings=False)
    Full().attach(network, 0)
    decayed = parameters_of(kind.over(network), network, decayed=True)
    assert "decoder.lm_head.weight" in decayed
    assert "decoder.model.embed_tokens.weight" not in decayed


@pytest.mark.parametrize("tied", [True, False])
def test_muon_moves_the_matrices_between_embedding_and_output_and_adamw_moves_the_others(tied: bool) -> None:
    network = tiny_network(n_scores=3, tie_word_embeddings=tied)
    Full().attach(network, 0)
    hidden, others = Muon().over(network)
    assert isinstance(hidden, torch.optim.Muon) and isinstance(others, torch.optim.AdamW)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    moved = {names[id(one)] for group in hidden.param_groups for one in group["params"]}
    assert moved == {name for name in names.values() if "_proj" in name}


def test_a_step_of_muon_is_half_orthogonal_and_as_large_as_the_longer_side_says() -> None:
    network = tiny_network()
    Full().attach(network, 0)
    hidden, _ = Muon(weight_decay=0.1).over(network)
    weight = network.decoder.model.layers[0].mlp.up_proj.weight
    before, draw = weight.detach().clone(), torch.Generator().manual_seed(0)
    gradients = [torch.randn(weight.shape, generator=draw, dtype=weight.dtype) for _ in range(2)]
    momentum = torch.zeros_like(weight)
    for gradient in gradients:
        weight.grad = gradient.clone()
        before = weight.detach().clone()
        for group in hidden.param_groups:
            group["lr"] = 0.01
        hidden.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
    step = (before * (1 - 0.01 * 0.1) - weight.detach()) / (0.01 * 0.2 * max(weight.shape) ** 0.5)
    # Five steps of Newton and Schulz in bfloat16 bring singular values near 1, not to it (Jordan and others: 0.7 to 1.2).
    assert torch.linalg.svdvals(step).min() > 0.6 and torch.linalg.svdvals(step).max() < 1.3
    wanted = (1 - MOMENTUM) * gradients[1] + MOMENTUM * momentum
    left, _, right = torch.linalg.svd(wanted, full_matrices=False)
    together = (step * (left @ right)).sum() / (step.norm() * (left @ right).norm())
    assert together > 0.97


def test_two_steps_are_adamw_by_hand() -> None:
    network = tiny_network()
    Full().attach(network, 0)
    (optimizer,) = AdamW(weight_decay=0.1).over(network)
    weight = network.decoder.model.layers[0].mlp.up_proj.weight
    wanted, first, second = weight.detach().clone(), torch.zeros_like(weight), torch.zeros_like(weight)
    for t, scale in enumerate((1.0, -3.0), start=1):
        gradient = scale * torch.linspace(-1, 1, weight.numel(), dtype=weight.dtype).reshape(weight.shape)
        weight.grad = gradient.clone()
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        optimizer.step()
        first, second = BETAS[0] * first + (1 - BETAS[0]) * gradient, BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        wanted = wanted * (1 - 0.01 * 0.1)
        wanted = wanted - 0.01 * (first / (1 - BETAS[0] ** t)) / ((second / (1 - BETAS[1] ** t)).sqrt() + EPS)
    torch.testing.assert_close(weight.detach(), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", [Full(), LoRA(rank=2)], ids=lambda method: method.kind)
def test_the_state_of_adamw_is_both_moments_and_the_step_of_every_trained_tensor(method: Full | LoRA) -> None:
    network, tensors = after_a_step(AdamW(), method)
    assert tensors.keys() == {f"{what}/{name}" for what in ("step", "exp_avg", "exp_avg_sq") for name in trained_parameters(network)}


def test_the_state_of_muon_is_the_momentum_of_its_matrices_and_adamws_of_the_others() -> None:
    network, tensors = after_a_step(Muon(), Full())
    moved = {name for name in trained_parameters(network) if "_proj" in name}
    others = trained_parameters(network).keys() - moved
    assert tensors.keys() == {
        *(f"momentum_buffer/{name}" for name in moved),
        *(f"{what}/{name}" for what in ("step", "exp_avg", "exp_avg_sq") for name in others),
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.kind)
def test_a_state_that_is_put_back_is_the_same_and_the_next_step_too(kind: AnyOptimizer) -> None:
    network, tensors = after_a_step(kind, Full())
    others = kind.over(network)
    load_optimizer_tensors(network, others, tensors)
    again = optimizer_tensors(network, others)
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    assert all(again[name].data_ptr() != tensor.data_ptr() for name, tensor in tensors.items())


def after_a_step(kind: AnyOptimizer, method: Full | LoRA) -> tuple[Network, dict[str, torch.Tensor]]:
    network = tiny_network()
    method.attach(network, 0)
    optimizers = kind.over(network)
    for parameter in trained_parameters(network).values():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    return network, optimizer_tensors(network, optimizers)
