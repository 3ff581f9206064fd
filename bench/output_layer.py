"""The cross-entropy's passes over logits, a few rows at a time that the processor's cache holds, beside all rows of a chunk at once.

    python bench/output_layer.py --rounds 7

Both compute the same numbers, which is checked. Prints, for each size, the least and the median milliseconds of value and gradient of
one chunk of states, and what the two products alone take.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from luthier.models import cross_entropy
from luthier.models.cross_entropy import CrossEntropy, Told

SIZES = {"m60": (256, 512, 32_768), "m10": (256, 256, 8_192), "a small vocabulary": (1_024, 256, 4_096)}
"""States of a chunk, their width, and the vocabulary."""


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measured(n: int, width: int, n_vocabulary: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    torch.manual_seed(0)
    weight = (torch.randn(n_vocabulary, width) / width).bfloat16()
    states = torch.randn(n, width).bfloat16()
    every = torch.arange(n)
    told = Told(every, torch.ones(n, dtype=torch.float64), every, torch.randint(n_vocabulary, (n,)), torch.ones(n, dtype=torch.float64))
    loss = CrossEntropy(lambda some: some @ weight.t(), (), told, 0.0, n)

    def of_rows(n_in_cache: int) -> tuple[Tensor, Tensor]:
        cross_entropy.IN_CACHE = n_in_cache
        value, (gradient,) = loss.value_and_gradients(states, True)
        return value, gradient

    few = cross_entropy.IN_CACHE
    ways: dict[str, Callable[[], object]] = {
        "a few rows": lambda: of_rows(few),
        "all rows": lambda: of_rows(n * n_vocabulary),
        "products alone": lambda: (states @ weight.t()) @ weight,
    }
    assert all(torch.equal(*pair) for pair in zip(of_rows(few), of_rows(n * n_vocabulary), strict=True)), "the two ways differ"
    found: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(rounds):
        for name, way in list(ways.items())[:: 1 if i % 2 else -1]:
            found[name].append(seconds(way))
    cross_entropy.IN_CACHE = few
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| states × width × vocabulary | way | least ms | median ms |\n|---|---|---|---|")
    for name, size in SIZES.items():
        for way, some in measured(*size, args.rounds).items():
            print(f"| {' × '.join(map(str, size))} ({name}) | {way} | {1e3 * min(some):.1f} | {1e3 * statistics.median(some):.1f} |")


if __name__ == "__main__":
    main()
