"""Our own forward pass: each function against finite differences, the whole against the family's, and who is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.small import N_VOCABULARY, network_of
from tests.tiny import tiny_network, tiny_rows
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from luthier.methods import Full, LoRA
from luthier.models.blocks import Blocks, NotUsual
from luthier.models.blocks.gate import gated
from luthier.models.blocks.norm import rms_norm
from luthier.models.blocks.rotary import rotated
from luthier.models.heads import RowHead
from luthier.models.network import Network, trees
from luthier.models.probe import probe
from luthier.text.batching import Batch, CutPlan

USUAL = ("llama", "llama_one_head", "mistral_window", "qwen2", "qwen2_window", "qwen3")
UNUSUAL = {
    "gemma2": "embeddings", "gemma3": "embeddings", "gpt2": "wte", "olmo2": "post_feedforward_layernorm", "phi3": "resid_attn_dropout",
    "granite": "embedding_multiplier", "cohere": "post_attention_layernorm",
}  # fmt: skip


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turns(n_rows: int, n_places: int, width: int) -> tuple[Tensor, Tensor]:
    angle = drawn(n_rows, n_places, 1, width // 2, seed=5).repeat(1, 1, 1, 2)
    return 1.5 * angle.cos(), 1.5 * angle.sin()  # some ways of scaling positions also scale the turn


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (2, 2, 3, 4)], ids=str)
def test_the_gradient_of_the_norm_is_that_of_finite_differences(shape: tuple[int, ...]) -> None:
    x, weight = drawn(*shape).requires_grad_(), drawn(shape[-1], seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, weight: rms_norm(x, weight, 1e-2), (x, weight))
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, weight.detach(), 1e-2), (x,))
    assert torch.autograd.gradcheck(lambda weight: rms_norm(x.detach(), weight, 1e-2), (weight,))


def test_the_gradients_of_the_gate_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(gated, (drawn(3, 4).requires_grad_(), drawn(3, 4, seed=1).requires_grad_()))


def test_the_gradient_of_the_turn_is_that_of_finite_differences() -> None:
    cos, sin = turns(2, 3, 6)
    assert torch.autograd.gradcheck(lambda x: rotated(x, cos, sin), (drawn(2, 3, 2, 6).requires_grad_(),))


def test_the_functions_compute_what_their_definitions_say() -> None:
    x, y, weight = drawn(2, 3, 2, 6), drawn(2, 3, 2, 6, seed=1), drawn(6, seed=2)
    cos, sin = turns(2, 3, 6)
    halves = torch.cat((-x[..., 3:], x[..., :3]), -1)
    torch.testing.assert_close(rms_norm(x, weight, 1e-2), nn.functional.rms_norm(x, (6,), weight, 1e-2), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(gated(x, y), x * torch.sigmoid(x) * y, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(rotated(x, cos, sin), x * cos + halves * sin, rtol=1e-13, atol=1e-13)


def _in_one_type(x: Tensor, what: str) -> Tensor:
    if what == "norm":
        return rms_norm(x, drawn(6, seed=2).to(x.dtype), 1e-6)
    exact = torch.promote_types(x.dtype, torch.float32)
    return gated(x, x.flip(0)) if what == "gate" else rotated(x, *(one.to(exact) for one in turns(2, 3, 6)))


def test_the_norm_rounds_where_the_families_do() -> None:
    family = LlamaRMSNorm(64).bfloat16()
    nn.init.normal_(family.weight)
    x = drawn(40, 64).bfloat16()
    found = rms_norm(x, family.weight, family.variance_epsilon)
    assert (found != family(x)).float().mean() < 0.01  # the last bit of the mean may differ in float32


@pytest.mark.parametrize("what", ["norm", "gate", "turn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_types_stay_as_they_are_and_nothing_that_is_handed_in_is_changed(what: str, dtype: torch.dtype) -> None:
    x, given = drawn(2, 3, 2, 6).to(dtype).requires_grad_(), drawn(2, 3, 2, 6, seed=1).to(dtype)
    exact = x.detach().double().requires_grad_()
    wanted = torch.autograd.grad(_in_one_type(exact, what), exact, given.double())[0]
    before = given.clone(), x.detach().clone()
    found = _in_one_type(x, what)
    (gradient,) = torch.autograd.grad(found, x, given)
    assert found.dtype == gradient.dtype == dtype
    assert torch.equal(given, before[0])
    assert torch.equal(x, before[1])
    assert (gradient - wanted).norm() < 4 * torch.finfo(dtype).eps * wanted.norm()


def batch_of(network: Network, layout: str = "forest", **how: Any) -> Batch:
    """Some rows that share a beginning, of tokens that every model here has."""
    rows = tiny_rows(7, seed=2, **how)
    rows = [replace(row, tokens=row.tokens % N_VOCABULARY) for row in rows]
    return CutPlan(layout, 10**6, 0).make(rows)  # type: ignore[arg-type]


def adapted(network: Network, method: str) -> Network:
    """With LoRA off its start, or everything trained."""
    torch.manual_seed(3)
    if method == "full":
        Full().attach(network, 0)
    else:
        LoRA(rank=2).attach(network, 0)
        for name, parameter in network.named_parameters():
            if name.endswith("lora.B"):
                nn.init.normal_(parameter, std=0.1)
    if network.head is not None:
        nn.init.normal_(network.head.linear.weight)
    return network


def loss_and_gradients(network: Network, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """A loss that reads the tokens, or the head where there is one."""
    network.zero_grad(set_to_none=True)
    outputs = network(batch)
    if network.head is None:
        loss = -(outputs.token_logps(batch) * batch.weight_S).sum()
    else:
        loss = outputs.row_scores(batch).square().sum() - (outputs.token_logps(batch) * batch.weight_S).sum()
    loss.backward()
    return loss.detach(), {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


def assert_alike(network: Network, batch: Batch, tolerance: float = 1e-10) -> None:
    """Ours against the family's own: the loss, and each gradient."""
    network.blocks = None
    wanted = loss_and_gradients(network, batch)
    network.blocks = Blocks(network.body)
    found = loss_and_gradients(network, batch)
    assert found[1].keys() == wanted[1].keys()
    torch.testing.assert_close(found[0], wanted[0], rtol=tolerance, atol=0)
    for name, gradient in wanted[1].items():
        assert gradient.norm() > 0, name
        assert (found[1][name] - gradient).norm() <= tolerance * gradient.norm(), name


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("kind", USUAL)
def test_loss_and_every_gradient_are_the_familys(kind: str, method: str) -> None:
    network = adapted(network_of(kind), method)
    assert_alike(network, batch_of(network))


@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("kind", ["mistral_window", "qwen3"])
def test_the_other_layouts_give_the_familys_too(kind: str, layout: str) -> None:
    network = adapted(network_of(kind), "full")
    assert_alike(network, batch_of(network, layout))


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_with_a_head_too(pooling: Any) -> None:
    network = network_of("qwen2")
    network.head = RowHead(16, 3, pooling).double()
    assert_alike(adapted(network, "full"), batch_of(network))


def test_biases_and_scaled_positions_too() -> None:
    rope = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32}  # fmt: skip
    network = network_of("llama", attention_bias=True, mlp_bias=True, rope_parameters=rope)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    assert_alike(adapted(network, "full"), batch_of(network))


def test_norms_whose_weights_are_not_one_too() -> None:
    network = network_of("qwen3")
    for name, parameter in network.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter)
    assert_alike(adapted(network, "full"), batch_of(network))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_under_autocast_the_gradient_is_as_near_to_the_exact_one_as_the_familys(method: str) -> None:
    exact = adapted(network_of("qwen3"), method)
    network = adapted(network_of("qwen3", torch.float32), method)
    with torch.no_grad():
        for one, other in zip(network.parameters(), exact.parameters(), strict=True):
            one.copy_(other)
            other.copy_(one)
    batch = batch_of(network)
    wanted = loss_and_gradients(exact, batch)[1]
    network.compute_dtype = torch.bfloat16
    apart = []
    for blocks in (None, Blocks(network.body)):
        network.blocks = blocks
        found = loss_and_gradients(network, batch)[1]
        apart.append(sum(float((found[name] - one).square().sum()) for name, one in wanted.items()) ** 0.5)
    assert apart[1] < 1.3 * apart[0]


def test_under_autocast_the_layers_that_read_a_norm_find_it_in_their_type() -> None:
    network = network_of("llama", torch.float32)
    network.compute_dtype, network.blocks = torch.bfloat16, Blocks(network.body)
    seen = []
    for layer in network.decoder.model.layers:
        for module in (layer.self_attn.q_proj, layer.mlp.up_proj):
            module.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    outputs = network(batch_of(network))
    assert seen == [torch.bfloat16] * 4
    assert outputs.states_MD.dtype == torch.float32


@pytest.mark.parametrize("kind", UNUSUAL)
def test_other_families_are_refused(kind: str) -> None:
    with pytest.raises(NotUsual, match=UNUSUAL[kind]):
        Blocks(network_of(kind, torch.float32).body)


def _spoilt(change: Callable[[Any], object]) -> Any:
    body = copy.deepcopy(network_of("qwen3", torch.float32).body)
    change(body)
    return body


class _Norm(nn.Module):
    """Looks like a root-mean-square norm."""

    def __init__(self, width: int, centred: bool, eps_used: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.eps, self.centred, self.eps_used = nn.Parameter(torch.ones(width)), 1e-6, centred, eps_used

    def forward(self, x: Tensor) -> Tensor:
        if not self.centred:
            return self.weight * x * (x.square().mean(-1, keepdim=True) + self.eps_used).rsqrt()
        return self.weight * nn.functional.layer_norm(x, (x.shape[-1],), None, None, self.eps)


@pytest.mark.parametrize(("change", "said"), [
    (lambda body: body.add_module("more", nn.Identity()), "has or lacks more"),
    (lambda body: body.layers[1].add_module("more", nn.Identity()), "has or lacks more"),
    (lambda body: body.layers[1].mlp.register_parameter("more", nn.Parameter(torch.ones(1))), "has or lacks more"),
    (lambda body: body.layers[0].self_attn.__delattr__("q_norm"), "only one"),
    (lambda body: setattr(body.layers[0], "residual_multiplier", 0.5), "residual_multiplier"),
    (lambda body: setattr(body.layers[1].self_attn, "use_rope", False), "use_rope"),
    (lambda body: setattr(body.layers[1].self_attn, "attention_dropout", 0.1), "random"),
    (lambda body: setattr(body.layers[1].mlp, "act_fn", nn.GELU()), "SiLU"),
    (lambda body: setattr(body, "norm", _Norm(16, True)), "not the usual"),
    (lambda body: setattr(body.layers[0], "input_layernorm", _Norm(16, False, 1.1e-6)), "not the usual"),
    (lambda body: setattr(body.layers[0].mlp, "up_proj", nn.Identity()), "linear"),
    (lambda body: setattr(body.embed_tokens, "max_norm", 1.0), "embeddings"),
    (lambda body: body.layers.append(body.layers[0]), "list"),
    (lambda body: body.layers[1].mlp.register_forward_hook(lambda module, args, output: output), "attached"),
    (lambda body: body.norm.register_forward_pre_hook(lambda module, args: None), "attached"),
    (lambda body: setattr(body.norm, "forward", body.norm.forward), "attached"),
    (lambda body: setattr(body.layers[1].self_attn, "q_norm", _Norm(16, False)), "single heads"),
    (lambda body: setattr(body.rotary_emb, "forward", lambda x, position_ids: (torch.ones(1, 3, 2), torch.ones(1, 3, 2))), "whole heads"),
    (lambda body: setattr(body.rotary_emb, "forward", lambda x, position_ids, layer: None), "more than positions"),
])  # fmt: skip
def test_what_has_more_or_does_something_else_is_refused(change: Callable[[Any], object], said: str) -> None:
    with pytest.raises(NotUsual, match=said):
        Blocks(_spoilt(change))


def test_what_is_attached_later_to_a_module_that_is_not_called_is_not_passed_over() -> None:
    network = network_of("llama")
    batch = batch_of(network)
    network.blocks = Blocks(network.body)
    before = network(batch).token_logps(batch)
    network.decoder.model.layers[0].mlp.register_forward_hook(lambda module, args, output: 2 * output)
    assert not torch.allclose(network(batch).token_logps(batch), before)


def test_only_the_states_that_are_read_are_there_and_they_are_what_they_would_be_among_all() -> None:
    network = network_of("qwen3")
    network.blocks = Blocks(network.body)
    batch = batch_of(network)
    found = network(batch)
    sources = torch.unique(batch.source_S)
    everything = network.states(batch.tokens_N[None], batch.depth_N[None], trees(batch))[0]
    assert len(found.states_MD) == len(sources) < batch.n_nodes
    torch.testing.assert_close(found.at(batch.source_S), everything[batch.source_S], rtol=1e-12, atol=1e-12)
    network.head = RowHead(16, 3, "last").double()
    torch.testing.assert_close(network(batch).at(batch.pool_R), everything[batch.pool_R], rtol=1e-12, atol=1e-12)
    network.head = RowHead(16, 3, "mean").double()
    assert len(network(batch).states_MD) == batch.n_nodes


def test_of_rows_in_which_nothing_is_supervised_all_states_are_there() -> None:
    network = network_of("llama")
    network.blocks = Blocks(network.body)
    batch = CutPlan("padded", 10**6, 0).make([replace(row, weights=0 * row.weights, tokens=row.tokens % 61) for row in tiny_rows(3)])
    assert len(network(batch).states_MD) == batch.n_nodes


@pytest.mark.parametrize("n_recomputed", [1, 2])
@pytest.mark.parametrize("method", ["lora", "full", "dropout"])
def test_recomputed_layers_give_the_same_bits(method: str, n_recomputed: int) -> None:
    network = network_of("qwen3", torch.float32)
    if method == "dropout":
        LoRA(rank=2, dropout=0.5).attach(network, 0)
    else:
        adapted(network, method)
    network.train()
    network.blocks = Blocks(network.body)
    batch = batch_of(network, "packed")
    found = []
    for n in (0, n_recomputed):
        network.n_recomputed = n
        torch.manual_seed(1)
        found.append(loss_and_gradients(network, batch))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(gradient, found[1][1][name]) for name, gradient in found[0][1].items())


def _n_kept(network: Network, batch: Batch) -> int:
    """The numbers that the forward pass keeps for the backward one, parameters aside."""
    own = {parameter.data_ptr() for parameter in network.parameters()}
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            seen[tensor.data_ptr()] = tensor.numel()
        return tensor

    kept = []  # what stays alive keeps its address
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: (kept.append(tensor), note(tensor))[1], lambda tensor: tensor):
        network(batch).token_logps(batch)
    return sum(seen.values())


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_recomputing_keeps_less_and_any_number_of_layers_in_ours_or_all_or_none_in_a_familys(kind: str) -> None:
    network = network_of(kind, torch.float32).train()
    usual = kind == "llama"
    network.blocks = Blocks(network.body) if usual else None
    assert list(network.recomputable) == ([0, 1, 2] if usual else [0, 2])
    batch = batch_of(network)
    sizes, found = [], []
    for n in network.recomputable:
        network.n_recomputed = n
        sizes.append(_n_kept(network, batch))
        found.append(loss_and_gradients(network, batch))
    assert sizes == sorted(set(sizes), reverse=True)
    for _, gradients in found[1:]:
        assert all(torch.equal(gradient, found[0][1][name]) for name, gradient in gradients.items())
    network.n_recomputed = 0
    assert _n_kept(network, batch) == sizes[0]


@pytest.mark.parametrize("kind", [*USUAL, "granite"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_probe_gives_ours_to_models_of_the_usual_shape_and_says_so(kind: str, dtype: torch.dtype) -> None:
    network = network_of(kind, dtype)
    found = probe(network)
    assert (network.blocks is not None) is (kind != "granite")
    assert found.computed_by.startswith("the family's own: it has a number" if kind == "granite" else "Luthier's own")


@pytest.mark.parametrize("part", ["self_attn", "layer", "gradient"])
def test_the_probe_finds_a_model_that_only_looks_usual(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("qwen3", torch.float32)
    layer = network.decoder.model.layers[1]
    kind = type(layer.self_attn if part == "self_attn" else layer)
    right = kind.forward

    def other(self: Any, *args: Any, **said: Any) -> Any:
        found = right(self, *args, **said)
        if part == "gradient":
            return found + 0.1 * (found - found.detach())
        return (1.1 * found[0], None) if part == "self_attn" else 1.1 * found

    assert probe(network).computed_by.startswith("Luthier's own")
    monkeypatch.setattr(kind, "forward", other)
    found = probe(network)
    assert network.blocks is None
    assert found.layout == "forest"
    assert found.computed_by.startswith("the family's own: Luthier's differs")


def test_a_copy_of_a_network_computes_with_its_own_tensors() -> None:
    network = tiny_network()
    network.blocks = Blocks(network.body)
    twin = copy.deepcopy(network)
    nn.init.zeros_(twin.decoder.model.layers[0].mlp.down_proj.weight)
    batch = batch_of(network)
    assert not torch.allclose(network(batch).token_logps(batch), twin(batch).token_logps(batch))
