"""Classify: cross-entropy of a head's scores on each row's pooled state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.models.outputs import Outputs
from luthier.objectives.protocol import LossSum, Scope
from luthier.text.batching import Batch
from luthier.text.renderer import Renderer
from luthier.text.rows import Row, make_row


@dataclass(frozen=True)
class Classify:
    """Σ over rows of w · cross-entropy between the head's softmax and the row's label, divided by Σ w.

    `labels` is the label map: a label's place is its class. Label smoothing mixes the uniform distribution into the
    target (Szegedy and others, 2016, arXiv:1512.00567, section 7). `weights` are the classes' w, in the order of the labels;
    1 each where there are none. A row of weight 2 counts as two equal rows of weight 1.
    """

    labels: tuple[str, ...]
    smoothing: float = 0.0
    weights: tuple[float, ...] = ()
    kind: Literal["classify"] = "classify"

    @property
    def scope(self) -> Scope:
        """Each row stands for itself."""
        return "row"

    @property
    def n_scores(self) -> int:
        """One score a label."""
        return len(self.labels)

    def rows(self, example: AnyExample, renderer: Renderer) -> tuple[Row, ...]:
        """The text between the model's begin and end tokens; a row that waits for its label has no target."""
        if not isinstance(example, Labelled):
            raise LuthierError(example.source or example.id, f"a {example.shape} row cannot be classified", "give it a text and a label")
        target = None if example.label is None else self._class_of(example)
        return (make_row(renderer.document(example.text), id=example.id, target=target),)

    def count(self, batch: Batch) -> dict[str, float]:
        """Σ w over the rows that have a label."""
        target = batch.target_R[batch.target_R >= 0]
        return {"loss_nats": float(self._weights_of(target).sum()) if self.weights else float(len(target))}

    def loss(self, outputs: Outputs, batch: Batch) -> LossSum:
        """Σ w · cross-entropy, and how many rows have their label first."""
        labelled = (batch.target_R >= 0).nonzero()[:, 0]
        target = batch.target_R[labelled]
        logps = outputs.row_scores(batch)[labelled].log_softmax(-1)
        wanted_R, all_R = logps.gather(1, target[:, None])[:, 0], logps.mean(-1)
        if self.weights:
            weight_R = self._weights_of(target).to(logps.dtype)
            wanted_R, all_R = weight_R * wanted_R, weight_R * all_R
        total = -(1 - self.smoothing) * wanted_R.sum() - self.smoothing * all_R.sum()
        return LossSum({"loss_nats": total}, {"n_correct": (logps.detach().argmax(-1) == target).sum()})

    def _weights_of(self, target_R: Tensor) -> Tensor:
        return torch.tensor(self.weights, dtype=torch.float64, device=target_R.device)[target_R]

    def _class_of(self, example: Labelled) -> int:
        try:
            return self.labels.index(example.label or "")
        except ValueError:
            raise LuthierError(
                example.source or example.id,
                f"the label {example.label!r} does not occur in the training rows",
                "add training rows with it, or drop this row",
            ) from None
