"""The probe settles a layout; whatever it settles, the network then computes what the family itself does."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
from tests.small import _SAME, FAMILIES, decoder_of
from tests.tiny import WIDTH, tiny_network

from luthier.core.errors import LuthierError
from luthier.models.attention import Trees
from luthier.models.blocks import Blocks
from luthier.models.load import prepare
from luthier.models.network import Network
from luthier.models.probe import probe
from luthier.text.batching import CutPlan
from luthier.text.rows import make_row

OTHERS = {
    "mamba": ("MambaForCausalLM", "MambaConfig", {"vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}),
    "recurrent_gemma": (
        "RecurrentGemmaForCausalLM", "RecurrentGemmaConfig",
        {**_SAME, "num_hidden_layers": 3, "lru_width": 16, "attention_window_size": 8, "head_dim": 4},
    ),
    "lfm2": ("Lfm2ForCausalLM", "Lfm2Config", {**_SAME, "full_attn_idxs": [1]}),
    "gpt_oss": ("GptOssForCausalLM", "GptOssConfig", {**_SAME, "head_dim": 4, "num_local_experts": 4, "num_experts_per_tok": 2,
                                                    "sliding_window": 8}),
    "bloom": ("BloomForCausalLM", "BloomConfig", {"vocab_size": 61, "hidden_size": 16, "n_layer": 2, "n_head": 4}),
    "gpt_neo": (
        "GPTNeoForCausalLM", "GPTNeoConfig",
        {"vocab_size": 61, "hidden_size": 16, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
         "max_position_embeddings": 128, "window_size": 64},
    ),
    "gpt_j": ("GPTJForCausalLM", "GPTJConfig", {"vocab_size": 61, "n_embd": 16, "n_layer": 2, "n_head": 4, "rotary_dim": 4,
                                               "n_positions": 128}),
    "qwen3_next": (
        "Qwen3NextForCausalLM", "Qwen3NextConfig",
        {**_SAME, "head_dim": 4, "num_experts": 4, "num_experts_per_tok": 2, "linear_num_value_heads": 2, "linear_num_key_heads": 2,
         "linear_key_head_dim": 4, "linear_value_head_dim": 4, "layer_types": ["linear_attention", "full_attention"]},
    ),
}  # fmt: skip
"""Families whose layers look further than at ancestors: recurrences, convolutions, sinks, biases by distance, code of their own."""


def other_of(kind: str):
    model, config, said = OTHERS[kind]
    torch.manual_seed(0)
    return getattr(transformers, model)(getattr(transformers, config)(**said)).eval()


def assert_right(decoder, layout: str, network: Network) -> None:
    """Rows as long as the context, longer than any window, give the family's own logits."""
    own = copy.deepcopy(decoder)
    own.set_attn_implementation("eager")
    tokens = torch.randint(3, 61, (110,), generator=torch.Generator().manual_seed(1)).tolist()
    rows = [make_row(one) for one in (tokens, tokens[:90] + tokens[:15], tokens[5:100], tokens[:50])]
    batch = CutPlan(layout, 10_000, 0).make(rows)  # type: ignore[arg-type]
    with torch.no_grad():
        found = network.logits(network(batch).at(batch.path_P)).split([row.n_tokens for row in rows])
        for row, logits in zip(rows, found, strict=True):
            wanted = own(input_ids=torch.from_numpy(row.tokens)[None], use_cache=False).logits[0]
            assert float((logits - wanted).norm() / wanted.norm()) < 2e-5


@pytest.mark.parametrize("kind", FAMILIES)
def test_families_whose_tokens_see_their_ancestors_get_the_forest(kind: str) -> None:
    decoder = decoder_of(kind, torch.float32)
    network = Network(prepare(copy.deepcopy(decoder)), torch.float32)
    found = probe(network)
    assert found.layout == "forest", found.reason
    assert_right(decoder, found.layout, network)


@pytest.mark.parametrize("kind", OTHERS)
def test_families_that_look_further_get_padded_rows_and_a_reason(kind: str) -> None:
    decoder = other_of(kind)
    network = Network(prepare(copy.deepcopy(decoder)), torch.float32)
    found = probe(network)
    assert found.layout == "padded"
    assert len(found.reason.split()) > 3
    assert_right(decoder, found.layout, network)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "cohere"])
def test_models_in_float64_get_the_forest_too(kind: str) -> None:
    found = probe(Network(prepare(decoder_of(kind)), torch.float64))
    assert found.layout == "forest", found.reason


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_models_in_bfloat16_get_the_forest_too(kind: str) -> None:
    found = probe(Network(prepare(decoder_of(kind, torch.bfloat16)), torch.bfloat16))
    assert found.layout == "forest", found.reason


def test_a_gradient_that_is_no_number_is_found_out() -> None:
    network = Network(prepare(decoder_of("llama", torch.float32)), torch.float32)

    def spoil(module, given, states: torch.Tensor) -> None:
        if states.requires_grad and len(states) == 1:  # a forest is one sequence, padded rows are several
            states.register_hook(lambda gradient: gradient * float("nan"))

    network.decoder.model.norm.register_forward_hook(spoil)
    assert probe(network).layout == "padded"


def test_logits_that_no_rule_explains_are_an_error() -> None:
    network = Network(prepare(decoder_of("granite", torch.float32)), torch.float32)
    network._rule = type(network._rule)()
    with pytest.raises(LuthierError, match="logits differ"):
        probe(network)


def test_probing_leaves_the_network_as_it_was() -> None:
    network = Network(prepare(decoder_of("llama", torch.float32)), torch.float32)
    network.requires_grad_(False)
    before = {name: p.clone() for name, p in network.named_parameters()}
    assert probe(network) == probe(network)
    assert all(torch.equal(p, before[name]) and not p.requires_grad and p.grad is None for name, p in network.named_parameters())
    assert probe(network, seed=5).layout == "forest"


def test_chunked_attention_is_found_out_however_long_its_chunks() -> None:
    for size in (8, 64):
        config = transformers.Llama4TextConfig(
            **{
                **_SAME,
                "head_dim": 4,
                "num_local_experts": 2,
                "attention_chunk_size": size,
                "intermediate_size_mlp": 24,
                "no_rope_layers": [1, 0],
            }
        )
        torch.manual_seed(0)
        decoder = transformers.Llama4ForCausalLM(config).eval()
        network = Network(prepare(copy.deepcopy(decoder)), torch.float32)
        found = probe(network)
        assert_right(decoder, found.layout, network)


def even_network() -> Network:
    """A network whose logits all rise alike with the first number of a state, which changes no probability and no gradient."""
    network = tiny_network(torch.float64, tie_word_embeddings=False)
    with torch.no_grad():
        network.decoder.lm_head.weight[:, 0] = 1.0
    return network


def test_a_forest_with_other_logits_but_the_same_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Network.states
    monkeypatch.setattr(Network, "states", lambda self, *said: right(self, *said) + raised(isinstance(said[-1], Trees)))
    found = probe(even_network())
    assert found.layout == "padded"
    assert found.logits_difference > 0.1 and found.gradient_difference < 1e-9


def test_a_forward_pass_of_our_own_with_other_logits_but_the_same_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Blocks.states
    monkeypatch.setattr(Blocks, "states", lambda self, *said: right(self, *said) + raised(True))
    network = even_network()
    assert probe(network).computed_by.startswith("the family's own: Luthier's differs")
    assert network.blocks is None


def raised(by_one: bool) -> torch.Tensor:
    return torch.tensor([float(by_one)] + [0.0] * (WIDTH - 1), dtype=torch.float64)
