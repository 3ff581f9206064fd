"""Imitate: make the wanted tokens likelier (maximum likelihood), for chats, completions and plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.models.outputs import Outputs
from luthier.objectives.protocol import LossSum, Scope
from luthier.text.batching import Batch
from luthier.text.renderer import Renderer, as_chat
from luthier.text.rows import Row, make_row

_OTHERS = "give conversations, prompts with completions, or plain texts"


@dataclass(frozen=True)
class Imitate:
    """Σ w · −log p(token | what stands before it), in nats, over trained tokens, divided by Σ w.

    Of a conversation, the assistant's turns with a weight above 0 are trained, each with its stop token. Plain text is
    trained in full, cut into consecutive windows of `window` tokens where it is longer. Label smoothing mixes the
    uniform distribution over the vocabulary into each target (Szegedy and others, 2016, arXiv:1512.00567, section 7).
    """

    kind: Literal["imitate"] = "imitate"
    window: int | None = None
    smoothing: float = 0.0

    @property
    def scope(self) -> Scope:
        """Each row stands for itself."""
        return "row"

    @property
    def n_scores(self) -> int:
        """It reads token probabilities only."""
        return 0

    def rows(self, example: AnyExample, renderer: Renderer) -> tuple[Row, ...]:
        """One row a conversation, or one a trained turn where the template rewrites earlier turns; windows of a text."""
        if isinstance(example, Labelled):
            raise LuthierError(example.source or example.id, "a labelled text has no reply to imitate", "use the task classify")
        if isinstance(example, Text):
            return self._windows(example, renderer)
        if not isinstance(example, Pair | Chat):
            raise LuthierError(example.source or example.id, f"a row of the shape {example.shape} has no single reply to imitate", _OTHERS)
        rendered = renderer.render(as_chat(example))
        return tuple(make_row(one.tokens, one.weights, id=example.id) for one in rendered)

    def count(self, batch: Batch) -> dict[str, float]:
        """Σ w over the supervised tokens."""
        return {"loss_nats": float(batch.weight_S.sum(dtype=batch.weight_S.dtype))}

    def loss(self, outputs: Outputs, batch: Batch) -> LossSum:
        """Σ w · −log p, smoothed."""
        return LossSum({"loss_nats": outputs.cross_entropy(batch, self.smoothing)})

    def _windows(self, example: Text, renderer: Renderer) -> tuple[Row, ...]:
        tokens = renderer.document(example.text, with_marks=True)
        size = self.window or len(tokens)
        # Each window but the first begins with the token that ended the one before, so that every token is predicted once.
        starts = range(0, max(1, len(tokens) - 1), max(1, size - 1))
        parts = [tokens[start : start + size] for start in starts]
        return tuple(make_row(part, [0.0] + [1.0] * (len(part) - 1), id=example.id) for part in parts if len(part) > 1)
