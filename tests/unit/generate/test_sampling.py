"""From logits to tokens: cuts by hand, and frequencies over fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from luthier.core.draws import seed_of
from luthier.core.errors import LuthierError
from luthier.core.generator import Sampling
from luthier.generate.sampling import choose, choose_all

PROBABILITIES = (0.05, 0.42, 0.03, 0.30, 0.20)
LOGITS = torch.tensor(PROBABILITIES).log()
N_DRAWS = 3000


def frequencies(logits: torch.Tensor = LOGITS, n: int = N_DRAWS, **options) -> list[float]:
    drawn = [
        choose(logits, Sampling(1, options.get("temperature", 1.0), options.get("top_p", 1.0), options.get("top_k", 0), seed), 0)
        for seed in range(n)
    ]
    return [drawn.count(token) / n for token in range(len(logits))]


def within(found: list[float], wanted: list[float]) -> bool:
    """Five standard errors; the seeds are fixed, so it holds always or never."""
    return all(abs(f - w) <= 5 * math.sqrt(w * (1 - w) / N_DRAWS) for f, w in zip(found, wanted, strict=True))


@pytest.mark.parametrize("cut", [{}, {"top_p": 0.5}, {"top_k": 3}, {"top_k": 3, "top_p": 0.5}])
def test_a_temperature_next_to_nothing_is_greedy(cut: dict) -> None:
    for temperature in (1e-3, 1e-12, 1e-300, 1e-310, 5e-324):
        for shift in (0.0, 50.0, -50.0):
            assert choose(LOGITS.double() + shift, Sampling(1, temperature, **cut), 0) == 1


def test_tokens_come_as_often_as_they_are_likely() -> None:
    assert within(frequencies(), list(PROBABILITIES))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_divides_the_logits(temperature: float) -> None:
    powers = [p ** (1 / temperature) for p in PROBABILITIES]
    assert within(frequencies(temperature=temperature), [p / sum(powers) for p in powers])


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 1}, {1}),
        ({"top_k": 3}, {1, 3, 4}),
        ({"top_k": 99}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.01}, {1}),
        ({"top_p": 0.41}, {1}),
        ({"top_p": 0.43}, {1, 3}),
        ({"top_p": 0.71}, {1, 3}),
        ({"top_p": 0.73}, {1, 3, 4}),
        ({"top_p": 0.96}, {0, 1, 3, 4}),
        ({"top_p": 0.98}, {0, 1, 2, 3, 4}),
        # Two of three tokens are left by top-k: 0.42 and 0.30 of 0.72, that is 0.583 and 0.417.
        ({"top_k": 2, "top_p": 0.57}, {1}),
        ({"top_k": 2, "top_p": 0.60}, {1, 3}),
    ],
)
def test_cuts_keep_the_likeliest_tokens_and_their_proportions(options: dict[str, float], kept: set[int]) -> None:
    total = sum(PROBABILITIES[token] for token in kept)
    wanted = [PROBABILITIES[token] / total if token in kept else 0.0 for token in range(5)]
    found = frequencies(**options)
    assert {token for token, frequency in enumerate(found) if frequency > 0} == kept
    assert within(found, wanted)


def test_temperature_comes_before_top_p() -> None:
    """At temperature 4 the probabilities are 0.16, 0.26, 0.14, 0.24, 0.21, so that 0.5 needs three tokens."""
    powers = sorted((p**0.25 for p in PROBABILITIES), reverse=True)
    assert sum(powers[:1]) / sum(powers) < 0.3 and 0.45 < sum(powers[:2]) / sum(powers) < 0.55 < sum(powers[:3]) / sum(powers)
    found = frequencies(temperature=4.0, top_p=0.55)
    assert {token for token, frequency in enumerate(found) if frequency > 0} == {1, 3, 4}


def test_no_temperature_takes_the_likeliest_whatever_else_is_said() -> None:
    assert {choose(LOGITS, Sampling(1, 0.0, 0.1, 4, seed), place) for seed in range(20) for place in range(3)} == {1}


def test_a_draw_depends_on_seed_and_place_and_nothing_else() -> None:
    drawn = [[choose(LOGITS, Sampling(1, 1.0, seed=seed), place) for place in range(40)] for seed in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]
    assert len(set(drawn[0])) > 2
    longer = [choose(LOGITS, Sampling(77, 1.0, seed=0, stop=("x",)), place) for place in range(40)]
    assert longer == drawn[0]


def test_choosing_together_is_choosing_apart_and_tells_the_models_own_log_probabilities() -> None:
    logits = torch.stack([LOGITS, LOGITS.flip(0) * 2, LOGITS - 3])
    samplings = [Sampling(1, 0.0), Sampling(1, 1.5, 0.8, 3, seed=4), Sampling(1, 1.0, seed=9)]
    chosen = choose_all(logits, samplings, [0, 5, 2], [0, 2, 9])
    tokens, logprobs = [one.token for one in chosen], [one.logprob for one in chosen]
    assert tokens == [choose(row, sampling, place) for row, sampling, place in zip(logits, samplings, (0, 5, 2), strict=True)]
    assert tokens[0] == 1
    assert logprobs == pytest.approx([float(row.log_softmax(-1)[token]) for row, token in zip(logits, tokens, strict=True)], abs=1e-6)
    assert logprobs[0] == pytest.approx(math.log(0.42), abs=1e-6)
    assert [len(one.top) for one in chosen] == [0, 2, 5]
    assert [token for token, _ in chosen[2].top] == [1, 3, 4, 0, 2]
    assert [logprob for _, logprob in chosen[2].top] == pytest.approx([math.log(p) for p in sorted(PROBABILITIES, reverse=True)], abs=1e-6)


@pytest.mark.parametrize("top_p", [0.5, 0.9999, 1.0])
@pytest.mark.parametrize("top_k", [0, 7])
def test_cuts_of_a_large_vocabulary_are_those_of_a_sort_of_all_of_it(top_p: float, top_k: int) -> None:
    draw = np.random.default_rng(0)
    for seed in range(20):
        # Rounded, so that many tokens are equally likely.
        logits = torch.from_numpy(np.round(draw.normal(size=5000) * draw.choice([0.01, 1, 4]), 1))
        values, order = logits.sort(descending=True, stable=True)
        values = values[: top_k or None]
        probability = values.softmax(0)
        kept = probability[probability.cumsum(0) - probability < top_p]
        for place in range(5):
            drawn = np.random.default_rng(seed_of(seed, "token", place)).random()
            at = int(np.searchsorted((kept / kept.sum()).cumsum(0).numpy(), drawn, "right"))
            found = choose(logits, Sampling(1, 1.0, top_p, top_k, seed), place)
            if top_p == 1 and not top_k:
                assert 0 <= found < 5000
            else:
                assert found == int(order[min(at, len(kept) - 1)])


def test_a_certain_token_is_always_drawn() -> None:
    certain = torch.tensor([-math.inf, 0.0, -math.inf])
    assert {choose(certain, Sampling(1, 1.0, seed=seed), 0) for seed in range(50)} == {1}


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 0},
        {"temperature": -0.1},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"stop": ("",)},
    ],
)
def test_settings_without_meaning_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(LuthierError, match=next(iter(options))):
        Sampling(**{"max_tokens": 3, **options})  # type: ignore[arg-type]
