"""Classify: cross-entropy of a head's scores on each row's pooled state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.models.outputs import Outputs
from luthier.objectives.protocol import LossSum, Scope
from luthier.text.batching import Batch
from luthier.text.renderer import Renderer
from luthier.text.rows import Row, make_row


@dataclass(frozen=True)
class Classify:
    """Σ over rows of the cross-entropy between the head's softmax and the row's label, divided by the number of rows.

    `labels` is the label map: a label's place is its class. Label smoothing mixes the uniform distribution into the
    target (Szegedy and others, 2016, arXiv:1512.00567, section 7).
    """

    labels: tuple[str, ...]
    smoothing: float = 0.0
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
        """The rows that have a label."""
        return {"loss_nats": float((batch.target_R >= 0).sum())}

    def loss(self, outputs: Outputs, batch: Batch) -> LossSum:
        """Σ cross-entropy, and how many rows have their label first."""
        labelled = (batch.target_R >= 0).nonzero()[:, 0]
        target = batch.target_R[labelled]
        logps = outputs.row_scores(batch)[labelled].log_softmax(-1)
        wanted = logps.gather(1, target[:, None]).sum()
        total = -(1 - self.smoothing) * wanted - self.smoothing * logps.mean(-1).sum()
        return LossSum({"loss_nats": total}, {"n_correct": (logps.detach().argmax(-1) == target).sum()})

    def _class_of(self, example: Labelled) -> int:
        try:
            return self.labels.index(example.label or "")
        except ValueError:
            raise LuthierError(
                example.source or example.id,
                f"the label {example.label!r} does not occur in the training rows",
                "add training rows with it, or drop this row",
            ) from None
