"""The share of replies whose final number is the true one, however it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics.metric import Floats, marks, ratio

MARK = "####"
_MINUS = ("-", "−")
_NUMBER = re.compile(r"(?<![\w.])([-−+]?)\s?[$€£]?([-−]?)(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)")


def final_number(text: str) -> Decimal | None:
    """The number that a text ends in; None where there is none.

    It is the first number after the last `####` where a text has that mark (GSM8K, Cobbe et al. 2021, arXiv 2110.14168),
    else the last number in the text. Thousands' commas and currency signs are read over, and `1.50` equals `1.5`.
    """
    _, mark, after = text.rpartition(MARK)
    if mark:
        return _number(_NUMBER.search(after))
    found = list(_NUMBER.finditer(text))
    return _number(found[-1]) if found else None


def _number(match: re.Match[str] | None) -> Decimal | None:
    if match is None:
        return None
    sign, inner, digits = match.groups()
    size = Decimal(digits.replace(",", ""))
    return -size if sign in _MINUS or inner in _MINUS else size


@dataclass(frozen=True)
class NumericMatch:
    """Replies whose `final_number` is that of the true reply, divided by judged rows.

    A reply without a number is wrong, for it was judged; a row whose true reply has no number cannot be judged.
    """

    name: ClassVar[str] = "numeric_match"
    about: ClassVar[str] = "share of replies whose final number is the true one"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = True
    few_rows: ClassVar[int] = FEW_ROWS

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(equal, 1) per row."""
        found: list[bool | None] = []
        for row, said in zip(gold, answers, strict=True):
            wanted = final_number(row.text)
            found.append(None if wanted is None or said.text is None else final_number(said.text) == wanted)
        return marks(gold, found)

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """Each row wrong that has a number to find."""
        return marks(gold, [None if final_number(row.text) is None else False for row in gold])

    def values(self, sums: Floats) -> Floats:
        """Equal divided by judged."""
        return ratio(sums[..., 0], sums[..., 1])
