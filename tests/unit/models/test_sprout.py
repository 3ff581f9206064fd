"""The embedded base model is what its card says."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open

from luthier.core.examples import Chat, Text
from luthier.core.messages import Message
from luthier.models.load import SPROUT, Base, load
from luthier.models.probe import probe
from luthier.stages.answering import Speaker, truth_nats


@pytest.fixture(scope="module")
def sprout() -> Base:
    return load("sprout")


def test_it_is_a_small_llama_with_long_context(sprout: Base) -> None:
    config = json.loads((SPROUT / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["head_dim"], config["tie_word_embeddings"], config["max_position_embeddings"]) == (64, True, 2048)
    assert 3_000_000 <= sprout.n_parameters <= 9_900_000
    assert sprout.tokenizer.n_vocabulary == config["vocab_size"] in (2048, 4096, 8192)


def test_its_weights_are_bfloat16_and_small_enough_to_ship() -> None:
    path = SPROUT / "model.safetensors"
    assert path.stat().st_size <= 20_000_000
    with safe_open(path, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118 - no mapping


def test_its_special_tokens_are_distinct_and_its_template_ends_turns(sprout: Base) -> None:
    tokenizer = sprout.tokenizer
    turn_end = tokenizer.encode("<|turn_end|>")
    assert len(turn_end) == 1
    assert len({tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, turn_end[0]}) == 4
    assert sprout.renderer.stop_id == turn_end[0]
    assert "{% generation %}" in tokenizer.template_text


def test_a_conversation_begins_once_and_trains_replies_with_their_stop(sprout: Base) -> None:
    asked, answered = ("Hello", "Bye"), ("Hi", "So long")
    turns = [turn for a, b in zip(asked, answered, strict=True) for turn in (Message("user", a), Message("assistant", b))]
    chat = Chat("", (Message("system", "Be kind."), *turns))
    (row,) = sprout.renderer.render(chat)
    assert row.tokens.count(sprout.tokenizer.bos_id or -1) == 1
    trained = sprout.tokenizer.decode([token for token, weight in zip(row.tokens, row.weights, strict=True) if weight])
    assert trained == "Hi<|turn_end|>So long<|turn_end|>"


def test_text_comes_back_as_it_was(sprout: Base) -> None:
    text = "Dear Ms Wren,\n  the cello's neck – naïve, I know – \tmoved. 日本 🎻"
    assert sprout.tokenizer.decode(sprout.tokenizer.encode(text)) == text


def test_it_may_be_trained_as_a_forest(sprout: Base) -> None:
    assert probe(sprout.network).layout == "forest"


def test_it_has_learnt_english(sprout: Base) -> None:
    sound = "The old man sat by the window and looked at the sea. He had been there for a long time, and he did not want to go."
    shuffled = " ".join(sorted(sound.split(), key=hash_of))
    speaker = Speaker(sprout.network, sprout.tokenizer, "forest", 512)
    nats, n_tokens, _ = truth_nats(speaker, [Text("a", sound), Text("b", shuffled)], 512)
    assert nats[0] < nats[1]
    assert nats[0] / n_tokens[0] < 5.0, "an even guess among its tokens would be 7.6 or more"


def hash_of(word: str) -> int:
    return sum(ord(letter) * (i + 7) for i, letter in enumerate(word)) % 97
