"""A row: the tokens that one forward pass reads for one example, and what is learnt from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Tokens: TypeAlias = NDArray[np.int64]
Weights: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Row:
    """Tokens (T,) and loss weights (T,): `weights[t]` counts the prediction of `tokens[t]` from those before it.

    A weight of 0 makes a token context. The first token has nothing before it, so its weight is 0. Rows with the same
    `group` are never parted by a cut. `target` is the class of the whole row, where it has one. `channels` carries
    further numbers for the objective: an array (T,) speaks of tokens, a float of the row.
    """

    tokens: Tokens
    weights: Weights
    id: str = ""
    group: str = ""
    target: int | None = None
    channels: Mapping[str, float | NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert len(self.tokens) == len(self.weights) > 0, "a row has tokens, and a weight for each"
        assert self.weights[0] == 0, "nothing stands before the first token to predict it from"

    @property
    def n_tokens(self) -> int:
        """The row's length in tokens."""
        return len(self.tokens)

    @property
    def n_supervised(self) -> int:
        """How many of its tokens are trained."""
        return int(np.count_nonzero(self.weights))

    @cached_property
    def n_read(self) -> int:
        """How many of its tokens have to be read: those up to the last that something is predicted from.

        A row without trained tokens, or with a class of its own, is read to its end.
        """
        trained = np.flatnonzero(self.weights)
        return int(trained[-1]) if len(trained) and self.target is None else self.n_tokens

    @property
    def read(self) -> Tokens:
        """The tokens that have to be read."""
        return self.tokens[: self.n_read]


def make_row(tokens: list[int], weights: list[float] | None = None, **other: object) -> Row:
    """A row from plain lists; without weights, all tokens are context."""
    return Row(
        np.asarray(tokens, dtype=np.int64),
        np.zeros(len(tokens), dtype=np.float32) if weights is None else np.asarray(weights, dtype=np.float32),
        **other,  # type: ignore[arg-type]
    )


def sort_key(row: Row, n_read: int | None = None) -> bytes:
    """Bytes that order rows as their (first `n_read`) tokens are ordered: rows that share a beginning become neighbours."""
    return row.tokens[:n_read].astype(">u4").tobytes()


def rows_digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the rows' tokens, weights and classes, in their order, as hex."""
    found = hashlib.sha256()
    for row in rows:
        found.update(f"{row.n_tokens} {row.target}\n".encode())
        found.update(row.tokens.astype("<i8").tobytes())
        found.update(row.weights.astype("<f4").tobytes())
    return found.hexdigest()


def n_shared(first: Tokens, second: Tokens) -> int:
    """The length of the longest common beginning of two token sequences."""
    n = min(len(first), len(second))
    same = first[:n] == second[:n]
    return n if same.all() else int(same.argmin())
