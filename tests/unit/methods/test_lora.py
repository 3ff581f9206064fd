"""LoRA by hand, on GPT-2's transposed layers, and what it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tests.tiny import tiny_network
from transformers import GPT2Config, GPT2LMHeadModel

from luthier.core.errors import LuthierError, LuthierErrors
from luthier.methods import Full, LoRA
from luthier.methods.lora import adapted
from luthier.models.attention import SEAM, Sequences, install
from luthier.models.network import Network


def test_the_addition_is_alpha_over_rank_times_b_a_x() -> None:
    network = tiny_network()
    LoRA(rank=2, alpha=6.0).attach(network, 0)
    layer = network.decoder.model.layers[0].self_attn.q_proj
    torch.nn.init.normal_(layer.lora.B)
    x = torch.randn(3, 32, dtype=torch.float64)
    wanted = x @ layer.weight.T + 3.0 * (x @ layer.lora.A.T @ layer.lora.B.T)
    torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-12)


def test_a_layers_start_depends_on_the_seed_and_its_name_and_not_on_what_else_is_adapted() -> None:
    few, many, other = (tiny_network(torch.float32) for _ in range(3))
    LoRA(rank=2, targets=("v_proj",)).attach(few, 0)
    LoRA(rank=2).attach(many, 0)
    LoRA(rank=2).attach(other, 1)
    first, second, third = (network.decoder.model.layers[1].self_attn.v_proj.lora.A for network in (few, many, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(second, many.decoder.model.layers[0].self_attn.v_proj.lora.A)


def test_all_linear_leaves_the_output_layer_out_even_when_it_is_not_tied() -> None:
    network = tiny_network(torch.float32, tie_word_embeddings=False)
    LoRA().attach(network, 0)
    names = [name for name, _ in adapted(network)]
    assert len(names) == 2 * 7
    assert not any("lm_head" in name for name in names)


def test_a_target_that_names_no_layer_is_refused_with_the_nearest_name_and_all_of_them_at_once() -> None:
    with pytest.raises(LuthierErrors) as caught:
        LoRA(targets=("q_prj", "q_proj", "c_attn")).attach(tiny_network(), 0)
    assert [error.where for error in caught.value.errors] == ["[method] targets"] * 2
    assert 'did you mean "q_proj"' in caught.value.errors[0].fix
    assert "called c_attn" in caught.value.errors[1].problem


def test_a_refused_target_leaves_the_network_untouched() -> None:
    network = tiny_network()
    with pytest.raises(LuthierError):
        LoRA(targets=("nothing",)).attach(network, 0)
    assert list(adapted(network)) == []
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_an_adapter_of_another_rank_or_of_other_layers_is_refused(tmp_path: Path) -> None:
    small = tiny_network(torch.float32)
    LoRA(rank=2, targets=("q_proj",)).attach(small, 0)
    LoRA(rank=2, targets=("q_proj",)).save(small, tmp_path)
    others = {"its rank is 2": LoRA(rank=4), "is missing": LoRA(rank=2), "not in this network": LoRA(rank=2, targets=("k_proj",))}
    for problem, method in others.items():
        network = tiny_network(torch.float32)
        method.attach(network, 0)
        with pytest.raises(LuthierError, match=problem):
            method.load(network, tmp_path)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no adapter that can be read"):
        LoRA.of(tmp_path)


def test_full_refuses_a_folder_of_another_shape(tmp_path: Path) -> None:
    Full().save(tiny_network(torch.float32, intermediate_size=40), tmp_path)
    with pytest.raises(LuthierError, match="do not fit this model"):
        Full().load(tiny_network(torch.float32), tmp_path)
    with pytest.raises(LuthierError, match="do not fit this model"):
        Full().load(tiny_network(torch.float32), tmp_path / "absent")


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
    return GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.3, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))


def test_layers_that_keep_their_weight_transposed_are_adapted_saved_and_merged_alike(tmp_path: Path) -> None:
    install()
    decoder = gpt2()
    decoder.set_attn_implementation(SEAM)
    network, method = Network(decoder), LoRA(rank=3)
    method.attach(network, 0)
    for _, layer in adapted(network):
        torch.nn.init.normal_(layer.lora.B, std=0.3)
    method.save(network, tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["fan_in_fan_out"] is True
    tokens, places = torch.arange(3, 23)[None], torch.arange(20)[None]
    network.eval()
    with torch.no_grad():
        wanted = network.logits(network.states(tokens, places, Sequences()))
        theirs = PeftModel.from_pretrained(gpt2(), tmp_path).eval()(tokens).logits
        method.merge(network)
        merged = network.logits(network.states(tokens, places, Sequences()))
    torch.testing.assert_close(theirs, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(merged, wanted, rtol=1e-4, atol=1e-4)


def test_a_copy_of_an_adapted_network_is_independent_of_it() -> None:
    network = tiny_network(torch.float32)
    LoRA(rank=2).attach(network, 0)
    twin = copy.deepcopy(network)
    x = torch.randn(2, 32)
    layer, other = (each.decoder.model.layers[0].self_attn.q_proj for each in (network, twin))
    before = layer(x)
    torch.nn.init.normal_(other.lora.B)
    assert torch.equal(layer(x), before)
    assert not torch.equal(other(x), before)
