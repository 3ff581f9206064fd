"""Our own forward pass for decoders of the usual pre-norm blocks: the same numbers as the family's, in fewer and thinner steps.

Linear layers are called as the modules they are, so that whatever a method has attached to them works; attention goes through
the seam. What stands between them (norms, rotary embeddings, the gate) keeps only what its backward pass cannot do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from luthier.models.attention import Layout
from luthier.models.attention.seam import seam
from luthier.models.blocks.gate import gated
from luthier.models.blocks.norm import rms_norm
from luthier.models.blocks.recognise import bypassed, eps_of, is_bare, refuse_unusual, window_of
from luthier.models.blocks.rotary import rotated
from luthier.text.forest import usual_size


@dataclass(frozen=True, eq=False)
class Blocks:
    """The body of a decoder of the usual shape, its modules the family's own.

    Raises:
        NotUsual: the body is of another shape.

    """

    body: Any

    def __post_init__(self) -> None:
        refuse_unusual(self.body)

    @property
    def are_bare(self) -> bool:
        """Whether still nothing is attached to the modules that are not called."""
        return all(is_bare(module) for module in bypassed(self.body))

    def states(self, tokens: Tensor, positions: Tensor, layout: Layout, wanted: Tensor | None = None, n_recomputed: int = 0) -> Tensor:
        """The last hidden states of tokens (B, T) at given positions, attending by `layout`.

        Args:
            tokens: their ids (B, T).
            positions: their positions (B, T).
            layout: what each of them sees.
            wanted: the flattened places whose states are wanted; None means all. Behind the last attention, only these
                are computed.
            n_recomputed: of so many of the first layers nothing but the input is kept; they are computed again for the
                gradient.

        Returns:
            states (n, D), one for each wanted place.

        """
        body = self.body
        n_wanted = None if wanted is None else len(wanted)
        wanted = None if wanted is None else _filled(wanted)
        x = body.embed_tokens(tokens)
        cos, sin = (turn[:, :, None].to(_exact(turn)) for turn in body.rotary_emb(x, position_ids=positions))
        turn = cos, sin
        for i, layer in enumerate(body.layers):
            kept = wanted if i == len(body.layers) - 1 else None
            if i < n_recomputed:
                x = checkpoint(_layer, layer, x, turn, layout, kept, use_reentrant=False)
            else:
                x = _layer(layer, x, turn, layout, kept)
        return _normed(body.norm, x).flatten(0, 1)[:n_wanted]


def _layer(layer: Any, x: Tensor, turn: tuple[Tensor, Tensor], layout: Layout, wanted: Tensor | None) -> Tensor:
    """One layer, states (B, T, D) in and out; with `wanted`, (1, n, D) out: the states of these flattened places."""
    attention, mlp, dtype = layer.self_attn, layer.mlp, _compute_dtype(x)
    seen = _attended(attention, _normed(layer.input_layernorm, x, dtype), turn, layout)
    if wanted is not None:
        x, seen = (states.flatten(0, 1).index_select(0, wanted)[None] for states in (x, seen))
    x = x + attention.o_proj(seen)
    normed = _normed(layer.post_attention_layernorm, x, dtype)
    added: Tensor = mlp.down_proj(gated(mlp.gate_proj(normed), mlp.up_proj(normed)))
    return x + added


def _attended(attention: Any, normed: Tensor, turn: tuple[Tensor, Tensor], layout: Layout) -> Tensor:
    """What the places (B, T, D) see, (B, T, H · D of a head)."""
    shape = (*normed.shape[:2], -1, attention.head_dim)
    query, key, value = (project(normed).view(shape) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    if hasattr(attention, "q_norm"):
        query, key = _normed(attention.q_norm, query), _normed(attention.k_norm, key)
    query, key = rotated(query, *turn), rotated(key, *turn)
    said: Mapping[str, Any] = {"scaling": attention.scaling, "sliding_window": window_of(attention), "luthier_layout": layout}
    query, key, value = (states.transpose(1, 2) for states in (query, key, value))
    out, _ = seam(attention, query, key, value, None, **said)
    return out.flatten(2)


def _normed(norm: nn.Module, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return rms_norm(x, norm.weight, eps_of(norm), dtype)  # type: ignore[arg-type]


def _filled(wanted: Tensor) -> Tensor:
    """The places, the last one repeated up to one of the usual numbers of them."""
    n_more = usual_size(len(wanted)) - len(wanted)
    return torch.cat([wanted, wanted[-1:].expand(n_more)]) if n_more else wanted


def _compute_dtype(x: Tensor) -> torch.dtype | None:
    """The type in which linear layers will read their inputs: autocast's, where it is on."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def _exact(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
