"""What every method declares about itself, held over the whole table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
import transformers
from tests.tiny import tiny_decoder, tiny_network, tiny_rows
from torch import Tensor

from luthier.methods import AnyMethod, Full, LoRA
from luthier.methods.protocol import MERGE_TOLERANCE
from luthier.models.attention import Sequences
from luthier.models.heads import load_head, save_head
from luthier.models.network import Network
from luthier.objectives import Imitate
from luthier.text.batching import CutPlan
from luthier.train import begin, take_step
from luthier.train.optim import AdamW

CUTS = CutPlan("packed", 10**6, 0)
VARIANTS: dict[type[AnyMethod], list[AnyMethod]] = {
    Full: [Full()],
    LoRA: [LoRA(rank=4), LoRA(rank=3, alpha=1.5, dropout=0.1), LoRA(rank=2, targets=("q_proj", "layers.1.mlp.down_proj"))],
}
METHODS = [method for kind in get_args(AnyMethod) for method in VARIANTS.get(kind, [kind()])]
MERGEABLE = [method for method in METHODS if method.mergeable]


def base_tensors(network: Network) -> dict[str, Tensor]:
    """The base's own tensors by the family's names."""
    names = tiny_decoder().state_dict().keys()
    return {name: tensor.detach().clone() for name, tensor in network.decoder.state_dict().items() if name in names}


def logps(network: Network) -> Tensor:
    """What the network says about some rows, without draws."""
    batch = CUTS.make(tiny_rows(5, seed=4))
    network.eval()
    with torch.no_grad():
        return network(batch).token_logps(batch)


def trained(method: AnyMethod, dtype: torch.dtype = torch.float32, n_steps: int = 12) -> tuple[Network, list[float]]:
    """A network after some steps on the same rows, and their losses."""
    network = tiny_network(dtype)
    method.attach(network, 0)
    network.train()
    state = begin(network, AdamW(weight_decay=0.01), "", seed=1 if method.is_random else None)
    rate = 2e-3 if method.moves_base else 2e-2
    return network, [float(take_step(state, Imitate(), tiny_rows(8), CUTS, rate, 1.0)["loss_nats"]) for _ in range(n_steps)]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_freshly_attached_method_leaves_every_output_as_it_was(method: AnyMethod) -> None:
    network = tiny_network(torch.float32)
    before = logps(network)
    method.attach(network, 0)
    assert method.starts_as_identity
    torch.testing.assert_close(logps(network), before, rtol=1e-6, atol=0)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_base_moves_if_the_method_says_so_and_not_by_a_bit_if_not(method: AnyMethod) -> None:
    before = base_tensors(tiny_network(torch.float32))
    network, _ = trained(method)
    after = base_tensors(network)
    moved = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    assert sorted(moved) == (sorted(before) if method.moves_base else [])


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_loss_falls(method: AnyMethod) -> None:
    _, losses = trained(method, n_steps=40)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_trained_tensor_moves_and_is_float32(method: AnyMethod) -> None:
    network = tiny_network(torch.bfloat16)
    method.attach(network, 0)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters() if parameter.requires_grad}
    network.train()
    state = begin(network, AdamW(weight_decay=0.0), "", seed=1 if method.is_random else None)
    for _ in range(2):
        take_step(state, Imitate(), tiny_rows(8), CUTS, 1e-2, 1.0)
    after = dict(network.named_parameters())
    assert before
    assert {tensor.dtype for tensor in before.values()} == {torch.float32}
    assert [name for name, tensor in before.items() if torch.equal(tensor, after[name])] == []


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_what_is_saved_is_what_is_loaded(method: AnyMethod, tmp_path: Path) -> None:
    network, _ = trained(method)
    method.save(network, tmp_path)
    other = tiny_network(torch.float32)
    method.attach(other, 1)
    method.load(other, tmp_path)
    wanted, found = network.state_dict(), other.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    assert torch.equal(logps(other), logps(network))


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_same_seed_attaches_the_same_and_another_does_not_matter_to_the_base(method: AnyMethod) -> None:
    networks = [tiny_network(torch.float32) for _ in range(2)]
    for noise, network in enumerate(networks):
        torch.manual_seed(noise)
        method.attach(network, 7)
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_tied_tensors_stay_tied(method: AnyMethod) -> None:
    network, _ = trained(method, n_steps=1)
    assert network.decoder.get_output_embeddings().weight is network.decoder.get_input_embeddings().weight


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_head_is_trained_whatever_the_method(method: AnyMethod, tmp_path: Path) -> None:
    network = tiny_network(torch.float32, n_scores=3, pooling="mean")
    network.requires_grad_(False)
    method.attach(network, 0)
    head = network.head
    assert head is not None
    assert all(parameter.requires_grad for parameter in head.parameters())
    torch.nn.init.normal_(head.linear.weight)
    save_head(head, tmp_path / "head.safetensors")
    found = load_head(tmp_path / "head.safetensors", "mean")
    assert all(torch.equal(tensor, found.state_dict()[name]) for name, tensor in head.state_dict().items())


@pytest.mark.parametrize(("dtype", "tolerance"), MERGE_TOLERANCE.items(), ids=str)
@pytest.mark.parametrize("method", MERGEABLE, ids=str)
def test_merged_is_attached(method: AnyMethod, dtype: torch.dtype, tolerance: float) -> None:
    network, _ = trained(method, dtype)
    untrained = logps(tiny_network(dtype))
    wanted = logps(network)
    names = base_tensors(network).keys()
    method.merge(network)
    assert network.decoder.state_dict().keys() == names
    found = logps(network)
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    assert (wanted - untrained).abs().max() > max(0.3, tolerance), "what was learnt would be lost in the tolerance"


@pytest.mark.parametrize("method", MERGEABLE, ids=str)
def test_each_merged_weight_is_exact_to_float32(method: AnyMethod) -> None:
    network, _ = trained(method)
    before = base_tensors(network)
    additions = {name: layer.lora for name, layer in network.decoder.named_modules() if hasattr(layer, "lora")}
    wanted = {}
    for name, delta in additions.items():
        product = delta.B.detach().double() @ delta.A.detach().double()
        wanted[f"{name}.weight"] = before[f"{name}.weight"].double() + product * (method.alpha / method.rank)
    method.merge(network)
    after = base_tensors(network)
    for name, tensor in before.items():
        torch.testing.assert_close(after[name].double(), wanted.get(name, tensor.double()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", [method for method in METHODS if method.moves_base], ids=str)
def test_what_is_saved_loads_in_transformers_with_equal_outputs(method: AnyMethod, tmp_path: Path) -> None:
    network, _ = trained(method)
    method.save(network, tmp_path)
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    tokens = torch.arange(3, 23)[None]
    states = network.states(tokens, torch.arange(20)[None], Sequences())
    torch.testing.assert_close(network.logits(states), reference(tokens).logits, rtol=1e-5, atol=1e-5)


def test_the_table_has_a_variant_of_every_method() -> None:
    assert set(VARIANTS) == set(get_args(AnyMethod))
