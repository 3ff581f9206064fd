"""Likelihoods of given continuations, together and pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.small import N_VOCABULARY, network_of

from luthier.generate.likelihood import likelihoods
from luthier.text.batching import CutPlan

DRAW = np.random.default_rng(2)
SYSTEM = DRAW.integers(3, N_VOCABULARY, 9).tolist()
PROMPTS = [SYSTEM, SYSTEM, [*SYSTEM, 5], [7], SYSTEM, [*SYSTEM, 5], [7]]
CONTINUATIONS = [[5, 6], [5], [6, 7, 8, 9], [7], [5, 6], [6], [7, 7]]


@pytest.mark.parametrize("layout", ["forest", "packed", "padded"])
@pytest.mark.parametrize("max_nodes", [1, 25, 10_000])
@pytest.mark.parametrize("kind", ["llama", "mistral_window"])
def test_likelihoods_are_those_of_each_pair_read_alone(kind: str, layout, max_nodes: int) -> None:
    network = network_of(kind)
    found = likelihoods(network, PROMPTS, CONTINUATIONS, CutPlan(layout, max_nodes, 0))
    network.decoder.set_attn_implementation("eager")
    wanted = []
    for prompt, continuation in zip(PROMPTS, CONTINUATIONS, strict=True):
        with torch.no_grad():
            logps = network.decoder(input_ids=torch.tensor([prompt + continuation]), use_cache=False).logits[0].double().log_softmax(-1)
        wanted.append(sum(float(logps[len(prompt) - 1 + t, token]) for t, token in enumerate(continuation)))
    assert found.logp_nats == pytest.approx(wanted, abs=1e-5)
    assert found.n_tokens.tolist() == [len(one) for one in CONTINUATIONS]


def test_all_continuations_by_one_token_share_a_probability_of_one() -> None:
    found = likelihoods(network_of("llama"), [SYSTEM] * N_VOCABULARY, [[token] for token in range(N_VOCABULARY)], CutPlan("forest", 40, 0))
    assert float(np.exp(found.logp_nats).sum()) == pytest.approx(1.0, abs=1e-9)


def test_nothing_to_continue_and_nothing_that_continues_are_our_bugs() -> None:
    for prompt, continuation in (([], [5]), ([5], [])):
        with pytest.raises(AssertionError):
            likelihoods(network_of("llama"), [prompt], [continuation], CutPlan("forest", 40, 0))
