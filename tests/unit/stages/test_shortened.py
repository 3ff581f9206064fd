"""What does not fit a model is counted wherever it is cut: in classifying, replying, measuring and asking for labels."""

from __future__ import annotations

import pytest
import torch
from tests.small import network_of, tokenizer_of

from luthier.core.examples import Labelled, Pair
from luthier.objectives import Classify
from luthier.serve.bundle import new_head
from luthier.stages.answering import Speaker, classify, label_nats, question_of, reply, truth_nats

LONG = "ba ko mi ru te lo sa ni pu ga " * 40


@pytest.fixture
def speaker() -> Speaker:
    tokenizer = tokenizer_of("chatml")
    network = network_of("llama", torch.float32, vocab_size=len(tokenizer.inner), max_position_embeddings=96)
    return Speaker(network, tokenizer, "forest", 96)


def asked(text: str, answer: str = "so") -> Pair:
    return Pair(text[:5], text, answer)


def test_nothing_is_said_where_everything_fits(speaker: Speaker) -> None:
    reply(speaker, [asked("ba ko")], 8)
    truth_nats(speaker, [asked("ba ko")], 96)
    label_nats(speaker, ["so", "mi"], "Say", ["ba"])
    assert set(speaker.shortened.n_tokens_cut) == {0}
    assert speaker.shortened.as_text() == ""


def test_a_question_that_is_cut_is_counted_with_its_tokens(speaker: Speaker) -> None:
    n_tokens = len(speaker.renderer.prompt(question_of(asked(LONG))))
    reply(speaker, [asked("ba ko"), asked(LONG)], 8)
    assert speaker.shortened.n_tokens_cut == [0, n_tokens - (96 - 8)]
    assert speaker.shortened.as_text() == f"questions too long for the model, and cut: 1 (by {n_tokens - 88:,} tokens in all)"


def test_a_text_to_classify_that_is_cut_is_counted(speaker: Speaker) -> None:
    new_head(speaker.network, 2, "mean")
    classify(speaker, Classify(("a", "b")), [Labelled("1", LONG, None), Labelled("2", "ba", None)])
    first, second = speaker.shortened.n_tokens_cut
    assert first > 0 == second


def test_a_text_behind_which_labels_are_likely_or_not_is_counted_when_it_is_cut(speaker: Speaker) -> None:
    label_nats(speaker, ["so", "mi"], "Say", ["ba", LONG])
    first, second = speaker.shortened.n_tokens_cut
    assert first == 0 < second


def test_truths_behind_a_cut_question_and_truths_that_do_not_fit_are_told_apart(speaker: Speaker) -> None:
    truth_nats(speaker, [asked(LONG), asked("ba", LONG), asked("ba")], 96)
    assert (speaker.shortened.n_measured_cut, speaker.shortened.n_unmeasured) == (1, 1)
    assert "true answers measured behind a question that was cut: 1; true answers too long to be measured: 1" in speaker.shortened.as_text()
