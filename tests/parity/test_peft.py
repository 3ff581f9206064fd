"""LoRA against Hugging Face's PEFT, both ways, on a Llama with tied embeddings and grouped queries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tests.tiny import tiny_decoder, tiny_network
from torch import Tensor

from luthier.core.errors import LuthierError
from luthier.methods import LoRA
from luthier.models.attention import Sequences
from luthier.models.network import Network

TOKENS = torch.arange(3, 23)[None]


def our_logits(network: Network) -> Tensor:
    network.eval()
    with torch.no_grad():
        return network.logits(network.states(TOKENS, torch.arange(TOKENS.shape[1])[None], Sequences()))


def shake(tensors: list[Tensor]) -> None:
    """Move tensors off their start, B off zero above all."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in tensors:
            tensor.add_(torch.randn(tensor.shape, generator=draw) / 5)


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "v_proj"), ("layers.0.mlp.up_proj",)], ids=str)
def test_peft_loads_what_we_save_with_equal_outputs(targets: str | tuple[str, ...], tmp_path: Path) -> None:
    method = LoRA(rank=3, alpha=7.0, targets=targets)  # type: ignore[arg-type]
    network = tiny_network(torch.float32)
    plain = our_logits(network)
    method.attach(network, 0)
    shake([parameter for parameter in network.parameters() if parameter.requires_grad])
    method.save(network, tmp_path)
    theirs = PeftModel.from_pretrained(tiny_decoder(torch.float32), tmp_path).eval()
    wanted = our_logits(network)
    assert (wanted - plain).abs().max() > 0.1
    torch.testing.assert_close(theirs(TOKENS).logits, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "down_proj"]], ids=str)
def test_we_load_what_peft_saves_with_equal_outputs(targets: str | list[str], tmp_path: Path) -> None:
    config = LoraConfig(r=5, lora_alpha=3, target_modules=targets, task_type="CAUSAL_LM", lora_dropout=0.1)
    theirs = get_peft_model(tiny_decoder(torch.float32), config).eval()
    shake([parameter for parameter in theirs.parameters() if parameter.requires_grad])
    theirs.save_pretrained(tmp_path)
    method = LoRA.of(tmp_path)
    assert (method.rank, method.alpha, method.dropout) == (5, 3.0, 0.1)
    network = tiny_network(torch.float32)
    method.attach(network, 0)
    method.load(network, tmp_path)
    torch.testing.assert_close(our_logits(network), theirs(TOKENS).logits, rtol=1e-5, atol=1e-5)


def test_all_linear_means_the_same_layers_to_both() -> None:
    theirs = get_peft_model(tiny_decoder(torch.float32), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    network = tiny_network(torch.float32)
    LoRA(rank=2).attach(network, 0)
    ours = {name.removesuffix(".lora.A") for name, _ in network.decoder.named_parameters() if name.endswith(".lora.A")}
    adapted = [name.removesuffix(".lora_A.default") for name, _ in theirs.named_modules() if name.endswith("lora_A.default")]
    wanted = {name.removeprefix("base_model.model.") for name in adapted}
    assert ours == wanted


def test_a_is_drawn_from_the_range_that_peft_draws_from() -> None:
    theirs = get_peft_model(tiny_decoder(torch.float32), LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    network = tiny_network(torch.float32)
    LoRA(rank=16).attach(network, 0)
    layer = network.decoder.model.layers[0].mlp.down_proj
    wanted = theirs.base_model.model.model.layers[0].mlp.down_proj.lora_A.default.weight
    bound = 48**-0.5  # Kaiming-uniform with a = √5 over 48 inputs
    assert 0.95 * bound < layer.lora.A.abs().max() <= bound
    assert 0.95 * bound < wanted.abs().max() <= bound
    assert not layer.lora.B.any()


@pytest.mark.parametrize("said", [{"use_rslora": True}, {"use_dora": True}, {"bias": "all"}, {"rank_pattern": {"q_proj": 2}}], ids=str)
def test_an_adapter_with_what_we_do_not_have_is_refused_by_name(said: dict[str, object], tmp_path: Path) -> None:
    config = LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", **said)  # type: ignore[arg-type]
    get_peft_model(tiny_decoder(torch.float32), config).save_pretrained(tmp_path)
    with pytest.raises(LuthierError, match=next(iter(said))):
        LoRA.of(tmp_path)


def test_an_adapter_of_another_kind_is_refused(tmp_path: Path) -> None:
    method, network = LoRA(rank=2), tiny_network(torch.float32)
    method.attach(network, 0)
    method.save(network, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "peft_type": "IA3"}))
    with pytest.raises(LuthierError, match="peft_type is IA3"):
        LoRA.of(tmp_path)
