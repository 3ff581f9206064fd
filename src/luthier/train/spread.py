"""How far a validation loss may be from what other rows would give: its standard error over examples.

The loss is a ratio of sums. Its standard error is the linearised jackknife's: with l and w the total and the weight of
one example, L and W those of all n, and r = L / W, it is √(n / (n − 1) · Σ (l − r w)²) / W (Cochran 1977, Sampling
Techniques, section 6.4). The rows of one example (turns of a conversation, windows of a text) count as one, since they
are not independent.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from luthier.models.outputs import Outputs
from luthier.objectives import Objective
from luthier.text.batching import Batch
from luthier.text.rows import Row

MOST_EXAMPLES = 1_000
"""Examples whose own loss is looked at; of more, evenly spaced ones stand for all, so that a large side costs no more."""

_TOKENS = "token_logps"


@dataclass(frozen=True, eq=False)
class Remembered(Outputs):
    """Outputs that compute an answer once: single rows are read out of what the whole batch was asked."""

    said: dict[str, Tensor] = field(default_factory=dict)

    def token_logps(self, batch: Batch, smoothing: float = 0.0) -> Tensor:
        """The log-probability (S,) of each supervised token."""
        name = f"{_TOKENS} {smoothing}"
        if name not in self.said:
            self.said[name] = super().token_logps(batch, smoothing)
        return self.said[name]

    def row_scores(self, batch: Batch) -> Tensor:
        """The head's scores (R, C) of the batch's rows."""
        if "row_scores" not in self.said:
            self.said["row_scores"] = super().row_scores(batch)
        return self.said["row_scores"]

    def rows(self, slices: Sequence[tuple[slice, slice]]) -> list[Remembered]:
        """The same of single rows, each given as its place among the rows and its places among the supervised tokens, in float64."""
        whole = {name: tensor.detach().double() for name, tensor in self.said.items()}
        return [
            dataclasses.replace(self, said={name: one[tokens if name.startswith(_TOKENS) else row] for name, one in whole.items()})
            for row, tokens in slices
        ]


def remembered(outputs: Outputs) -> Remembered:
    """The same outputs, with a memory."""
    return Remembered(**{item.name: getattr(outputs, item.name) for item in dataclasses.fields(outputs)})


@dataclass(eq=False)
class Spread:
    """Gathers the losses of single examples while a loss is measured.

    `chosen` are the ids of the examples that are looked at, of `n_examples`; `sums` holds total and weight by example
    and term. An objective whose loss is no sum over rows has no examples to tell apart.
    """

    objective: Objective
    chosen: frozenset[str]
    n_examples: int
    sums: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)

    def add(self, outputs: Remembered, batch: Batch, rows: Sequence[Row]) -> None:
        """Take in a batch, its rows in its order, after the objective has read `outputs` of the whole batch."""
        ends = list(accumulate(row.n_supervised for row in rows))
        looked_at = [i for i, row in enumerate(rows) if row.id in self.chosen]
        slices = [(slice(i, i + 1), slice(ends[i] - rows[i].n_supervised, ends[i])) for i in looked_at]
        lengths = torch.bincount(batch.path_row_P, minlength=len(rows)).tolist()
        paths = list(accumulate(lengths))
        for i, (place, tokens), read in zip(looked_at, slices, outputs.rows(slices), strict=True):
            one = _single(batch, rows[i], place, tokens, slice(paths[i] - lengths[i], paths[i]))
            counts = self.objective.count(one)
            into = self.sums.setdefault(rows[i].id, {})
            for term, total in self.objective.loss(read, one).totals.items():
                before = into.get(term, (0.0, 0.0))
                into[term] = (before[0] + float(total), before[1] + counts[term])

    def as_fields(self, totals: Mapping[str, float], counts: Mapping[str, float]) -> dict[str, float]:
        """What a journal notes beside a loss of these totals and counts, by term.

        `loss_se` is its standard error in nats. `n_effective` is how many examples of equal weight would be worth as
        much: (Σ weight)² / Σ weight² (Kish 1965). Both are left out where there are not two examples to tell apart.
        """
        if len(self.sums) < 2:
            return {"n_examples": self.n_examples}
        terms = [term for term in totals if counts[term]]
        sums = np.array([[one.get(term, (0.0, 0.0)) for term in terms] for one in self.sums.values()])
        whole, all_of_it = (np.array([found[term] for term in terms]) for found in (counts, totals))
        off = ((sums[:, :, 0] - sums[:, :, 1] * (all_of_it / whole)) / whole).sum(axis=1)
        shares = (sums[:, :, 1] / whole).sum(axis=1)
        n_effective = shares.sum() ** 2 / (shares**2).sum() * self.n_examples / len(shares)
        return {
            "n_examples": self.n_examples, "n_effective": float(n_effective),
            "loss_se": math.sqrt(self.n_examples) * float(off.std(ddof=1)),
        }  # fmt: skip


def spread_over(objective: Objective, rows: Sequence[Row], most: int = MOST_EXAMPLES) -> Spread:
    """What gathers the losses of these rows' examples, or of `most` of them at least half of which are there."""
    ids = list(dict.fromkeys(row.id for row in rows))
    chosen = ids[:: math.ceil(len(ids) / most)] if objective.scope == "row" and ids else []
    return Spread(objective, frozenset(chosen), len(ids))


def _single(batch: Batch, row: Row, place: slice, tokens: slice, path: slice) -> Batch:
    """One row of a batch as a batch of its own over the same states."""
    channels = {
        name: channel[tokens if isinstance(row.channels[name], np.ndarray) else place] for name, channel in batch.channels.items()
    }
    return dataclasses.replace(
        batch, source_S=batch.source_S[tokens], target_S=batch.target_S[tokens], weight_S=batch.weight_S[tokens],
        row_S=torch.zeros_like(batch.row_S[tokens]), pool_R=batch.pool_R[place], path_P=batch.path_P[path],
        path_row_P=torch.zeros_like(batch.path_row_P[path]), target_R=batch.target_R[place], group_R=batch.group_R[place],
        channels=channels, ids=batch.ids[place],
    )  # fmt: skip
