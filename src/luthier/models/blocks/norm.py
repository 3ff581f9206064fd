"""The root-mean-square norm with a backward pass by hand, of which only the input and one number a place are kept.

    y = w · x r        r = (mean(x²) + ε)^(-1/2)
    dx = r (w · dy) − x r³ mean(x · w · dy)        dw = Σ over places of dy · x r

Zhang and Sennrich, 2019, arXiv:1910.07467. Inside, numbers are float32 or better; x r is rounded to x's type before it
meets the weight, as the families do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype | None = None) -> Tensor:
    """The norm of x (…, D) over its last dimension, times weight (D,), in `dtype` (x's own where it is None)."""
    out: Tensor = _RMSNorm.apply(x, weight, eps, dtype or x.dtype)  # type: ignore[no-untyped-call]
    return out


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        wide = x.to(_exact(x))
        r: Tensor = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        r = r.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, r)
        y = (wide * r).to(x.dtype) * weight
        return y.to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight, r = ctx.saved_tensors
        exact = _exact(x)
        wide, dy = x.to(exact), given.to(exact, copy=True)
        products = wide * dy
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = (products * r).flatten(0, -2).sum(0).to(weight.dtype)
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None, None
        wide_weight = weight.to(exact)
        along = (products @ wide_weight)[..., None].mul_(r.pow(3)).div_(-x.shape[-1])
        of_x = dy.mul_(wide_weight).mul_(r).addcmul_(wide, along)
        return of_x.to(x.dtype), of_weight, None, None


def _exact(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
