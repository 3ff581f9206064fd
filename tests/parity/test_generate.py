"""Greedy replies are, token for token, those of transformers' own generation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tests.small import CONTEXT, N_VOCABULARY, decoder_of, tokenizer_of

from luthier.core.generator import Sampling
from luthier.generate.engine import Engine
from luthier.models.load import prepare
from luthier.models.network import Network


@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "mistral_window", "qwen2_window", "gemma2", "granite", "phi3"])
def test_greedy_replies_are_those_of_transformers(kind: str, layout) -> None:
    decoder = decoder_of(kind, torch.float32, seed=3)
    own = copy.deepcopy(decoder)
    own.set_attn_implementation("eager")
    draw = np.random.default_rng(0)
    system = draw.integers(3, N_VOCABULARY, 11).tolist()
    prompts = [[*system, *draw.integers(3, N_VOCABULARY, n).tolist()] for n in (1, 4, 9)] + [
        system,
        [7],
        draw.integers(3, N_VOCABULARY, 20).tolist(),
    ]
    n_new = 14
    engine = Engine(Network(prepare(decoder), torch.float32), tokenizer_of("chatml"), frozenset({2}), CONTEXT, layout)
    for prompt, reply in zip(prompts, engine(prompts, Sampling(n_new)), strict=True):
        wanted = own.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=n_new, do_sample=False,
            eos_token_id=2, pad_token_id=0, return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        tokens = wanted.sequences[0, len(prompt) :].tolist()
        assert list(reply.tokens) == tokens
        assert reply.finish == ("stop" if tokens[-1] == 2 else "length")
        logps = [float(step[0].float().log_softmax(-1)[token]) for step, token in zip(wanted.logits, tokens, strict=True)]
        assert reply.logprobs == pytest.approx(logps, abs=2e-4)
