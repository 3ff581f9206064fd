"""The share of replies that equal the true one, up to what nobody would call a difference."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, all_wrong, marks, ratio


def normalised(text: str) -> str:
    """A text without differences of mere writing.

    Unicode NFKC, case folded, each run of white space one space, no space at the ends and no mark (. ! ?) at the last.
    Articles, hyphens and inner punctuation stay: they can carry meaning.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).rstrip(".!? ")


@dataclass(frozen=True)
class ExactMatch:
    """Replies equal to the true one after `normalised`, divided by judged rows."""

    name: ClassVar[str] = "exact_match"
    about: ClassVar[str] = "share of replies equal to the true one, case, white space and the last mark aside"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = True
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(equal, 1) per row."""
        pairs = zip(gold, answers, strict=True)
        return marks(gold, [None if said.text is None else normalised(said.text) == normalised(row.text) for row, said in pairs])

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row wrong."""
        return all_wrong(gold)

    def values(self, sums: Floats) -> Floats:
        """Equal divided by judged."""
        return ratio(sums[..., 0], sums[..., 1])
