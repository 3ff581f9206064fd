"""Heads that read a whole row: a linear layer on one pooled state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import safetensors.torch
import torch
from torch import Tensor, nn

from luthier.core.errors import LuthierError
from luthier.core.files import write_bytes
from luthier.text.batching import Batch

if TYPE_CHECKING:
    from luthier.models.outputs import Outputs

Pooling: TypeAlias = Literal["last", "mean"]


class RowHead(nn.Module):
    """Scores (R, C) from the rows' pooled states: that of the last token, or the mean over all tokens of a row.

    Its weights start at zero, so that an untrained head prefers no class; they are kept in float32.
    """

    def __init__(self, width: int, n_scores: int, pooling: Pooling) -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.linear = nn.Linear(width, n_scores)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Scores of the batch's rows from its states."""
        pooled: Tensor = self.norm(pool(outputs, batch, self.pooling).to(self.linear.weight.dtype))
        scores: Tensor = self.linear(pooled)
        return scores


def pool(outputs: Outputs, batch: Batch, pooling: Pooling) -> Tensor:
    """The rows' states (R, D): each row's last, or the mean over its tokens. A shared node counts for each of its rows."""
    if pooling == "last":
        return outputs.at(batch.pool_R)
    states_PD = outputs.at(batch.path_P)
    sums = torch.zeros(batch.n_rows, states_PD.shape[-1], dtype=states_PD.dtype, device=states_PD.device)
    sums = sums.index_add(0, batch.path_row_P, states_PD)
    return sums / torch.bincount(batch.path_row_P, minlength=batch.n_rows)[:, None].to(sums.dtype)


def save_head(head: RowHead, path: Path) -> None:
    """Write a head's tensors, and in the file's metadata how it pools."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in head.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors, {"pooling": head.pooling}))


def load_head(path: Path, pooling: Pooling) -> RowHead:
    """The head that `save_head` wrote.

    Raises:
        LuthierError: the file is not there or holds no head.

    """
    try:
        tensors = safetensors.torch.load(path.read_bytes())
        n_scores, width = tensors["linear.weight"].shape
        head = RowHead(width, n_scores, pooling)
        head.load_state_dict(tensors)
    except (OSError, KeyError, RuntimeError, ValueError, safetensors.SafetensorError) as error:
        raise LuthierError(str(path), f"it holds no head: {error}", "take the file from the run's bundle") from error
    return head
