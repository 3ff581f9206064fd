"""From logits to the next token, as a pure function of (logits, settings, place)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from luthier.core.draws import seed_of
from luthier.core.generator import Sampling


def choose(logits_V: Tensor, sampling: Sampling, place: int) -> int:
    """The next token of one sequence; `place` counts the reply's tokens so far and keys the draw, with the seed.

    Top-k cuts first, then top-p (nucleus sampling, Holtzman and others, 2020, arXiv:1904.09751): the smallest set of the
    likeliest tokens whose probabilities sum to at least `top_p`.
    """
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    scaled = logits_V.double() / sampling.temperature
    values, order = scaled.sort(descending=True, stable=True)
    if sampling.top_k:
        values = values[: sampling.top_k]
    probability = values.softmax(0)
    if sampling.top_p < 1:
        before = probability.cumsum(0) - probability
        probability = probability[before < sampling.top_p]
    edges = (probability / probability.sum()).cumsum(0).cpu().numpy()
    drawn = np.random.default_rng(seed_of(sampling.seed, "token", place)).random()
    return int(order[min(int(np.searchsorted(edges, drawn, side="right")), len(edges) - 1)])


def logp(logits_V: Tensor, token: int) -> float:
    """The token's log-probability under the model itself, in nats."""
    return float(logits_V.float().log_softmax(-1)[token])


def choose_all(logits_BV: Tensor, samplings: list[Sampling], places: list[int]) -> tuple[list[int], list[float]]:
    """The next token of each sequence, and its log-probability; greedy ones are taken together."""
    logps = logits_BV.float().log_softmax(-1)
    best = logits_BV.argmax(-1)
    tokens = [
        int(best[b]) if sampling.temperature == 0 else choose(logits_BV[b], sampling, place)
        for b, (sampling, place) in enumerate(zip(samplings, places, strict=True))
    ]
    chosen = logps[torch.arange(len(tokens)), torch.tensor(tokens, device=logps.device)]
    return tokens, chosen.tolist()
