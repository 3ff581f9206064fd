"""Tiny networks and rows for tests: a two-layer Llama with grouped queries and tied embeddings, and rows of random tokens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from luthier.models.attention import SEAM, install
from luthier.models.heads import Pooling, RowHead
from luthier.models.network import Network
from luthier.text.rows import Row, make_row

VOCABULARY = 64
WIDTH = 32


def tiny_decoder(dtype: torch.dtype = torch.float64, seed: int = 0, **config: object) -> LlamaForCausalLM:
    """A random decoder that attends as `transformers` does by itself."""
    said: Mapping[str, object] = {
        "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "tie_word_embeddings": True, "max_position_embeddings": 256, "initializer_range": 0.2,
    }  # fmt: skip
    torch.manual_seed(seed)
    decoder = LlamaForCausalLM(LlamaConfig(**{**said, **config})).to(dtype)
    if dtype == torch.float64:
        _make_norms_exact(decoder)
    return decoder


def _make_norms_exact(decoder: LlamaForCausalLM) -> None:
    """Put PyTorch's own RMSNorm in the place of the family's, which rounds to float32 and so hides what 1e-10 would show."""
    for name, module in list(decoder.named_modules()):
        if isinstance(module, LlamaRMSNorm):
            norm = nn.RMSNorm(module.weight.shape, eps=module.variance_epsilon, dtype=torch.float64)
            norm.weight = module.weight
            decoder.set_submodule(name, norm)


def tiny_network(
    dtype: torch.dtype = torch.float64, seed: int = 0, n_scores: int = 0, pooling: Pooling = "last", **config: object
) -> Network:
    """A network over a tiny decoder, switched to our attention; with a head where scores are asked for."""
    install()
    decoder = tiny_decoder(dtype, seed, **config)
    decoder.set_attn_implementation(SEAM)
    network = Network(decoder, dtype)
    if n_scores:
        network.head = RowHead(WIDTH, n_scores, pooling).to(dtype)
    return network


def tiny_rows(n: int = 8, seed: int = 0, n_classes: int = 0, shared: int = 5, name: str = "row") -> list[Row]:
    """Rows of 8 to 20 tokens that share their first `shared`; the last few are trained with unlike weights; some classes."""
    draw = np.random.default_rng(seed)
    beginning = np.random.default_rng(1234).integers(3, VOCABULARY, shared).tolist()
    rows = []
    for i in range(n):
        n_own, n_trained = int(draw.integers(3, 16)), int(draw.integers(1, 4))
        tokens = beginning + draw.integers(3, VOCABULARY, n_own).tolist()
        weights = [0.0] * (len(tokens) - n_trained) + draw.choice([0.5, 1.0, 2.0], n_trained).tolist()
        target = int(draw.integers(n_classes)) if n_classes else None
        rows.append(make_row(tokens, weights, id=f"{name} {i}", target=target))
    return rows
