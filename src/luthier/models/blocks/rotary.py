"""Rotary position embeddings of queries or keys, forward and backward without a tensor kept (Su and others, 2021, arXiv:2104.09864).

The first half of a head's numbers and the second are the two coordinates of its points:

    (a, b)  ->  (a cos − b sin, b cos + a sin)        backward: the same with −sin
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Heads x (B, T, H, D) turned by cos and sin (B, T, 1, D), whose halves along D are alike; products are in their type."""
    out: Tensor = _Rotated.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return out


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(given, cos, sin, -1), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    half = x.shape[-1] // 2
    wide = x.to(cos.dtype)
    out = wide * cos
    out[..., :half].addcmul_(wide[..., half:], sin[..., :half], value=-sign)
    out[..., half:].addcmul_(wide[..., :half], sin[..., :half], value=sign)
    return out.to(x.dtype)
