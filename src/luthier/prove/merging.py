"""Proof that an adapter folded into its base answers as the adapter beside it does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from luthier.core.proofs import Proof
from luthier.methods.lora import adapted
from luthier.methods.protocol import MERGE_TOLERANCE, TuningMethod
from luthier.models.network import Network
from luthier.text.batching import CutPlan
from luthier.text.rows import Row


@torch.no_grad()
def merged_equals_adapter(network: Network, method: TuningMethod, rows: Sequence[Row], cuts: CutPlan) -> Proof:
    """Merge, and compare what the network says about the rows before and after; the network stays merged.

    Compared are a classifier's scores, or else the logits that predict each row's last trained tokens, as ‖Δ‖ / ‖before‖.
    """
    bound = MERGE_TOLERANCE[next(network.decoder.parameters()).dtype]
    beside = outputs(network, rows, cuts)
    untuned = _without_adapter(network, rows, cuts)
    method.merge(network)
    merged = outputs(network, rows, cuts)
    gap, moved = _relative(merged, beside), _relative(untuned, beside)
    said = f"{len(rows)} rows, float32: merged and adapter differ by {gap:.1e}, relatively; the bound is {bound:.0e}"
    return Proof(gap <= bound, f"{said}; without the adapter it would be {moved:.1e}")


def outputs(network: Network, rows: Sequence[Row], cuts: CutPlan, n_last: int = 12) -> Tensor:
    """What the network says about rows, flattened, in float64: a head's scores, or logits of the `n_last` last trained tokens."""
    found = []
    for row in rows:
        batch = cuts.make([row]).to(network.device)
        read = network(batch)
        found.append(read.row_scores(batch) if network.head is not None else network.logits(read.at(batch.source_S[-n_last:])))
    return torch.cat([one.double().flatten() for one in found])


def _without_adapter(network: Network, rows: Sequence[Row], cuts: CutPlan) -> Tensor:
    deltas = [layer.lora for _, layer in adapted(network)]
    scales = [delta.scale for delta in deltas]
    for delta in deltas:
        delta.scale = 0.0
    found = outputs(network, rows, cuts)
    for delta, scale in zip(deltas, scales, strict=True):
        delta.scale = scale
    return found


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm().clamp_min(1e-300))
