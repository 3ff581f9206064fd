"""Rows side by side, each padded on the right to the longest: the plain layout that every model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from luthier.text.batch import Supervision, supervise
from luthier.text.rows import Row


@dataclass(frozen=True, eq=False)
class Padded(Supervision):
    """Tokens (B, T) and the rows' lengths (B,); state b·T + t belongs to token t of row b."""

    tokens_BT: Tensor
    length_B: Tensor

    @property
    def n_nodes(self) -> int:
        """B·T, the tokens that are computed, padding included."""
        return self.tokens_BT.numel()


def make_padded(rows: Sequence[Row], pad_id: int, whole: bool = True) -> Padded:
    """Lay rows side by side, all their tokens, or only those that have to be read.

    Padding stands on the right, so that a causal mask already hides it.
    """
    lengths = [row.n_tokens if whole else row.n_read for row in rows]
    width = max(lengths)
    tokens = np.full((len(rows), width), pad_id, dtype=np.int64)
    for b, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        tokens[b, :length] = row.tokens[:length]
    paths = [np.arange(b * width, b * width + length) for b, length in enumerate(lengths)]
    return Padded(
        tokens_BT=torch.from_numpy(tokens),
        length_B=torch.tensor(lengths),
        **supervise(rows, paths),  # type: ignore[arg-type]
    )
