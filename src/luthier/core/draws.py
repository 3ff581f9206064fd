"""Random draws as pure functions of what they are for: no hidden state, so resuming needs none."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed that depends on all the parts and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def unit(*parts: int | str) -> float:
    """A number in [0, 1) that depends on all the parts and on nothing else."""
    return seed_of(*parts) / 2**63


def permutation(n: int, *parts: int | str) -> NDArray[np.int64]:
    """An order of `n` things that depends on all the parts and on nothing else."""
    return np.random.default_rng(seed_of(*parts)).permutation(n)
