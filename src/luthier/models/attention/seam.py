"""The attention function that every family calls, and the layouts that it knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from luthier.models.attention import flex
from luthier.models.attention.branches import Branches, plan_branches
from luthier.models.attention.in_branches import attend_in_branches
from luthier.models.attention.kernels import KernelName
from luthier.models.attention.plain import Scoring, attend
from luthier.text.forest import visible

SEAM = "luthier"
DENSE_NODES = 2048
"""Queries are cut so that no mask has more than this many rows: no N × N tensor beyond it."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Independent sequences side by side, padded on the right: plain causal attention within each."""


@dataclass(frozen=True, eq=False)
class Trees:
    """A forest: nodes see their ancestors and themselves. `plain` says for each tree whether it is a single branch.

    `kept`, where given, receives each layer's keys and values (G, N, D), for decoding to go on from. `n_deep` is the depth
    of the deepest node, plus one. `kernel` computes the branches; `dense` asks for the reference backend, masks by definition.
    """

    leave_N: Tensor
    depth_N: Tensor
    borders: tuple[int, ...]
    plain: tuple[bool, ...]
    n_deep: int
    kept: dict[int, tuple[Tensor, Tensor]] | None = None
    kernel: KernelName = "products"
    dense: bool = False
    masks: dict[tuple[int, int, int | None], Tensor] = field(default_factory=dict)
    flexes: dict[int | None, flex.Plan] = field(default_factory=dict)

    @cached_property
    def branches(self) -> Branches:
        """How the branches backend cuts this forest; all layers share the answer."""
        return plan_branches(self.leave_N)


@dataclass(frozen=True, eq=False)
class Continued:
    """The nodes `new_Q` of a forest of N, the keys and values of whose other nodes are known from earlier calls.

    A layer writes the new ones into `keys` and `values`, (G, N, D) a layer.
    """

    leave_N: Tensor
    depth_N: Tensor
    borders: tuple[int, ...]
    new_Q: Tensor
    keys: list[Tensor]
    values: list[Tensor]
    masks: dict[tuple[int, int, int | None], Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Grown:
    """One new token for each of B sequences whose earlier keys and values are kept, in the first B of (S, G, T, D) a layer.

    `length_B` counts the tokens before the new one; the layer writes the new key and value at that place. `longest` is
    the greatest of these counts.
    """

    keys: list[Tensor]
    values: list[Tensor]
    length_B: Tensor
    longest: int
    masks: dict[int | None, Tensor] = field(default_factory=dict)


Layout: TypeAlias = Sequences | Trees | Continued | Grown


def install() -> None:
    """Register the seam with `transformers`; doing it twice changes nothing."""
    ALL_ATTENTION_FUNCTIONS.register(SEAM, seam)


_UNDERSTOOD = frozenset({
    "scaling", "dropout", "sliding_window", "softcap", "is_causal", "luthier_layout",
    # These only repeat what the layout already says, or what is never used here.
    "position_ids", "cache_position", "use_cache", "past_key_values", "past_key_value", "output_attentions", "output_hidden_states",
    "return_dict",
    "position_embeddings", "head_mask", "deterministic",
})  # fmt: skip


def seam(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None, **said: object
) -> tuple[Tensor, None]:
    """Attention of query (B, H, T, D) over key and value (B, G, T, D) by the layout among the keywords; gives (B, T, H, D).

    Raises:
        TypeError: the family passes something that changes attention and that no backend here knows.

    """
    unknown = [name for name, value_ in said.items() if name not in _UNDERSTOOD and value_ is not None]
    if attention_mask is not None:
        unknown.append("attention_mask")
    layout = said.get("luthier_layout")
    if not isinstance(layout, Sequences | Trees | Continued | Grown):
        unknown.append("no luthier_layout")
    if unknown:
        raise TypeError(f"{type(module).__name__} passes to attention what Luthier does not know: {', '.join(unknown)}")
    scoring = Scoring(said.get("scaling"), said.get("softcap"), float(said.get("dropout") or 0.0))  # type: ignore[arg-type]
    window = said.get("sliding_window")
    assert window is None or isinstance(window, int), "families give a window in tokens"
    if isinstance(layout, Trees):
        out = _in_trees(module, query, key, value, layout, window, scoring)
    elif isinstance(layout, Continued):
        out = _continued(module, query, key, value, layout, window, scoring)
    elif isinstance(layout, Grown):
        out = _grown(module, query, key, value, layout, window, scoring)
    else:
        out = _in_sequences(query, key, value, window, scoring)
    return out.transpose(1, 2), None


def _in_sequences(query: Tensor, key: Tensor, value: Tensor, window: int | None, scoring: Scoring) -> Tensor:
    n = query.shape[2]
    mask = None
    if window is not None and n > window:
        place = torch.arange(n, device=query.device)
        gap = place[:, None] - place[None]
        mask = (gap >= 0) & (gap < window)
    return attend(query, key, value, mask, True, scoring)


def _in_trees(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, layout: Trees, window: int | None, scoring: Scoring) -> Tensor:
    """By the backend for this device where it is exact; else each tree apart by its mask, and a single branch without one."""
    if layout.kept is not None:
        layout.kept[int(module.layer_idx)] = (key[0], value[0])  # type: ignore[arg-type]
    if not layout.dense and _in_branches_is_exact(query, value, layout, window, scoring) and layout.branches.pays:
        q, k, v = (one[0].transpose(0, 1) for one in (query, key, value))
        scale = query.shape[-1] ** -0.5 if scoring.scale is None else scoring.scale
        return attend_in_branches(q, k, v, layout.branches, scale, layout.kernel).transpose(0, 1)[None]
    if not layout.dense and query.device.type == "cuda" and scoring.dropout == 0 and query.dtype != torch.float64:
        if window not in layout.flexes:
            layout.flexes[window] = flex.plan(layout.leave_N, layout.depth_N, window, query.device)
        return flex.attend_in_forest(query[0], key[0], value[0], layout.flexes[window], scoring.scale, scoring.softcap)[None]
    parts = []
    for (start, stop), plain in zip(zip(layout.borders, layout.borders[1:], strict=False), layout.plain, strict=True):
        for low in range(start, stop, DENSE_NODES):
            high = min(low + DENSE_NODES, stop)
            mask = None if plain and high - start <= min(DENSE_NODES, window or DENSE_NODES) else _mask(layout, start, low, high, window)
            q, k, v = (states[:, :, a:high] for states, a in ((query, low), (key, start), (value, start)))
            parts.append(attend(q, k, v, mask, True, scoring))
    return torch.cat(parts, 2) if len(parts) > 1 else parts[0]


def _in_branches_is_exact(query: Tensor, value: Tensor, layout: Trees, window: int | None, scoring: Scoring) -> bool:
    """Whether the branches backend computes what was asked: it knows no windows, soft caps or dropout, and only CPUs."""
    plain = scoring.softcap is None and scoring.dropout == 0 and (window is None or layout.n_deep <= window)
    return plain and query.device.type == "cpu" and query.shape[-1] == value.shape[-1]


def _mask(layout: Trees, start: int, low: int, high: int, window: int | None) -> Tensor:
    """Which keys `start … high` the queries `low … high` of one tree see; layers share the answer."""
    found = layout.masks.get((low, high, window))
    if found is None:
        found = visible(layout.leave_N, low, high, start)
        if window is not None:
            found = found & (layout.depth_N[low:high, None] - layout.depth_N[None, start:high] < window)
        layout.masks[low, high, window] = found
    return found


def _continued(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, layout: Continued, window: int | None, scoring: Scoring
) -> Tensor:
    """Query, key and value hold the new nodes only, (1, ·, Q, D); each sees its ancestors among all nodes of its tree."""
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    keys, values = layout.keys[layer], layout.values[layer]
    keys[:, layout.new_Q], values[:, layout.new_Q] = key[0], value[0]
    edges = torch.searchsorted(layout.new_Q, torch.tensor(layout.borders, device=query.device)).tolist()
    parts = []
    for t, start in enumerate(layout.borders[:-1]):
        for low in range(edges[t], edges[t + 1], DENSE_NODES):
            high = min(low + DENSE_NODES, edges[t + 1])
            mask = _mask_of(layout, layout.new_Q[low:high], start, window)
            stop = start + mask.shape[1]
            parts.append(attend(query[:, :, low:high], keys[None, :, start:stop], values[None, :, start:stop], mask, False, scoring))
    return torch.cat(parts, 2) if len(parts) > 1 else parts[0]


def _mask_of(layout: Continued, nodes: Tensor, start: int, window: int | None) -> Tensor:
    """Which of the keys from `start` on the given nodes of one tree see; layers share the answer."""
    first, last = int(nodes[0]), int(nodes[-1])
    found = layout.masks.get((first, last, window))
    if found is None:
        place = torch.arange(start, last + 1, device=nodes.device)[None]
        found = (place <= nodes[:, None]) & (nodes[:, None] < layout.leave_N[None, start : last + 1])
        if window is not None:
            found = found & (layout.depth_N[nodes, None] - layout.depth_N[None, start : last + 1] < window)
        layout.masks[first, last, window] = found
    return found


def _grown(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, layout: Grown, window: int | None, scoring: Scoring) -> Tensor:
    """Query, key and value hold one token of each sequence, (1, ·, B, D); gives (1, H, B, D)."""
    layer, n_sequences, n = int(module.layer_idx), query.shape[2], layout.longest + 1  # type: ignore[arg-type]
    keys, values = layout.keys[layer][:n_sequences], layout.values[layer][:n_sequences]
    sequence = torch.arange(n_sequences, device=query.device)
    keys[sequence, :, layout.length_B] = key[0].transpose(0, 1)
    values[sequence, :, layout.length_B] = value[0].transpose(0, 1)
    mask = layout.masks.get(window)
    if mask is None:
        place = torch.arange(n, device=query.device)[None]
        mask = place <= layout.length_B[:, None]
        if window is not None:
            mask = mask & (layout.length_B[:, None] - place < window)
        layout.masks[window] = mask = mask[:, None, None]
    # The heads that share a key stand side by side as queries of it, so that no key is repeated: (B, G, H / G, D).
    asked = query[0].transpose(0, 1).reshape(n_sequences, keys.shape[1], -1, query.shape[3])
    out = attend(asked, keys[:, :, :n], values[:, :, :n], mask, False, scoring)
    return out.reshape(n_sequences, query.shape[1], -1).transpose(0, 1)[None]
