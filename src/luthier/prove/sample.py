"""Which rows a proof is made on: those where a wrong layout would show, and some that nobody picked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from luthier.core.draws import seed_of
from luthier.text.rows import Row, n_shared, sort_key


def telling_rows(rows: Sequence[Row], seed: int, n_drawn: int = 2) -> list[Row]:
    """The longest row, the two that share the longest beginning, and some that are drawn, each once."""
    longest = max(range(len(rows)), key=lambda i: rows[i].n_tokens)
    draw = np.random.default_rng(seed_of(seed, "telling rows"))
    drawn = (int(i) for i in draw.permutation(len(rows))[:n_drawn])
    return [rows[i] for i in dict.fromkeys((longest, *_most_shared(rows), *drawn))]


def _most_shared(rows: Sequence[Row]) -> tuple[int, ...]:
    """The two rows with the longest common beginning: in the order of their tokens, they are neighbours."""
    order = sorted(range(len(rows)), key=lambda i: sort_key(rows[i]))
    pairs = itertools.pairwise(order)
    return max(pairs, key=lambda pair: n_shared(rows[pair[0]].tokens, rows[pair[1]].tokens), default=())
