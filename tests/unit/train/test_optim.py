"""Decay groups, one step of AdamW by hand, and the optimizer's state as tensors."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_network

from luthier.methods import Full, LoRA
from luthier.train.optim import BETAS, EPS, load_optimizer_tensors, make_optimizer, optimizer_tensors, trained_parameters


def test_matrices_decay_and_embeddings_norms_and_biases_do_not() -> None:
    network = tiny_network(n_scores=3)
    Full().attach(network, 0)
    optimizer = make_optimizer(network, 0.1)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    decayed = {names[id(p)] for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    spared = {names[id(p)] for group in optimizer.param_groups if not group["weight_decay"] for p in group["params"]}
    assert decayed | spared == set(names.values())
    assert decayed == {name for name in names.values() if "_proj" in name} | {"head.linear.weight"}
    assert {"decoder.model.embed_tokens.weight", "decoder.model.norm.weight", "head.linear.bias"} <= spared


def test_an_untied_output_layer_is_a_matrix_and_decays() -> None:
    network = tiny_network(tie_word_embeddings=False)
    Full().attach(network, 0)
    decayed = {id(p) for group in make_optimizer(network, 0.1).param_groups if group["weight_decay"] for p in group["params"]}
    assert id(network.decoder.lm_head.weight) in decayed
    assert id(network.decoder.model.embed_tokens.weight) not in decayed


def test_two_steps_are_adamw_by_hand() -> None:
    network = tiny_network()
    Full().attach(network, 0)
    optimizer = make_optimizer(network, 0.1)
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
def test_the_state_of_an_optimizer_is_both_moments_and_the_step_of_every_trained_tensor(method: Full | LoRA) -> None:
    network = tiny_network()
    method.attach(network, 0)
    optimizer = make_optimizer(network, 0.0)
    for parameter in trained_parameters(network).values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    tensors = optimizer_tensors(network, optimizer)
    assert tensors.keys() == {f"{what}/{name}" for what in ("step", "exp_avg", "exp_avg_sq") for name in trained_parameters(network)}
    other = make_optimizer(network, 0.0)
    load_optimizer_tensors(network, other, tensors)
    again = optimizer_tensors(network, other)
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    assert all(again[name].data_ptr() != tensor.data_ptr() for name, tensor in tensors.items())
