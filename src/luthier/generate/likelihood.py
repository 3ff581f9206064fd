"""How likely given continuations are: rows that share a prompt share its computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.models.network import Network
from luthier.text.batching import CutPlan
from luthier.text.rows import make_row


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """For each pair, the summed log-probability of the continuation's tokens, in nats, and how many there are."""

    logp_nats: NDArray[np.float64]
    n_tokens: NDArray[np.int64]


@torch.no_grad()
def likelihoods(network: Network, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], plan: CutPlan) -> Likelihoods:
    """Log p(continuation | prompt) of each pair; each has at least one token on both sides."""
    rows = []
    for i, (prompt, continuation) in enumerate(zip(prompts, continuations, strict=True)):
        assert prompt, "a continuation needs something to continue"
        assert continuation, "an empty continuation has no likelihood"
        rows.append(make_row([*prompt, *continuation], [0.0] * len(prompt) + [1.0] * len(continuation), id=str(i)))
    total = np.zeros(len(rows))
    network.eval()
    for batch in plan.batches(rows):
        moved = batch.to(network.device)
        logps = network(moved).token_logps(moved).double()
        sums = torch.zeros(batch.n_rows, dtype=torch.float64, device=logps.device).index_add(0, moved.row_S, logps)
        total[[int(name) for name in batch.ids]] = sums.cpu().numpy()
    return Likelihoods(total, np.asarray([len(continuation) for continuation in continuations], dtype=np.int64))
