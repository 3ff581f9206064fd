"""Which decoders are built of the usual pre-norm blocks, settled by what stands in them and by trying their parts.

    x = x + o_proj(attention(rotary(q_proj(n)), rotary(k_proj(n)), v_proj(n)))          n = input_layernorm(x)
    x = x + down_proj(silu(gate_proj(n)) · up_proj(n))                                  n = post_attention_layernorm(x)

(Llama: Touvron and others, 2023, arXiv:2302.13971; Mistral, Qwen, SmolLM and many more.) No names of families stand here.
A module with a child or an attribute that is not known might compute something else, and is refused; norms, activation and
rotary embeddings are tried on a few numbers. What looks the same and is not, the probe finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from luthier.models.blocks.norm import rms_norm

_LINEAR = {
    "self_attn": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "mlp": {"gate_proj", "up_proj", "down_proj"},
}
_ATTRIBUTES = {
    "layer": {"hidden_size", "gradient_checkpointing", "attention_type", "layer_idx"},
    "self_attn": {
        "attention_dropout", "config", "head_dim", "hidden_size", "is_causal", "layer_idx", "layer_type", "num_heads",
        "num_key_value_groups", "num_key_value_heads", "scaling", "sliding_window",
    },
    "mlp": {"config", "hidden_size", "intermediate_size"},
}  # fmt: skip
"""Attributes that do not change what a module of the usual shape computes, or that are passed on to attention."""
_OF_ANY_MODULE = set(vars(nn.Module()))


class NotUsual(Exception):
    """Why a decoder is not built of the usual blocks."""


def refuse_unusual(body: Any) -> None:
    """Check the body of a decoder (everything but the output layer).

    Raises:
        NotUsual: something in it is not of the usual shape, or does more.

    """
    _has_children(body, {"embed_tokens", "layers", "norm", "rotary_emb"}, "the decoder")
    embedding = body.embed_tokens
    if type(embedding) is not nn.Embedding or embedding.max_norm is not None:
        raise NotUsual("its embeddings are scaled or otherwise their own")
    for name, value in vars(body).items():
        if isinstance(value, float | torch.Tensor) and not name.startswith("_"):
            raise NotUsual(f"it has a number of its own, {name}")
    n_layers = body.config.num_hidden_layers
    if not isinstance(body.layers, nn.ModuleList) or len(body.layers) != n_layers or not n_layers:
        raise NotUsual("its layers are no plain list")
    for layer in body.layers:
        _refuse_layer(layer)
    _refuse_norm(body.norm)
    _refuse_rotary(body)
    for module in bypassed(body):
        if not is_bare(module):
            raise NotUsual(f"something is attached to its {type(module).__name__}")


def bypassed(body: Any) -> Iterator[nn.Module]:
    """The modules that our own forward pass does not call: what is attached to them would not be computed."""
    yield from (body, body.layers, body.norm)
    for layer in body.layers:
        yield from (layer, layer.input_layernorm, layer.post_attention_layernorm, layer.self_attn, layer.mlp, layer.mlp.act_fn)
        for name in ("q_norm", "k_norm"):
            if hasattr(layer.self_attn, name):
                yield getattr(layer.self_attn, name)


def is_bare(module: nn.Module) -> bool:
    """Whether nothing is attached to a module that would change what it gives."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return not any(hooks) and "forward" not in vars(module)


def window_of(attention: Any) -> int | None:
    """The sliding window that a family passes to attention: the layer's own, or its configuration's."""
    found: int | None = getattr(attention, "sliding_window", getattr(attention.config, "sliding_window", None))
    return found


def eps_of(norm: Any) -> float:
    """What a norm adds to the mean of squares."""
    return float(norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps)


def _refuse_layer(layer: Any) -> None:
    _has_children(layer, {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}, "a layer")
    _has_attributes(layer, "layer")
    attention, mlp = layer.self_attn, layer.mlp
    normed = {"q_norm", "k_norm"} & set(dict(attention.named_children()))
    if len(normed) == 1:
        raise NotUsual("of queries and keys only one has a norm")
    _has_children(attention, _LINEAR["self_attn"] | normed, "attention")
    _has_children(mlp, _LINEAR["mlp"] | {"act_fn"}, "the perceptron")
    for name, module in (("self_attn", attention), ("mlp", mlp)):
        _has_attributes(module, name)
        if not all(isinstance(getattr(module, one), nn.Linear) for one in _LINEAR[name]):
            raise NotUsual(f"not all of {', '.join(sorted(_LINEAR[name]))} are linear layers")
    if attention.attention_dropout or not getattr(attention, "is_causal", True):
        raise NotUsual("its attention is random or not causal")
    for norm in (layer.input_layernorm, layer.post_attention_layernorm, *(getattr(attention, name) for name in sorted(normed))):
        _refuse_norm(norm)
    if any(len(getattr(attention, name).weight) != attention.head_dim for name in normed):
        raise NotUsual("its norms of queries and keys are not those of single heads")
    tried = torch.linspace(-6, 6, 25)
    if not torch.equal(mlp.act_fn(tried), functional.silu(tried)):
        raise NotUsual("its activation is not SiLU")


def _has_children(module: nn.Module, wanted: set[str], what: str) -> None:
    found = {name for name, _ in module.named_children()}
    own = {name for name, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))}
    if found != wanted or own:
        raise NotUsual(f"{what} has or lacks {', '.join(sorted(found ^ wanted | own))}")


def _has_attributes(module: nn.Module, kind: str) -> None:
    unknown = {name for name in vars(module) if not name.startswith("_")} - _OF_ANY_MODULE - _ATTRIBUTES[kind]
    if unknown:
        raise NotUsual(f"its {type(module).__name__} has {', '.join(sorted(unknown))}")


@torch.no_grad()
def _refuse_norm(norm: Any) -> None:
    """Try a norm on a few places: the root mean square, times the weight itself."""
    if [name for name, _ in norm.named_parameters()] != ["weight"] or list(norm.buffers()):
        raise NotUsual(f"its {type(norm).__name__} has not one weight and no more")
    weight = norm.weight
    if weight.ndim != 1 or not isinstance(getattr(norm, "variance_epsilon", getattr(norm, "eps", None)), float):
        raise NotUsual(f"its {type(norm).__name__} is no root-mean-square norm")
    draw = torch.Generator().manual_seed(0)
    # Small, so that ε makes a difference, and large.
    tried = torch.randn(3, len(weight), generator=draw) * torch.tensor([[1e-3], [1.0], [30.0]])
    tried = tried.to(weight.device, weight.dtype)
    found, wanted = norm(tried), rms_norm(tried, weight, eps_of(norm))
    if found.dtype != wanted.dtype or not torch.allclose(found.double(), wanted.double(), rtol=4 * _rounding(weight.dtype), atol=1e-30):
        raise NotUsual(f"its {type(norm).__name__} is not the usual one")


@torch.no_grad()
def _refuse_rotary(body: Any) -> None:
    """Try the rotary embeddings: they turn whole heads, one half against the other."""
    weight = body.embed_tokens.weight
    states = torch.zeros(1, 3, weight.shape[1], dtype=weight.dtype, device=weight.device)
    try:
        cos, sin = body.rotary_emb(states, position_ids=torch.tensor([[0, 1, 5]], device=weight.device))
    except (TypeError, ValueError) as error:
        raise NotUsual("its rotary embeddings ask for more than positions") from error
    wanted = (1, 3, body.layers[0].self_attn.head_dim)
    halves = [one.chunk(2, dim=-1) for one in (cos, sin)]
    if any(one.shape != wanted for one in (cos, sin)) or not all(torch.equal(*pair) for pair in halves):
        raise NotUsual("its rotary embeddings do not turn whole heads, one half against the other")


def _rounding(dtype: torch.dtype) -> float:
    """The families' norms are in float32 at best."""
    return max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
