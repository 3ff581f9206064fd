"""A loaded tokenizer, as the text layer sees it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.small import SPECIAL, tokenizer_of
from tokenizers import AddedToken, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from luthier.models import tokenizer as tokenizer_module
from luthier.models.load import load_tokenizer
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.tokenizer import PLAIN_TEMPLATE

TOKENIZER = tokenizer_of("chatml")


@given(st.text(max_size=30))
def test_text_reads_back_as_it_was_written(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_nothing_is_added_and_special_tokens_are_read_by_name() -> None:
    assert TOKENIZER.encode("") == []
    tokens = TOKENIZER.encode("a<|im_end|></s>")
    assert tokens[1:] == [TOKENIZER.inner.convert_tokens_to_ids(name) for name in ("<|im_end|>", "</s>")]
    assert TOKENIZER.decode(tokens) == "a<|im_end|></s>"


def test_special_tokens_are_known() -> None:
    assert {TOKENIZER.piece(i) for i in TOKENIZER.special_ids} == set(SPECIAL)
    assert TOKENIZER.piece(TOKENIZER.eos_id) == "</s>" and TOKENIZER.piece(TOKENIZER.pad_id) == "<pad>"


def test_a_model_without_padding_pads_with_its_end_token() -> None:
    inner = copy.copy(TOKENIZER.inner)
    inner.pad_token = None
    assert LoadedTokenizer(inner).pad_id == TOKENIZER.eos_id


def test_a_begin_token_counts_only_where_the_model_was_trained_with_it() -> None:
    assert TOKENIZER.bos_id is None


def test_models_without_a_template_get_the_plain_one() -> None:
    plain = tokenizer_of("plain")
    assert not plain.has_template and plain.template_text == PLAIN_TEMPLATE
    assert TOKENIZER.has_template
    told = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert plain.apply_template(told, (), True, {}) == "<s><|im_start|>user\na</s>\n<|im_start|>assistant\nb</s>\n<|im_start|>assistant\n"


def test_a_refusal_of_the_template_is_told() -> None:
    with pytest.raises(ValueError, match="Only user and assistant"):
        tokenizer_of("mistral").apply_template([{"role": "system", "content": "a"}], (), True, {})


NEAR = ("<|im_start|>user\n", "<|im_", "end|>", " ", "\n", "hello")
pieces = st.lists(st.sampled_from(SPECIAL) | st.sampled_from(NEAR) | st.text(max_size=6))


def as_the_library_does(tokenizer: LoadedTokenizer, text: str) -> list[int]:
    return list(tokenizer.inner(text, add_special_tokens=False)["input_ids"])


@given(st.lists(pieces.map("".join), max_size=5))
def test_texts_cut_at_marks_and_remembered_have_the_tokens_of_the_library(texts: list[str]) -> None:
    for tokenizer in (TOKENIZER, LoadedTokenizer(TOKENIZER.inner)):  # one that remembers, and one that has met nothing yet
        wanted = [as_the_library_does(tokenizer, text) for text in texts]
        assert tokenizer.encode_all(texts) == wanted
        assert [tokenizer.encode(text) for text in reversed(texts)] == wanted[::-1]


@given(st.lists(st.sampled_from(("<|user|>", "<|turn_end|>", "<|assistant|>", "<|end|>")) | st.text(max_size=9), max_size=6).map("".join))
def test_the_same_holds_for_the_embedded_model(text: str) -> None:
    tokenizer = load_tokenizer("sprout")
    assert tokenizer.encode(text) == as_the_library_does(tokenizer, text)
    assert tokenizer._marks is not None


def test_what_is_handed_out_can_be_changed_without_harm() -> None:
    first = TOKENIZER.encode("hello hello")
    first.append(0)
    assert TOKENIZER.encode("hello hello") == first[:-1]


def test_memory_of_texts_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_module, "MOST_KNOWN", 40)
    tokenizer = LoadedTokenizer(TOKENIZER.inner)
    for i in range(60):
        text = f"text {i} <|im_end|> of some length"
        assert tokenizer.encode(text) == as_the_library_does(tokenizer, text)
        assert sum(map(len, tokenizer._known.tokens)) == tokenizer._known.n_characters <= 40 + len(text)


def changed(added: AddedToken | None = None, pre_tokenizer: pre_tokenizers.PreTokenizer | None = None) -> LoadedTokenizer:
    inner = copy.deepcopy(TOKENIZER.inner)
    assert isinstance(inner, PreTrainedTokenizerFast)
    if added is not None:
        inner.add_special_tokens({"additional_special_tokens": [added]}, replace_extra_special_tokens=False)
    if pre_tokenizer is not None:
        inner.backend_tokenizer.pre_tokenizer = pre_tokenizer
    return LoadedTokenizer(inner)


ODD = (
    changed(AddedToken("<x>", lstrip=True, special=True)),
    changed(AddedToken("<x>", rstrip=True, special=True)),
    changed(AddedToken("<x>", single_word=True, special=True)),
    changed(AddedToken("<x>", normalized=True)),
    changed(AddedToken("a<|im_end|>", normalized=False, special=True)),
    changed(pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first")),
    changed(pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.Metaspace(prepend_scheme="first")])),
    changed(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
)


@pytest.mark.parametrize("tokenizer", ODD)
@given(text=st.lists(st.sampled_from(("<x>", "<|im_end|>", "a", " ", "b<x", "hello", "</s>", "1")), max_size=8).map("".join))
def test_marks_that_take_in_their_neighbours_change_no_token(tokenizer: LoadedTokenizer, text: str) -> None:
    assert tokenizer.encode(text) == as_the_library_does(tokenizer, text)


def test_two_tokenizers_are_taken_for_one_only_if_they_are() -> None:
    other = copy.deepcopy(TOKENIZER.inner)
    other.eos_token = "<|im_end|>"
    prints = [one.fingerprint for one in (TOKENIZER, tokenizer_of("llama3"), LoadedTokenizer(other), *ODD)]
    assert len(set(prints)) == len(prints) and None not in prints
    assert LoadedTokenizer(copy.deepcopy(TOKENIZER.inner)).fingerprint == TOKENIZER.fingerprint
