"""Decoding: in batches as alone, with prefixes computed once, and ended where it should be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tests.small import network_of, tokenizer_of

from luthier.core.errors import LuthierError
from luthier.core.generator import Reply, Sampling
from luthier.generate.engine import Engine
from luthier.generate.growing import settled
from luthier.text.batching import CutPlan
from luthier.text.rows import make_row

TOKENIZER = tokenizer_of("chatml")
NETWORK = network_of("llama", vocab_size=TOKENIZER.n_vocabulary, seed=5)
WINDOWED = network_of("mistral_window", vocab_size=TOKENIZER.n_vocabulary, seed=6)
NOTHING_STOPS = frozenset({-1})
DRAW = np.random.default_rng(1)
SYSTEM = DRAW.integers(20, 400, 12).tolist()
PROMPTS = [[*SYSTEM, *DRAW.integers(20, 400, n).tolist()] for n in (3, 1, 7)] + [
    SYSTEM,
    [40],
    [*SYSTEM],
    DRAW.integers(20, 400, 25).tolist(),
]


def engine_of(network=NETWORK, **options) -> Engine:
    return Engine(network, TOKENIZER, options.pop("stop_ids", NOTHING_STOPS), options.pop("context", 128), **options)


def same(one: Reply, other: Reply) -> bool:
    return (one.tokens, one.finish, one.text) == (other.tokens, other.finish, other.text) and one.logprobs == pytest.approx(
        other.logprobs, abs=1e-6
    )


@pytest.mark.parametrize("network", [NETWORK, WINDOWED], ids=["llama", "mistral"])
@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_a_reply_in_a_batch_is_the_reply_alone(network, layout, temperature: float) -> None:
    samplings = [Sampling(5 + i, temperature, top_p=0.9, seed=i) for i in range(len(PROMPTS))]
    together = engine_of(network, layout=layout)(PROMPTS, samplings)
    backwards = engine_of(network, layout=layout)(PROMPTS[::-1], samplings[::-1])[::-1]
    few = engine_of(network, layout=layout, max_sequences=2)(PROMPTS, samplings)
    for i, prompt in enumerate(PROMPTS):
        (alone,) = engine_of(network)([prompt], samplings[i])
        assert len(alone.tokens) == 5 + i
        assert same(together[i], alone) and same(backwards[i], alone) and same(few[i], alone)


def test_log_probabilities_are_those_of_the_whole_text_read_at_once() -> None:
    for network in (NETWORK, WINDOWED):
        replies = engine_of(network)(PROMPTS, Sampling(9, temperature=2.0, seed=4, top_k=5))
        rows = [make_row([*p, *r.tokens], [0.0] * len(p) + [1.0] * 9) for p, r in zip(PROMPTS, replies, strict=True)]
        batch = CutPlan("padded", 10_000, 0).make(rows)
        with torch.no_grad():
            wanted = network(batch).token_logps(batch)
        assert [logprob for reply in replies for logprob in reply.logprobs] == pytest.approx(wanted.tolist(), abs=1e-5)


def test_a_shared_prefix_is_computed_once() -> None:
    engine = engine_of()
    engine([[*SYSTEM, 50], [*SYSTEM, 51], [*SYSTEM, 51, 52], SYSTEM], Sampling(4))
    assert engine.counted == {"prompt": 12 + 3, "reply": 4 * 3}
    engine([[40, 41]], Sampling(1))
    assert engine.counted == {"prompt": 15 + 2, "reply": 12}


def test_replies_that_have_ended_are_computed_no_further() -> None:
    engine = engine_of()
    engine([[40], [41], [42]], [Sampling(1), Sampling(5), Sampling(2)])
    assert engine.counted["reply"] == 2 + 1 + 1 + 1


def greedy(n: int = 30, prompt: list[int] = PROMPTS[0]) -> Reply:
    (reply,) = engine_of()([prompt], Sampling(n))
    return reply


def test_a_stop_token_ends_a_reply_and_is_no_part_of_its_text() -> None:
    whole = greedy()
    stop = whole.tokens[6]
    first = whole.tokens.index(stop)
    (reply,) = engine_of(stop_ids=frozenset({stop}))([PROMPTS[0]], Sampling(30))
    assert reply.tokens == whole.tokens[: first + 1] and reply.finish == "stop"
    ended = TOKENIZER.encode("<|im_end|>")[0]
    network = network_of("llama", vocab_size=TOKENIZER.n_vocabulary, seed=5)
    with torch.no_grad():
        network.decoder.lm_head.weight.zero_()
        network.decoder.lm_head.weight[ended] = network.decoder.model.norm.weight.sign()
    replies = engine_of(network, stop_ids=frozenset({ended}))([[40], [41], [42]], Sampling(3))
    assert all((reply.finish == "stop") == (reply.tokens[-1] == ended) and "<|im_end|>" not in reply.text for reply in replies)


def test_a_reply_ends_at_its_most_tokens() -> None:
    for n in (1, 2, 7):
        reply = greedy(n)
        assert len(reply.tokens) == n and reply.finish == "length"
        assert reply.tokens == greedy().tokens[:n]


def test_a_reply_ends_where_the_context_does() -> None:
    engine = engine_of(context=len(PROMPTS[0]) + 3)
    (reply,) = engine([PROMPTS[0]], Sampling(50))
    assert reply.tokens == greedy().tokens[:3] and reply.finish == "length"


@pytest.mark.parametrize("prompt", [[], [40] * 128, [40] * 300])
def test_a_prompt_that_leaves_no_room_is_an_error(prompt: list[int]) -> None:
    with pytest.raises(LuthierError, match="it has|is empty"):
        engine_of()([[40], prompt], Sampling(1))


def test_no_prompts_give_no_replies() -> None:
    assert engine_of()([], Sampling(3)) == []


def stops_of(text: str) -> list[tuple[str, ...]]:
    """Stop texts of one to six characters from within a text, and several at once."""
    cuts = [(text[start : start + n],) for start in range(0, len(text) - 6, 5) for n in (1, 2, 4, 6)]
    return [*cuts, (text[9:12], text[4:8]), ("never there", text[7:10])]


def test_a_stop_text_ends_a_reply_and_is_never_seen_also_when_tokens_split_it() -> None:
    whole = greedy(40)
    checked = 0
    for stop in stops_of(whole.text):
        if "\ufffd" in "".join(stop):
            continue
        (reply,) = engine_of()([PROMPTS[0]], Sampling(40, stop=stop))
        place = min(whole.text.index(one) for one in stop if one in whole.text)
        assert reply.finish == "stop" and reply.text == whole.text[:place]
        assert reply.tokens == whole.tokens[: len(reply.tokens)]
        assert not any(one in TOKENIZER.decode(reply.tokens[:-1]) for one in stop)
        pieces = list(engine_of().stream(PROMPTS[0], Sampling(40, stop=stop)))
        assert "".join(piece.text for piece in pieces) == reply.text
        assert not any(one in "".join(piece.text for piece in pieces[:n]) for one in stop for n in range(len(pieces) + 1))
        checked += 1
    assert checked > 10


def test_of_the_text_just_what_may_begin_a_stop_text_is_held_back() -> None:
    def slowly(text: str, stops: tuple[str, ...]) -> str:
        held = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        return text[: len(text) - held]

    draw = np.random.default_rng(2)
    for _ in range(3000):
        text, *stops = ("".join(draw.choice(["a", "b"], draw.integers(1, 9))) for _ in range(1 + draw.integers(0, 3)))
        assert settled(text, tuple(stops)) == slowly(text, tuple(stops))
    assert settled("", ("a",)) == "" and settled("xa", ("ab" * 2_000_000,)) == "x"


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_the_pieces_of_a_stream_join_to_the_reply(temperature: float) -> None:
    for seed, prompt in enumerate(PROMPTS):
        sampling = Sampling(25, temperature, seed=seed, stop=("zzz",))
        (reply,) = engine_of()([prompt], sampling)
        pieces = list(engine_of().stream(prompt, sampling))
        assert tuple(token for piece in pieces for token in piece.tokens) == reply.tokens
        assert tuple(logprob for piece in pieces for logprob in piece.logprobs) == pytest.approx(reply.logprobs, abs=1e-9)
        assert "".join(piece.text for piece in pieces) == reply.text
        assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1) and pieces[-1].finish == reply.finish
        assert len(pieces) > 1


def test_half_a_character_waits_for_its_other_half() -> None:
    """A network that says the bytes of a guitar, one after another, whatever was asked."""
    said = TOKENIZER.encode("é🎸日")
    assert len(said) > 5
    network = network_of("llama", vocab_size=TOKENIZER.n_vocabulary, hidden_size=512, num_hidden_layers=1, seed=0)
    with torch.no_grad():
        for layer in network.decoder.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        network.decoder.lm_head.weight.zero_()
        for before, after in zip([40, *said], said, strict=False):
            network.decoder.lm_head.weight[after] = network.decoder.model.embed_tokens.weight[before]
    pieces = list(engine_of(network).stream([40], Sampling(len(said))))
    assert [token for piece in pieces for token in piece.tokens] == said
    assert "".join(piece.text for piece in pieces) == "é🎸日"
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert [piece.text for piece in pieces if piece.text] == ["é", "🎸", "日"]


def test_seeds_settle_a_reply_and_differ() -> None:
    replies = [engine_of()([PROMPTS[0]], Sampling(12, 1.0, seed=seed))[0].tokens for seed in (0, 0, 1, 2)]
    assert replies[0] == replies[1] and len(set(replies)) == 3


def test_the_network_is_left_without_gradients_and_in_evaluation() -> None:
    NETWORK.train()
    engine_of()([[40]], Sampling(2))
    assert not NETWORK.training
    assert all(p.grad is None for p in NETWORK.parameters())


def test_an_engine_keeps_its_settings() -> None:
    assert dataclasses.replace(engine_of(), max_sequences=3).max_sequences == 3
