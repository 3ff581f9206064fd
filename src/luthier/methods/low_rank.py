"""A frozen linear layer and the low-rank addition beside it, forward and backward, without a tensor that is not needed.

    y = x Wᵀ + b + (x Aᵀ s) Bᵀ                   the addition goes into y in place
    dx = dy W + (dy B) A s        dA = s (dy B)ᵀ x        dB = dyᵀ (x Aᵀ s)

Composed of plain operations, the same holds two further tensors as large as y, and two as large as x are added up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def low_rank_linear(x: Tensor, weight: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, scale: float) -> Tensor:
    """The layer's output (…, out) for x (…, in), weight (out, in), A (rank, in) and B (out, rank).

    Products are taken in x's type, or in autocast's where that is on; the gradients of A and B have A's and B's types.
    `weight` and `bias` are frozen: they get no gradient.
    """
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) and x.dtype != torch.float64 else x.dtype
    out: Tensor = _LowRank.apply(x, weight, bias, A, B, scale, dtype)  # type: ignore[no-untyped-call]
    return out


class _LowRank(torch.autograd.Function):
    """Both passes; x and the thin product are kept between them."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, scale: float, dtype: torch.dtype
    ) -> Tensor:
        inputs = x.to(dtype)
        y = torch.nn.functional.linear(inputs, weight.to(dtype), None if bias is None else bias.to(dtype))
        flat = inputs.reshape(-1, x.shape[-1])
        low = flat @ (A * scale).to(dtype).t()
        y.view(-1, y.shape[-1]).addmm_(low, B.to(dtype).t())
        needs_A, needs_B = ctx.needs_input_grad[3:5]
        ctx.save_for_backward(weight, A, B, flat if needs_A else None, low if needs_B else None)
        ctx.scale, ctx.shape = scale, x.shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, None, None, Tensor | None, Tensor | None, None, None]:
        weight, A, B, flat, low = ctx.saved_tensors
        needs_x, _, _, needs_A, needs_B = ctx.needs_input_grad[:5]
        dy = given.reshape(-1, given.shape[-1])
        of_x = of_A = of_B = None
        if needs_x or needs_A:
            thin = dy @ B.to(dy.dtype)
        if needs_x:
            of_x = dy @ weight.to(dy.dtype)
            of_x = of_x.addmm_(thin, (A * ctx.scale).to(dy.dtype)).view(ctx.shape)
        if needs_A:
            of_A = (thin.t() @ flat).to(A.dtype).mul_(ctx.scale)
        if needs_B:
            of_B = (dy.t() @ low).to(B.dtype)
        return of_x, None, None, of_A, of_B, None, None
