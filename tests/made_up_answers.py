"""Made-up test rows and answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluate.answers import Answer, Gold, System


def golds(texts: Sequence[str], groups: Sequence[str] | None = None) -> tuple[Gold, ...]:
    return tuple(Gold(f"{i:04}", text, None if groups is None else groups[i]) for i, text in enumerate(texts))


def system(name: str, texts: Sequence[str | None]) -> System:
    return System(name, tuple(Answer(f"{i:04}", text) for i, text in enumerate(texts)))


def losses(name: str, nats: Sequence[float], tokens: Sequence[int]) -> System:
    return System(name, tuple(Answer(f"{i:04}", None, None, x, n) for i, (x, n) in enumerate(zip(nats, tokens, strict=True))))


def noisy(texts: Sequence[str], share_right: float, seed: int, labels: Sequence[str] = ("a", "b", "c")) -> list[str]:
    """The texts, each kept with probability `share_right`, else drawn from the labels."""
    rng = np.random.default_rng(seed)
    return [text if rng.random() < share_right else labels[rng.integers(len(labels))] for text in texts]
