"""Bits per byte: how surprised a system is by the true text, whatever its tokens are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.loss import nats_and
from luthier.evaluate.metrics.metric import Floats, ratio


@dataclass(frozen=True)
class BitsPerByte:
    """Bits of the true text summed over rows (nats / ln 2), divided by its UTF-8 bytes summed over rows.

    Unlike the loss per token it compares models of different tokenizers. The bits are those of every token that was
    measured, the end of the reply among them; the bytes are those of the text that these tokens spell.
    """

    name: ClassVar[str] = "bits_per_byte"
    about: ClassVar[str] = "bits per UTF-8 byte of the true text"
    higher_is_better: ClassVar[bool | None] = False
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    is_proportion: ClassVar[bool] = False
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(bits, bytes) per row; a row without bytes or without a finite loss cannot be judged."""
        assert len(gold) == len(answers), "one answer for each row"
        return nats_and([said.n_bytes for said in answers], answers) / (math.log(2), 1.0)

    def failure(self, gold: Sequence[Gold]) -> None:
        """None: a loss has no upper bound."""
        return

    def values(self, sums: Floats) -> Floats:
        """Bits divided by bytes."""
        return ratio(sums[..., 0], sums[..., 1])
