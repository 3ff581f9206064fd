"""Which rows a proof is made on: those where a wrong layout would show, and some that nobody picked, as far as the work allows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from luthier.core.draws import seed_of
from luthier.text.rows import Row, n_shared, sort_key

FRAC_OF_TRAINING = 1 / 30
"""The share of training's work that the rows of the proofs may cost: a third of a tenth, since float64, where it is needed, costs more."""
N_TIMES = 8
"""How often, at most, a row of a sample is computed forward and backward by the proofs on it."""
HALF_IS_FASTER = 8
"""How much faster a token may have been in training, where that was in a half type: proofs are made in float32."""
WORK = {"cpu": 1e12, "cuda": 1e14}
"""Floating-point operations that any processor and any accelerator finishes well within a minute."""
HALF_A_MINUTE = 2
"""How many times `WORK` still leaves a minute room for starting a process; in a half type, `HALF_IS_FASTER` halves of that."""


def tokens_allowed(n_trained_tokens: int, n_parameters: int, half: bool, device: str) -> int:
    """Tokens, padding included, of one sample: what a share of training allows, or what little work allows, whichever is more.

    It is counted and not measured, so that the same recipe gives the same proofs on a machine that is busy.

    Args:
        n_trained_tokens: the tokens of all steps of the training.
        n_parameters: of the model; forward and backward, a token costs about 6 operations for each (Kaplan and others
            2020, arXiv 2001.08361).
        half: whether training computed in a half type.
        device: where it is computed: `cpu`, `cuda`.

    """
    share = n_trained_tokens * FRAC_OF_TRAINING / (HALF_IS_FASTER if half else 1)
    little = WORK.get(device, WORK["cpu"]) / (6 * n_parameters)
    return int(max(share, little) / N_TIMES)


def tokens_of_a_process(n_parameters: int, half: bool, device: str) -> int:
    """Tokens that a fresh process may be given to train on and is done within a minute; counted, as in `tokens_allowed`."""
    times = HALF_A_MINUTE * (HALF_IS_FASTER / 2 if half else 1)
    return int(times * WORK.get(device, WORK["cpu"]) / (6 * n_parameters))


def telling_rows(rows: Sequence[Row], seed: int, n_drawn: int = 2, n_tokens: int | None = None) -> list[Row]:
    """The longest row, the two that share the longest beginning, and some that are drawn, each once.

    With `n_tokens`, rows are chosen among those of at most `limit_of` tokens, as many as fit when they are padded; two, the
    shortest, where none would.
    """
    limit = 0 if n_tokens is None else limit_of(rows, n_tokens)
    fits = [i for i, row in enumerate(rows) if not limit or row.n_tokens <= limit]
    some = [rows[i] for i in fits]
    longest = max(range(len(some)), key=lambda i: some[i].n_tokens)
    draw = np.random.default_rng(seed_of(seed, "telling rows"))
    drawn = (int(i) for i in draw.permutation(len(some))[:n_drawn])
    chosen = dict.fromkeys((longest, *_most_shared(some), *drawn))
    most = len(chosen) if n_tokens is None else max(2, n_tokens // some[longest].n_tokens)
    return [some[i] for i in chosen][:most]


def limit_of(rows: Sequence[Row], n_tokens: int) -> int:
    """The longest row that may stand in a sample of `n_tokens`: a third of them, or the second shortest row; 0 where all may."""
    lengths = sorted(row.n_tokens for row in rows)
    limit = max(n_tokens // 3, lengths[:2][-1])
    return limit if lengths[-1] > limit else 0


def _most_shared(rows: Sequence[Row]) -> tuple[int, ...]:
    """The two rows with the longest common beginning: in the order of their tokens, they are neighbours."""
    order = sorted(range(len(rows)), key=lambda i: sort_key(rows[i]))
    pairs = itertools.pairwise(order)
    return max(pairs, key=lambda pair: n_shared(rows[pair[0]].tokens, rows[pair[1]].tokens), default=())
