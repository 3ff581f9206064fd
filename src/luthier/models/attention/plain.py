"""Scaled dot-product attention with everything a family may ask of it, for one block of queries and keys."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Scoring:
    """How scores become weights: the scale, the families' soft cap on scores, and dropout on weights."""

    scale: float | None
    softcap: float | None = None
    dropout: float = 0.0


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scoring: Scoring) -> Tensor:
    """Attention of query (B, H, Q, D) over key and value (B, G, K, D), G dividing H; `mask` is True where seen.

    Without a mask, `causal` says whether query i sees keys 0 … i or all of them.
    """
    if scoring.softcap is not None:
        return _soft_capped(query, key, value, mask, causal, scoring)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        mask,
        dropout_p=scoring.dropout,
        is_causal=causal and mask is None,
        scale=scoring.scale,
        enable_gqa=key.shape[1] != query.shape[1],
    )


def _soft_capped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scoring: Scoring) -> Tensor:
    """Gemma 2's scores: cap · tanh(score / cap) before the softmax (Gemma Team, 2024, arXiv:2408.00118, section 2)."""
    assert scoring.softcap is not None, "called for a soft cap only"
    n_shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(n_shared, 1), value.repeat_interleave(n_shared, 1)
    scale = query.shape[-1] ** -0.5 if scoring.scale is None else scoring.scale
    score = query @ key.transpose(-1, -2) * scale
    score = torch.tanh(score / scoring.softcap) * scoring.softcap
    if mask is None and causal:
        mask = torch.ones(score.shape[-2:], dtype=torch.bool, device=score.device).tril()
    if mask is not None:
        score = score.masked_fill(~mask, torch.finfo(score.dtype).min)
    weight = F.dropout(score.softmax(-1, dtype=torch.promote_types(score.dtype, torch.float32)), scoring.dropout).to(value.dtype)
    return weight @ value
