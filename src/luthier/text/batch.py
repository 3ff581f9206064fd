"""What both layouts of a batch have in common: where, among the flattened states, things are learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.text.rows import Row


@dataclass(frozen=True, eq=False)
class Supervision:
    """Indices into the flattened states of a batch; rows keep the order in which they were given.

    S supervised tokens: the state `source_S` predicts the token `target_S` of row `row_S`, counted `weight_S` times.
    R rows: `pool_R` is the state of a row's last token that was read; `path_P` lists the states of all that were read, those of
    row 0 first, and `path_row_P` says whose they are. `target_R` holds the rows' classes, -1 where a row has none;
    `group_R` numbers the groups. A channel is (S,) where the rows gave one number a token, (R,) where one a row.
    """

    source_S: Tensor
    target_S: Tensor
    weight_S: Tensor
    row_S: Tensor
    pool_R: Tensor
    path_P: Tensor
    path_row_P: Tensor
    target_R: Tensor
    group_R: Tensor
    channels: Mapping[str, Tensor]
    ids: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """R, the number of rows."""
        return len(self.pool_R)

    @property
    def n_supervised(self) -> int:
        """S, the number of supervised tokens."""
        return len(self.source_S)

    @property
    def n_row_tokens(self) -> int:
        """The rows' tokens that were read, shared or not."""
        return len(self.path_P)

    def to(self, device: torch.device) -> Self:
        """The same batch with its tensors on `device`."""
        moved: dict[str, object] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                moved[item.name] = value.to(device)
            elif item.name == "channels":
                moved[item.name] = {name: channel.to(device) for name, channel in value.items()}
        return dataclasses.replace(self, **moved)  # type: ignore[arg-type]


def supervise(rows: Sequence[Row], paths: Sequence[NDArray[np.int64]]) -> dict[str, object]:
    """The fields of `Supervision` for rows whose token t stands at state `paths[row][t]`."""
    source, target, weight, owner = [], [], [], []
    for r, (row, path) in enumerate(zip(rows, paths, strict=True)):
        trained = np.flatnonzero(row.weights)
        source.append(path[trained - 1])
        target.append(row.tokens[trained])
        weight.append(row.weights[trained])
        owner.append(np.full(len(trained), r, dtype=np.int64))
    groups: dict[str | int, int] = {}  # a row without a group goes by its number, which no group's name can equal
    numbers = [groups.setdefault(row.group or r, len(groups)) for r, row in enumerate(rows)]
    return {
        "source_S": torch.from_numpy(np.concatenate(source)),
        "target_S": torch.from_numpy(np.concatenate(target)),
        "weight_S": torch.from_numpy(np.concatenate(weight)),
        "row_S": torch.from_numpy(np.concatenate(owner)),
        "pool_R": torch.tensor([int(path[-1]) for path in paths]),
        "path_P": torch.from_numpy(np.concatenate(list(paths))),
        "path_row_P": torch.from_numpy(np.repeat(np.arange(len(rows)), [len(path) for path in paths])),
        "target_R": torch.tensor([-1 if row.target is None else row.target for row in rows]),
        "group_R": torch.tensor(numbers),
        "channels": _channels(rows),
        "ids": tuple(row.id for row in rows),
    }


def _channels(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Each channel of the rows as one tensor: (S,) for numbers of tokens, (R,) for numbers of rows."""
    found: dict[str, Tensor] = {}
    for name in rows[0].channels:
        values = [row.channels[name] for row in rows]
        if isinstance(values[0], np.ndarray):
            picked = [np.asarray(value)[np.flatnonzero(row.weights)] for value, row in zip(values, rows, strict=True)]
            found[name] = torch.from_numpy(np.concatenate(picked))
        else:
            found[name] = torch.tensor([float(value) for value in values])
    return found
