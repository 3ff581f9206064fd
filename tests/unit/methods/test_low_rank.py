"""The frozen layer with its low-rank addition: its value, its gradients, and that it computes no more than is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.tiny import tiny_network
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.pytorch_utils import Conv1D

from luthier.methods import LoRA
from luthier.methods.lora import Delta
from luthier.methods.low_rank import low_rank_linear

N_IN, N_OUT, RANK, SCALE = 7, 5, 3, 1.5


def plain(x: Tensor, weight: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, scale: float) -> Tensor:
    """The definition, of plain operations."""
    return functional.linear(x, weight, bias) + functional.linear(functional.linear(x, A.to(x.dtype)), B.to(x.dtype)) * scale


def parts(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, thin: torch.dtype = torch.float64) -> list[Tensor]:
    """x, W, b, A and B; W and b are frozen."""
    draw = torch.Generator().manual_seed(0)
    sizes = ((*shape, N_IN), (N_OUT, N_IN), (N_OUT,), (RANK, N_IN), (N_OUT, RANK))
    kinds = (dtype, dtype, dtype, thin, thin)
    found = [torch.randn(size, generator=draw, dtype=torch.float64).to(kind) for size, kind in zip(sizes, kinds, strict=True)]
    for i in (0, 3, 4):
        found[i].requires_grad_(True)
    return found


@pytest.mark.parametrize("shape", [(4,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("biased", [True, False])
def test_its_gradients_are_those_of_finite_differences(shape: tuple[int, ...], biased: bool) -> None:
    x, weight, bias, A, B = parts(shape)
    assert torch.autograd.gradcheck(lambda x, A, B: low_rank_linear(x, weight, bias if biased else None, A, B, SCALE), (x, A, B))


@pytest.mark.parametrize("shape", [(4,), (2, 3)], ids=str)
def test_a_weight_that_is_kept_transposed_gives_the_same(shape: tuple[int, ...]) -> None:
    x, weight, bias, A, B = parts(shape)
    kept = weight.t().contiguous()
    found, wanted = low_rank_linear(x, kept.t(), bias, A, B, SCALE), plain(x, weight, bias, A, B, SCALE)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    given = torch.randn(found.shape, dtype=torch.float64)
    both = [torch.autograd.grad(one, (x, A, B), given) for one in (found, wanted)]
    torch.testing.assert_close(both[0], both[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_products_are_in_the_type_of_x_and_the_gradients_of_a_and_b_in_theirs(dtype: torch.dtype) -> None:
    x, weight, bias, A, B = parts((40,), dtype, torch.float32)
    found = low_rank_linear(x, weight, bias, A, B, SCALE)
    wanted = plain(*(one.double() for one in (x, weight, bias, A, B)), SCALE)
    gradients = torch.autograd.grad(found, (x, A, B), torch.ones_like(found))
    exact = torch.autograd.grad(wanted, (x, A, B), torch.ones_like(wanted))
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    assert found.dtype == dtype
    assert [one.dtype for one in gradients] == [dtype, torch.float32, torch.float32]
    for one, other in zip((found, *gradients), (wanted, *exact), strict=True):
        assert float((one.detach().double() - other.detach()).norm() / other.detach().norm()) < tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_takes_the_products_in_its_type_and_gives_x_a_gradient_of_its_own_type(dtype: torch.dtype) -> None:
    x, weight, bias, A, B = parts((40,), torch.float32, torch.float32)
    x = x.detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = low_rank_linear(x, weight, bias, A, B, SCALE)
    wanted = low_rank_linear(x.bfloat16(), weight.bfloat16(), bias.bfloat16(), A, B, SCALE)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted)
    given = torch.randn(found.shape).bfloat16()
    both = [torch.autograd.grad(one, (x, A, B), given) for one in (found, wanted)]
    assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(*both, strict=True))
    assert both[0][0].dtype == dtype


def test_autocast_leaves_float64_alone() -> None:
    x, weight, bias, A, B = parts((4,))
    with torch.autocast("cpu", torch.bfloat16):
        found = low_rank_linear(x, weight, bias, A, B, SCALE)
    torch.testing.assert_close(found, plain(x, weight, bias, A, B, SCALE), rtol=1e-12, atol=1e-12)


class Products(TorchDispatchMode):
    """Counts matrix products while it is entered."""

    n = 0

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += func.__name__.split(".")[0] in {"mm", "addmm", "addmm_", "bmm"}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("needed", list(itertools.product((False, True), repeat=3)), ids=str)
def test_no_more_is_computed_than_is_asked_for(needed: tuple[bool, bool, bool]) -> None:
    x, weight, bias, A, B = parts((4,))
    tensors = [one.detach().requires_grad_(need) for one, need in zip((x, A, B), needed, strict=True)]
    found = low_rank_linear(tensors[0], weight, bias, *tensors[1:], SCALE)
    assert found.requires_grad is any(needed)
    if any(needed):
        with Products() as products:
            found.sum().backward()
        needs_x, needs_A, needs_B = needed
        assert products.n == 2 * needs_x + needs_A + needs_B + (needs_x or needs_A)
    assert [one.grad is not None for one in tensors] == list(needed)


def test_the_layers_that_read_the_embeddings_compute_no_gradient_of_them() -> None:
    network = tiny_network(torch.float32)
    LoRA(rank=2).attach(network, 0)
    layer = network.decoder.model.layers[0].self_attn.q_proj
    output = layer(torch.randn(4, layer.in_features))
    with Products() as products:
        output.sum().backward()
    assert products.n == 3
    assert layer.weight.grad is None


def adapted_layer(kind: type[nn.Module], dropout: float = 0.0) -> Any:
    """A single layer with LoRA off its start."""
    torch.manual_seed(0)
    network = tiny_network(torch.float64)
    network.decoder.model.layers[0].mlp.gate_proj = (nn.Linear(32, 48) if kind is nn.Linear else Conv1D(48, 32)).double()
    LoRA(rank=2, targets=("layers.0.mlp.gate_proj",), dropout=dropout).attach(network, 0)
    layer = network.decoder.model.layers[0].mlp.gate_proj
    nn.init.normal_(layer.lora.B)
    return layer


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_a_layer_keeps_its_type_its_tensors_names_and_what_its_hooks_see(kind: type[nn.Module]) -> None:
    layer = adapted_layer(kind)
    assert type(layer) is kind
    assert sorted(dict(layer.named_parameters())) == ["bias", "lora.A", "lora.B", "weight"]
    seen = []
    layer.register_forward_hook(lambda layer, args, output: seen.append((args[0], output)))
    x = torch.randn(2, 3, 32, dtype=torch.float64)
    output = layer(x)
    assert seen[0][0] is x
    assert seen[0][1] is output
    torch.testing.assert_close(output, kind.forward(layer, x) + layer.lora(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_a_weight_that_is_trained_beside_its_addition_gets_its_gradient(kind: type[nn.Module]) -> None:
    layer = adapted_layer(kind)
    x = torch.randn(6, 32, dtype=torch.float64)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    layer.weight.requires_grad_(True)
    layer(x).sum().backward()
    wanted = x.sum(0)[:, None].expand(32, 48)
    torch.testing.assert_close(layer.weight.grad, wanted if kind is Conv1D else wanted.t(), rtol=1e-12, atol=1e-12)


def test_dropout_hides_inputs_from_a_alone_and_only_while_training() -> None:
    layer = adapted_layer(nn.Linear, dropout=0.5)
    x = torch.randn(6, 32, dtype=torch.float64)
    whole = layer.eval()(x)
    layer.train()
    torch.manual_seed(1)
    found = layer(x)
    torch.manual_seed(1)
    hidden = functional.dropout(x, 0.5, True)
    delta: Delta = layer.lora
    torch.testing.assert_close(found, nn.Linear.forward(layer, x) + hidden @ delta.matrix().t(), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(found, whole)
