"""A loaded tokenizer, as the text layer sees it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.small import SPECIAL, tokenizer_of

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
