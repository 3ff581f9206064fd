"""From logits to the next token, as a pure function of (logits, settings, place)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from luthier.core.draws import seed_of
from luthier.core.generator import Sampling

N_LIKELIEST = 1024
"""Tokens that are sorted at first for top-p; the whole vocabulary is only where these do not reach it."""
LEAST_TEMPERATURE = 1e-100
"""Below it logits are divided by this: any smaller number would make infinities of them, and it is greedy already."""


@dataclass(frozen=True)
class Chosen:
    """The next token, its log-probability under the model itself in nats, and the likeliest ones with theirs."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


def choose(logits_V: Tensor, sampling: Sampling, place: int) -> int:
    """The next token of one sequence; `place` counts the reply's tokens so far and keys the draw, with the seed.

    Top-k cuts first, then top-p (nucleus sampling, Holtzman and others, 2020, arXiv:1904.09751): the smallest set of the
    likeliest tokens whose probabilities sum to at least `top_p`. Of equally likely tokens, the first in the vocabulary is
    taken before the others.
    """
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    scaled = logits_V.double() / max(sampling.temperature, LEAST_TEMPERATURE)
    if not sampling.top_k and sampling.top_p == 1:
        probability, order = scaled.softmax(0), None
    else:
        probability, order = _likeliest(scaled, sampling)
    edges = (probability / probability.sum()).cumsum(0).cpu().numpy()
    drawn = np.random.default_rng(seed_of(sampling.seed, "token", place)).random()
    at = min(int(np.searchsorted(edges, drawn, side="right")), len(edges) - 1)
    return at if order is None else int(order[at])


def _likeliest(scaled_V: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The tokens that the cuts leave, the likeliest first: their probabilities before the last cut, and their numbers."""
    n_all = len(scaled_V)
    n = min(sampling.top_k or N_LIKELIEST, n_all)
    while True:
        # A stable sort of all tokens not below the n-th: ties at the border are settled as a sort of everything would.
        candidates = (scaled_V >= scaled_V.topk(n).values[-1]).nonzero()[:, 0]
        values, order = scaled_V[candidates].sort(descending=True, stable=True)
        if sampling.top_k:
            values, order = values[: sampling.top_k], order[: sampling.top_k]
            probability = values.softmax(0)
        else:
            probability = (values - scaled_V.logsumexp(0)).exp()
        if sampling.top_p == 1:
            return probability, candidates[order]
        before = probability.cumsum(0) - probability
        wanted = before < sampling.top_p
        if sampling.top_k or n == n_all or not wanted.all():
            return probability[wanted], candidates[order[wanted]]
        n = n_all


def choose_all(logits_BV: Tensor, samplings: Sequence[Sampling], places: Sequence[int], n_top: Sequence[int] = ()) -> list[Chosen]:
    """The next token of each sequence; greedy ones are taken together. `n_top` says how many of the likeliest each tells."""
    best = logits_BV.argmax(-1).tolist()
    tokens = [
        best[b] if sampling.temperature == 0 else choose(logits_BV[b], sampling, place)
        for b, (sampling, place) in enumerate(zip(samplings, places, strict=True))
    ]
    exact = logits_BV.to(torch.promote_types(logits_BV.dtype, torch.float32))
    total_B = exact.logsumexp(-1)
    chosen = exact.gather(1, torch.tensor(tokens, device=exact.device)[:, None])[:, 0] - total_B
    found = [Chosen(token, logprob) for token, logprob in zip(tokens, chosen.tolist(), strict=True)]
    for b, n in enumerate(n_top):
        if n:
            values, numbers = exact[b].topk(min(n, exact.shape[1]))
            found[b] = replace(found[b], top=tuple(zip(numbers.tolist(), (values - total_B[b]).tolist(), strict=True)))
    return found
