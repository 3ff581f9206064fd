"""Imitation: which tokens are trained, and one loss by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.small import network_of, tokenizer_of

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Labelled, Pair, Text
from luthier.core.messages import Message
from luthier.objectives import Imitate
from luthier.text.batching import CutPlan
from luthier.text.renderer import Renderer
from luthier.text.rows import Row, make_row

RENDERER = Renderer(tokenizer_of("chatml"))


def trained(row: Row) -> str:
    return RENDERER.tokenizer.decode([int(token) for token, weight in zip(row.tokens, row.weights, strict=True) if weight])


def test_a_completion_and_its_stop_token_are_trained_and_the_prompt_is_not() -> None:
    (row,) = Imitate().rows(Pair("p", "Who sat?", "The cat"), RENDERER)
    assert trained(row) == "The cat<|im_end|>"
    assert row.tokens[-1] == RENDERER.stop_id and row.weights[-1] == 1
    assert row.id == "p"


def test_assistant_turns_count_by_their_weights() -> None:
    turns = (Message("user", "a"), Message("assistant", "b", weight=0.5), Message("user", "c"), Message("assistant", "d", weight=0.0))
    (row,) = Imitate().rows(Chat("c", turns), RENDERER)
    assert trained(row) == "b<|im_end|>"
    assert set(row.weights.tolist()) == {0.0, 0.5}


def test_a_loss_by_hand() -> None:
    """A network whose output layer is zero gives each of 61 tokens the same probability."""
    network = network_of("llama")
    torch.nn.init.zeros_(network.decoder.lm_head.weight)
    batch = CutPlan("forest", 100, 0).make([make_row([4, 5, 6], [0, 1, 0.5]), make_row([4, 7], [0, 2])])
    assert float(Imitate().loss(network(batch), batch).totals["loss_nats"].detach()) == pytest.approx(3.5 * math.log(61), rel=1e-12)
    assert Imitate().count(batch) == {"loss_nats": 3.5}


def test_the_loss_is_the_cross_entropy_of_shifted_tokens() -> None:
    network = network_of("llama")
    tokens = torch.tensor([5, 6, 7, 8, 9])
    batch = CutPlan("forest", 100, 0).make([make_row(tokens.tolist(), [0, 0, 1, 1, 1])])
    network.decoder.set_attn_implementation("eager")
    logits = network.decoder(input_ids=tokens[None], use_cache=False).logits[0]
    network.decoder.set_attn_implementation("luthier")
    wanted = torch.nn.functional.cross_entropy(logits[1:-1], tokens[2:], reduction="sum")
    torch.testing.assert_close(Imitate().loss(network(batch), batch).totals["loss_nats"], wanted, rtol=1e-7, atol=1e-7)


@given(st.text("ab cd", max_size=30), st.none() | st.integers(2, 9))
def test_plain_text_is_trained_once_in_full_but_for_its_first_token(text: str, window: int | None) -> None:
    rows = Imitate(window=window).rows(Text("t", text), RENDERER)
    document = RENDERER.document(text)
    learnt = [int(token) for row in rows for token, weight in zip(row.tokens, row.weights, strict=True) if weight]
    assert learnt == document[1:]
    assert all(row.n_tokens <= (window or len(document)) and row.id == "t" for row in rows)
    assert all(set(row.weights[1:].tolist()) == {1.0} for row in rows)
    for row, following in itertools.pairwise(rows):
        assert row.n_tokens == window and row.tokens[-1] == following.tokens[0]


def test_a_labelled_text_has_nothing_to_imitate() -> None:
    with pytest.raises(LuthierError, match="no reply to imitate") as caught:
        Imitate().rows(Labelled("l", "a", "b", source="x.csv:3"), RENDERER)
    assert caught.value.where == "x.csv:3"


def test_a_conversation_without_trained_turns_gives_no_rows() -> None:
    assert Imitate().rows(Chat("c", (Message("user", "a"),)), RENDERER) == ()


def test_a_smoothed_loss_is_pytorchs() -> None:
    network = network_of("llama")
    batch = CutPlan("forest", 100, 0).make([make_row([4, 5, 6], [0, 1, 1])])
    logits = network.logits(network(batch).at(batch.source_S))
    wanted = torch.nn.functional.cross_entropy(logits, batch.target_S, label_smoothing=0.2, reduction="sum")
    torch.testing.assert_close(Imitate(smoothing=0.2).loss(network(batch), batch).totals["loss_nats"], wanted)
