"""Continuous batching: who joins when, and with which adapter, changes no reply; what is known is not computed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.small import N_VOCABULARY, decoder_of, network_of, tokenizer_of

from luthier.core.errors import LuthierError
from luthier.core.generator import Sampling
from luthier.generate import cache
from luthier.generate.adapters import Adapters
from luthier.generate.decoder import Decoder
from luthier.generate.engine import Engine
from luthier.generate.growing import Growing
from luthier.methods.lora import LoRA, adapted
from luthier.models.load import prepare
from luthier.models.network import Network

TOKENIZER = tokenizer_of("chatml")
NOTHING_STOPS = frozenset({-1})
DRAW = np.random.default_rng(3)
SYSTEM = DRAW.integers(3, N_VOCABULARY, 12).tolist()
PROMPTS = [[*SYSTEM, *DRAW.integers(3, N_VOCABULARY, n).tolist()] for n in (3, 1, 7, 2, 5)]
PROMPTS += [SYSTEM, [40], DRAW.integers(3, 60, 25).tolist()]


def growing(prompt: list[int], sampling: Sampling, adapter: int = 0, **options) -> Growing:
    return Growing(list(prompt), sampling, TOKENIZER, NOTHING_STOPS, adapter, **options)


def alone(network: Network, prompt: list[int], sampling: Sampling) -> tuple[int, ...]:
    (reply,) = Engine(network, TOKENIZER, NOTHING_STOPS, 128)([prompt], sampling)
    return reply.tokens


def staggered(decoder: Decoder, replies: list[Growing], seed: int = 0) -> None:
    """Let replies arrive at random moments, several at once or none, until all have ended."""
    draw = np.random.default_rng(seed)
    left = list(replies)
    while left or not decoder.is_idle:
        for _ in range(int(draw.integers(0, 3))):
            if left:
                decoder.add(left.pop(0))
        decoder.step()


@pytest.mark.parametrize("kind", ["llama", "mistral_window", "gemma2", "gpt2"])
@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_a_reply_is_the_same_whoever_joins_and_leaves_meanwhile(kind: str, layout, temperature: float) -> None:
    network = network_of(kind, seed=4)
    for seed in range(3):
        samplings = [Sampling(3 + 4 * i % 11, temperature, 0.9, seed=i) for i in range(len(PROMPTS))]
        replies = [growing(prompt, sampling) for prompt, sampling in zip(PROMPTS, samplings, strict=True)]
        order = np.random.default_rng(seed).permutation(len(replies))
        decoder = Decoder(Adapters(network), layout, max_sequences=3, shelf_tokens=60)
        staggered(decoder, [replies[i] for i in order], seed)
        for prompt, sampling, one in zip(PROMPTS, samplings, replies, strict=True):
            assert tuple(one.tokens) == alone(network, prompt, sampling)


def test_a_seeded_reply_is_the_same_in_float32_in_any_company() -> None:
    network = network_of("llama", torch.float32, seed=4)
    wanted = {seed: alone(network, PROMPTS[0], Sampling(40, 1.0, seed=seed)) for seed in range(6)}
    assert len(set(wanted.values())) == 6
    for company in range(4):
        decoder = Decoder(Adapters(network), max_sequences=5 + company)
        mine = {seed: growing(PROMPTS[0], Sampling(40, 1.0, seed=seed)) for seed in wanted}
        others = [growing(PROMPTS[(i + company) % len(PROMPTS)], Sampling(3 + 5 * i, 1.5, seed=99 + i)) for i in range(6)]
        staggered(decoder, [one for pair in zip(others, mine.values(), strict=True) for one in pair], company)
        assert {seed: tuple(one.tokens) for seed, one in mine.items()} == wanted


def test_a_prefix_of_560_tokens_under_64_prompts_is_computed_once_however_they_arrive() -> None:
    network = network_of("llama", torch.float32, max_position_embeddings=600)
    prefix = DRAW.integers(3, N_VOCABULARY, 560).tolist()
    tails = [[3 + i, 4 + i % 7, *range(5, 5 + i % 4)] for i in range(64 - 8)] + [[3 + i] for i in range(56, 64)]
    prompts = [[*prefix, *[token % N_VOCABULARY for token in tail]] for tail in tails]
    distinct = len({tuple(prompt[: n + 1]) for prompt in prompts for n in range(560, len(prompt))})
    n_reply = 3
    for arrivals in ([64], [1, 63], [10, 0, 0, 0, 0, 30, 24], [5] * 12 + [4]):
        decoder = Decoder(Adapters(network), max_sequences=64)
        replies = [growing(prompt, Sampling(n_reply)) for prompt in prompts]
        left = list(replies)
        for n in arrivals:
            for one in left[:n]:
                decoder.add(one)
            left = left[n:]
            decoder.step()
        while not decoder.is_idle:
            decoder.step()
        assert not left and all(one.finish == "length" for one in replies)
        # A prompt's last token is computed anew, since its state is wanted: at most one more a prompt.
        assert 560 + distinct <= decoder.counted["prompt"] <= 560 + distinct + 64
        if arrivals == [64]:
            assert decoder.counted["prompt"] == 560 + distinct, "together, each distinct prefix is computed once"
        assert decoder.counted["reply"] == 64 * (n_reply - 1)
        assert sum(one.n_cached for one in replies) <= sum(map(len, prompts)) - 64


def test_prompts_of_unlike_lengths_are_computed_without_padding() -> None:
    network = network_of("llama")
    lengths = [1, 3, 90, 17, 2]
    prompts = [[3 + i] * n for i, n in enumerate(lengths)]
    decoder = Decoder(Adapters(network))
    for i, prompt in enumerate(prompts):
        decoder.add(growing(prompt, Sampling(2 + i)))
    while not decoder.is_idle:
        decoder.step()
    assert decoder.counted == {"prompt": sum(lengths), "reply": sum(1 + i for i in range(5))}


def test_what_has_ended_is_remembered_and_what_is_too_much_forgotten() -> None:
    network = network_of("llama")
    decoder = Decoder(Adapters(network), shelf_tokens=40)
    first = growing([*SYSTEM, 5, 6], Sampling(4))
    decoder.add(first)
    while not decoder.is_idle:
        decoder.step()
    again = growing([*SYSTEM, 5, 6, *first.tokens, 7], Sampling(4))
    decoder.add(again)
    decoder.step()
    assert again.n_cached == len(SYSTEM) + 2 + 3, "all but the newest token of the reply, which was never fed"
    assert tuple(again.tokens[:1]) == alone(network, again.prompt, Sampling(1))
    while not decoder.is_idle:
        decoder.step()
    for i in range(3):
        decoder.add(growing([50 + i] * 15, Sampling(1)))
        decoder.step()
    late = growing([*SYSTEM, 5], Sampling(1))
    decoder.add(late)
    decoder.step()
    assert late.n_cached == 0


def test_little_is_not_worth_knowing_of_a_long_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LONG", 20)
    network = network_of("llama")
    decoder = Decoder(Adapters(network), shelf_tokens=200)
    long = [7, *range(10, 50)]
    for prompt, n_cached in (([*long[:4], 60], 0), (long, 0), ([*long[:8], 61, 62], 8), ([*long[:30], 63], 30)):
        one = growing(prompt, Sampling(2))
        decoder.add(one)
        while not decoder.is_idle:
            decoder.step()
        assert one.n_cached == n_cached
        assert tuple(one.tokens) == alone(network, prompt, Sampling(2))


def test_a_prompt_that_ends_within_what_another_knows_is_still_answered() -> None:
    """Both join at once: what the longer one knows covers the shorter one whole, whose last state is wanted all the same."""
    network = network_of("llama")
    decoder = Decoder(Adapters(network))
    decoder.add(growing([*SYSTEM, 5, 6], Sampling(1)))
    decoder.step()
    both = [growing(prompt, Sampling(4)) for prompt in (SYSTEM, [*SYSTEM, 5, 7])]
    for one in both:
        decoder.add(one)
    while not decoder.is_idle:
        decoder.step()
    assert [tuple(one.tokens) for one in both] == [alone(network, one.prompt, Sampling(4)) for one in both]
    assert decoder.counted["prompt"] == len(SYSTEM) + 2 + 2


def test_what_stood_in_a_place_before_is_never_taken_for_known() -> None:
    """The shorter sequence moves to the place of the longer one, whose tail stays behind it; a prompt then spells both."""
    network = network_of("llama")
    decoder = Decoder(Adapters(network), shelf_tokens=0)
    gone, stays = growing([50, 51, 52, 53, 54, 55, 56, 57], Sampling(1)), growing([40, 41, 42, 43], Sampling(9))
    decoder.add(gone)
    decoder.add(stays)
    decoder.step()
    spelled = growing([*stays.prompt, stays.tokens[0], *gone.prompt[5:], 58], Sampling(5))
    decoder.add(spelled)
    while not decoder.is_idle:
        decoder.step()
    assert spelled.n_cached == 5
    assert tuple(spelled.tokens) == alone(network, spelled.prompt, Sampling(5))


def test_no_more_places_are_taken_than_are_allowed() -> None:
    network = network_of("llama")
    decoder = Decoder(Adapters(network), max_sequences=9, max_places=100)
    for _ in range(9):
        decoder.add(growing([5] * 10, Sampling(20)))
    decoder.step()
    assert (len(decoder.active), len(decoder.waiting)) == (3, 6)
    decoder.add(growing([5] * 90, Sampling(30)))
    most = 0
    while not decoder.is_idle:
        decoder.step()
        if decoder.active:
            most = max(most, len(decoder.active) * max(len(one.prompt) + one.sampling.max_tokens for one in decoder.active))
    assert most == 120, "one alone is always let in"


def test_many_short_replies_and_a_long_one_later_do_not_take_the_memory_of_many_long_ones() -> None:
    network = network_of("llama", torch.float32, max_position_embeddings=2048)
    short, long = [[5 + i, 6, 7] for i in range(32)], [5] * 1500
    for turns in ((short, [long], short), ([long], short, [long])):
        decoder = Decoder(Adapters(network), max_sequences=32, max_places=2048, shelf_tokens=0)
        most = 0
        for prompts in turns:
            replies = [growing(prompt, Sampling(9)) for prompt in prompts]
            for one in replies:
                decoder.add(one)
            while not decoder.is_idle:
                decoder.step()
                held = decoder._cache.keys[0]
                most = max(most, held.shape[0] * held.shape[2])
        assert most <= 2 * 2048


def test_the_cache_changes_its_shape_under_replies_and_changes_none() -> None:
    network = network_of("llama", max_position_embeddings=512)
    prompts = [[5, 6], [7] * 200, *([8 + i] for i in range(9)), [9] * 300, [10, 11]]
    replies = [growing(prompt, Sampling(70)) for prompt in prompts]
    decoder = Decoder(Adapters(network), max_sequences=8)
    staggered(decoder, replies)
    wanted = [Engine(network, TOKENIZER, NOTHING_STOPS, 512)([prompt], Sampling(70))[0].tokens for prompt in prompts]
    assert [tuple(one.tokens) for one in replies] == wanted


def test_a_cancelled_reply_leaves_at_the_next_step_and_changes_no_other() -> None:
    network = network_of("llama")
    decoder = Decoder(Adapters(network), max_sequences=3)
    replies = [growing(prompt, Sampling(12)) for prompt in PROMPTS[:5]]
    for one in replies:
        decoder.add(one)
    decoder.step()
    replies[0].is_cancelled = replies[4].is_cancelled = True
    told = [decoder.step() for _ in range(30)]
    assert all(replies[0] not in step and replies[4] not in step for step in told)
    assert len(replies[0].tokens) == 1 and replies[4].tokens == []
    for prompt, one in zip(PROMPTS[1:4], replies[1:4], strict=True):
        assert tuple(one.tokens) == alone(network, prompt, Sampling(12))


def test_a_stop_token_of_the_request_ends_a_reply_and_is_no_text() -> None:
    network = network_of("llama", vocab_size=TOKENIZER.n_vocabulary, seed=5)
    whole = alone(network, [40], Sampling(20))
    stop = whole[5]
    one = growing([40], Sampling(20, stop_tokens=(stop,)))
    decoder = Decoder(Adapters(network))
    decoder.add(one)
    while not decoder.is_idle:
        decoder.step()
    n = whole.index(stop)
    assert tuple(one.tokens) == whole[: n + 1] and one.finish == "stop"
    assert one.text == TOKENIZER.decode([token for token in whole[:n] if token not in TOKENIZER.special_ids])


def adapter(kind: str, folder: Path, seed: int, **options) -> Path:
    """A random adapter far from zero, and the network that it alone makes."""
    network = network_of(kind, seed=4)
    method = LoRA(**options)
    method.attach(network, seed)
    torch.manual_seed(seed)
    for _, layer in adapted(network):
        layer.lora.B.data.normal_(0, 0.3)
    method.save(network, folder)
    return folder


def with_adapter(kind: str, folder: Path) -> Network:
    network = network_of(kind, seed=4)
    method = LoRA.of(folder)
    method.attach(network, 0)
    method.load(network, folder)
    return network


@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_of_several_adapters_answers_as_each_alone(kind: str, layout, temperature: float, tmp_path: Path) -> None:
    ends = ("c_attn", "c_fc") if kind == "gpt2" else ("q_proj", "v_proj")
    folders = [
        adapter(kind, tmp_path / "a", 1, rank=4), adapter(kind, tmp_path / "b", 2, rank=7, alpha=3.0),
        adapter(kind, tmp_path / "c", 3, rank=2, targets=ends),
    ]  # fmt: skip
    networks = [network_of(kind, seed=4), *(with_adapter(kind, folder) for folder in folders)]
    adapters = Adapters(network_of(kind, seed=4))
    assert [adapters.add(folder) for folder in folders] == [1, 2, 3]
    cases = [(prompt, number) for prompt in PROMPTS for number in range(4)]
    replies = [growing(prompt, Sampling(6, temperature, seed=i), number) for i, (prompt, number) in enumerate(cases)]
    decoder = Decoder(adapters, layout, max_sequences=9)
    staggered(decoder, replies)
    said = [tuple(one.tokens) for one in replies]
    assert said == [alone(networks[number], prompt, one.sampling) for (prompt, number), one in zip(cases, replies, strict=True)]
    if temperature == 0:
        assert len(set(said[:4])) == 4, "the adapters say different things, so the test could fail"


def test_adapters_log_probabilities_are_those_of_each_alone(tmp_path: Path) -> None:
    folders = [adapter("llama", tmp_path / name, seed, rank=4) for seed, name in enumerate("ab", 1)]
    adapters = Adapters(network_of("llama", seed=4))
    for folder in folders:
        adapters.add(folder)
    replies = [growing(PROMPTS[2], Sampling(5), number, n_top=3) for number in (1, 2)]
    staggered(Decoder(adapters), replies)
    for folder, one in zip(folders, replies, strict=True):
        (wanted,) = Engine(with_adapter("llama", folder), TOKENIZER, NOTHING_STOPS, 128)([PROMPTS[2]], Sampling(5))
        assert one.logprobs == pytest.approx(wanted.logprobs, abs=1e-9)
        assert [top[0] for top in one.tops] == list(zip(one.tokens, one.logprobs, strict=True)), "greedy takes the likeliest"
        assert all(len(top) == 3 and top[0][1] >= top[1][1] >= top[2][1] for top in one.tops)


def test_what_two_adapters_read_is_never_shared(tmp_path: Path) -> None:
    adapters = Adapters(network_of("llama", seed=4))
    adapters.add(adapter("llama", tmp_path / "a", 1, rank=4))
    decoder = Decoder(adapters)
    for number in (0, 1):
        decoder.add(growing(SYSTEM, Sampling(1), number))
    decoder.step()
    assert decoder.counted["prompt"] == 2 * len(SYSTEM)
    again = [growing([*SYSTEM, 5], Sampling(1), number) for number in (0, 1, 1)]
    for one in again:
        decoder.add(one)
    decoder.step()
    assert [one.n_cached for one in again] == [len(SYSTEM)] * 3


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = adapter("llama", tmp_path / "a", 1, rank=4)
    for other in (Network(prepare(decoder_of("llama", hidden_size=32))), network_of("gpt2")):
        with pytest.raises(LuthierError, match="does not fit"):
            Adapters(other).add(folder)


def test_the_tokens_told_piece_by_piece_join_to_the_text_also_beside_others() -> None:
    network = network_of("llama", vocab_size=TOKENIZER.n_vocabulary, seed=5)
    replies = [growing([40 + i], Sampling(30, 2.0, seed=i, stop=("qq",)), is_watched=True) for i in range(12)]
    decoder = Decoder(Adapters(network), max_sequences=5)
    for one in replies:
        decoder.add(one)
    told: dict[int, list] = {i: [] for i in range(12)}
    while not decoder.is_idle:
        for one in decoder.step():
            if (piece := one.piece()) is not None:
                told[replies.index(one)].append(piece)
    for one, pieces in zip(replies, told.values(), strict=True):
        assert "".join(piece.text for piece in pieces) == one.text
        assert [token for piece in pieces for token in piece.tokens] == one.tokens
        assert pieces[-1].finish == one.finish is not None
