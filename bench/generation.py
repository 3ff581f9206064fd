"""Generation and likelihoods against the usual ways, by turns in one run: `python bench/generation.py [--answers 1000]`.

Answers: `sprout`, float32, greedy, at most 24 tokens each, to prompts that share a system message; against
`transformers`' own batched `generate` with left padding, at the best of several batch sizes found on a part of them.
Likelihoods: texts × labels as a forest, against each pair read alone (on a part of the texts, since it takes long).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from luthier.core.examples import Chat
from luthier.core.generator import Sampling
from luthier.core.messages import Message
from luthier.generate.engine import Engine
from luthier.generate.likelihood import likelihoods
from luthier.models.load import SPROUT, Base, load
from luthier.text.batching import CutPlan

MAX_TOKENS = 24
WORDS = (
    "river", "violin", "copper", "tuesday", "garden", "letter", "bridge", "winter", "orange", "station", "uncle", "pocket", "mirror",
    "thunder", "basket", "candle",
)  # fmt: skip
BATCHES = (16, 32, 64, 128, 256)


def prompts_of(base: Base, n: int) -> list[list[int]]:
    """Questions of unlike lengths behind one system message."""
    draw = np.random.default_rng(0)
    system = Message("system", "You are a helpful assistant of a music shop. Answer briefly, in one sentence, and stay with the question.")
    asked = [" ".join(draw.choice(WORDS, int(draw.integers(4, 30)))) for _ in range(n)]
    return [base.renderer.prompt(Chat("", (system, Message("user", f"What do you know of {text}?")))) for text in asked]


def ours(base: Base, prompts: list[list[int]]) -> tuple[float, list[list[int]]]:
    stops = frozenset({base.renderer.stop_id, base.tokenizer.eos_id})
    engine = Engine(base.network, base.tokenizer, stops, base.context, max_sequences=128)
    began = time.perf_counter()
    replies = engine(prompts, Sampling(MAX_TOKENS))
    return time.perf_counter() - began, [list(reply.tokens) for reply in replies]


def theirs(decoder: torch.nn.Module, base: Base, prompts: list[list[int]], size: int) -> tuple[float, list[list[int]]]:
    """`generate` in batches of prompts of like length, padded on the left."""
    pad, stops = base.tokenizer.pad_id, [base.renderer.stop_id, base.tokenizer.eos_id]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[list[int]] = [[]] * len(prompts)
    began = time.perf_counter()
    for low in range(0, len(order), size):
        part = order[low : low + size]
        width = max(len(prompts[i]) for i in part)
        tokens = torch.tensor([[pad] * (width - len(prompts[i])) + prompts[i] for i in part])
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in part])
        said = decoder.generate(
            tokens, attention_mask=mask, max_new_tokens=MAX_TOKENS, do_sample=False, pad_token_id=pad, eos_token_id=stops
        )
        for i, row in zip(part, said[:, width:].tolist(), strict=True):
            end = next((t + 1 for t, token in enumerate(row) if token in stops), len(row))
            found[i] = row[:end]
    return time.perf_counter() - began, found


def answers(base: Base, n: int, rounds: int) -> bool:
    decoder = AutoModelForCausalLM.from_pretrained(str(SPROUT), dtype=torch.float32).eval()
    prompts = prompts_of(base, n)
    some = prompts[: max(256, n // 4)]
    ours(base, some[:64])
    size = min(BATCHES, key=lambda size: theirs(decoder, base, some, size)[0])
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        mine, said = ours(base, prompts)
        other, wanted = theirs(decoder, base, prompts, size)
        times["ours"].append(mine)
        times["theirs"].append(other)
    same = sum(a == b for a, b in zip(said, wanted, strict=True))
    mine, other = statistics.median(times["ours"]), statistics.median(times["theirs"])
    print(f"{n} answers, {sum(map(len, said))} tokens, {same} answers the same token for token; {torch.get_num_threads()} threads")
    print(f"ours {mine:.2f} s, transformers {other:.2f} s (its best batch: {size}); ratio {other / mine:.2f}   (at least 1)")
    return other >= mine


def scores(base: Base, n_texts: int, n_labels: int, n_alone: int) -> bool:
    draw = np.random.default_rng(1)
    pairs = list(itertools.permutations(WORDS, 2))
    labels = [" ".join(pairs[i]) for i in draw.permutation(len(pairs))[:n_labels]]
    ends = [[*base.tokenizer.encode(label), base.renderer.stop_id] for label in labels]
    prompts = prompts_of(base, n_texts)
    plan = CutPlan("forest", 4096, base.tokenizer.pad_id)

    def together() -> np.ndarray:
        found = []
        for low in range(0, n_texts, 16):
            part = prompts[low : low + 16]
            found.append(likelihoods(base.network, [prompt for prompt in part for _ in ends], ends * len(part), plan).logp_nats)
        return np.concatenate(found).reshape(n_texts, n_labels)

    decoder = AutoModelForCausalLM.from_pretrained(str(SPROUT), dtype=torch.float32).eval()

    @torch.no_grad()
    def alone(part: list[list[int]]) -> np.ndarray:
        found = np.zeros((len(part), n_labels))
        for i, prompt in enumerate(part):
            for j, end in enumerate(ends):
                logits = decoder(torch.tensor([prompt + end]), use_cache=False).logits[0, len(prompt) - 1 : -1]
                found[i, j] = float(logits.log_softmax(-1)[torch.arange(len(end)), torch.tensor(end)].sum())
        return found

    def timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
        began = time.perf_counter()
        found = call()
        return time.perf_counter() - began, found

    half = n_alone // 2
    before_s, first = timed(lambda: alone(prompts[:half]))
    ours_s, found = timed(together)
    after_s, second = timed(lambda: alone(prompts[half:n_alone]))
    apart_s = (before_s + after_s) * n_texts / n_alone
    error = float(np.abs(found[:n_alone] - np.concatenate([first, second])).max())
    print(f"likelihood of {n_texts} texts × {n_labels} labels: largest difference {error:.1e} nats")
    print(f"ours {ours_s:.1f} s, pair by pair {apart_s:.0f} s (from {n_alone} texts, half of them before ours, half after)")
    print(f"ratio {apart_s / ours_s:.1f}   (at least 20)")
    return apart_s >= 20 * ours_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--labels", type=int, default=77)
    parser.add_argument("--alone", type=int, default=10, help="how many of the texts are read pair by pair too")
    said = parser.parse_args()
    base = load("sprout")
    held = [answers(base, said.answers, said.rounds), scores(base, said.texts, said.labels, said.alone)]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
