"""Embedding: vectors as the model's own states give them, whatever they are read beside, and long texts read to their ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.models.test_load import saved
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from luthier.core.errors import LuthierError
from luthier.models.embedding import load_embedder

WORDS = ["the", "violin", "has", "a", "crack", "and", "two", "pegs", "slip", "since", "winter"]
N_POSITIONS = 12


def encoder(folder: Path, pooling: str | None = None) -> str:
    """A small random encoder with a word tokenizer that puts [CLS] and [SEP] around a text."""
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=N_POSITIONS, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).eval().save_pretrained(folder)
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        said = {name: name == pooling for name in ("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens")}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **said}), encoding="utf-8")
    return str(folder)


def by_hand(source: str, text: str, pooling: str) -> np.ndarray:
    model = BertModel.from_pretrained(source).eval()
    tokens = PreTrainedTokenizerFast.from_pretrained(source)(text, return_tensors="pt")
    with torch.no_grad():
        states = model(tokens["input_ids"]).last_hidden_state[0]
    vector = states[0] if pooling == "cls" else states.mean(0)
    return torch.nn.functional.normalize(vector, dim=0).numpy()


@pytest.mark.parametrize(("said", "pooling"), [(None, "mean"), ("pooling_mode_mean_tokens", "mean"), ("pooling_mode_cls_token", "cls")])
def test_a_vector_is_the_pooled_states_of_the_text_alone_at_length_one(tmp_path: Path, said: str | None, pooling: str) -> None:
    source = encoder(tmp_path, said)
    embedder = load_embedder(source)
    texts = ["the violin", "the pegs slip since winter and the violin has a crack", "slip", "", "the violin"]
    found = embedder(texts)
    assert found.dtype == np.float32 and found.shape == (5, 16)
    for text, vector in zip(texts, found, strict=True):
        if text and len(text.split()) < N_POSITIONS - 2:
            np.testing.assert_allclose(vector, by_hand(source, text, pooling), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[[0, 1, 2, 4]], axis=1), 1, atol=1e-6)
    assert not found[3].any()
    np.testing.assert_array_equal(found[0], found[4])
    np.testing.assert_allclose(found[2], embedder(["slip"])[0], atol=1e-6)
    assert embedder([]).shape == (0, 16)


def test_a_long_text_is_read_to_its_end_in_windows(tmp_path: Path) -> None:
    source = encoder(tmp_path)
    embedder = load_embedder(source)
    words = [WORDS[i % len(WORDS)] for i in range(24)]
    room = N_POSITIONS - 2
    parts = [words[low : low + room] for low in range(0, 24, room)]
    wanted = sum(len(part) * by_hand(source, " ".join(part), "mean") for part in parts)
    (found,) = embedder([" ".join(words)])
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted), atol=1e-5)
    (other,) = embedder([" ".join([*words[:-1], "crack"])])
    assert np.abs(found - other).max() > 1e-4


def test_a_decoder_embeds_too_and_padding_changes_nothing(tmp_path: Path) -> None:
    embedder = load_embedder(saved(tmp_path))
    alone = embedder(["The cat"])
    beside = embedder(["The cat", "The cat sat on the mat for a long time and looked at the bird"])
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-6)
    assert float(beside[0] @ beside[1]) < 0.9999


def test_pooling_that_is_not_known_and_folders_without_a_model_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="pooling_mode_max_tokens"):
        load_embedder(encoder(tmp_path, "pooling_mode_max_tokens"))
    with pytest.raises(LuthierError, match="no model"):
        load_embedder(str(tmp_path / "nowhere"))
