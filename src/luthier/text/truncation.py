"""What happens to a row that is longer than the model can read: never silently."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from luthier.text.rows import Row

TooLong: TypeAlias = Literal["error", "drop", "cut"]


@dataclass(frozen=True)
class Cut:
    """A row that was shortened, by how many tokens, and before which of its tokens they stood."""

    row: Row
    n_removed: int
    at: int


@dataclass(frozen=True)
class Unfit:
    """A row that no cut can make fit: what must stay is itself too long, by `n_over` tokens."""

    n_over: int


def cut_to(row: Row, max_tokens: int) -> Row | Cut | Unfit:
    """Shorten a row to `max_tokens`, keeping every reply that is trained.

    A row with trained tokens loses context from just behind its first token, so that the begin token stays and the
    newest context does; the first trained token and all that follows must fit. A row without (a text to classify)
    loses the tokens before its last one.
    """
    over = row.n_tokens - max_tokens
    if over <= 0:
        return row
    trained = np.flatnonzero(row.weights)
    start = 1 if len(trained) else max_tokens - 1
    if len(trained) and start + over > trained[0]:
        return Unfit(int(start + over - trained[0]))
    kept = np.r_[0:start, start + over : row.n_tokens]
    channels = {name: value[kept] if isinstance(value, np.ndarray) else value for name, value in row.channels.items()}
    return Cut(replace(row, tokens=row.tokens[kept], weights=row.weights[kept], channels=channels), over, start)


def cut_prompt(tokens: list[int], max_tokens: int) -> list[int]:
    """A prompt shortened exactly as `cut_to` shortens the context of a trained row."""
    over = len(tokens) - max_tokens
    return tokens if over <= 0 else [*tokens[:1], *tokens[1 + over :]]
