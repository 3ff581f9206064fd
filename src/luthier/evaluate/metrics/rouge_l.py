"""ROUGE-L: how many words of the true text a reply has in their order, and how few others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.metrics.metric import Floats, ratio

_WORD = re.compile(r"[a-z0-9]+")


def words_of(text: str) -> list[str]:
    """ROUGE's words: runs of a–z and 0–9 in the lower-cased text, unstemmed."""
    return _WORD.findall(text.lower())


def n_in_order(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, by the bits of one integer (Hyyrö 2004, "Bit-parallel LCS-length computation")."""
    places: dict[str, int] = {}
    for i, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << i
    whole = (1 << len(first)) - 1
    column = whole
    for word in second:
        met = column & places.get(word, 0)
        column = ((column + met) | (column - met)) & whole
    return len(first) - column.bit_count()


@dataclass(frozen=True)
class RougeL:
    """The mean over rows of ROUGE-L's F-measure, 0 to 1 (Lin 2004, aclanthology W04-1013), of the whole text as one sentence.

    F is of precision and recall alike: the longest common subsequence divided by the reply's words and by the truth's.
    Equal to rouge-score's `rougeL` without stemming. Its words are a–z and 0–9 only, so texts in other scripts score 0;
    chrF is for those.
    """

    name: ClassVar[str] = "rouge_l"
    about: ClassVar[str] = "longest common sequence of words with the true text (F, for a–z and digits)"
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_proportion: ClassVar[bool] = False

    def statistics(self, gold: Sequence[Gold], answers: Sequence[Answer]) -> Floats:
        """(F, 1) per row."""
        found = np.full((len(gold), 2), np.nan)
        for i, (row, said) in enumerate(zip(gold, answers, strict=True)):
            if said.text is not None:
                ours, theirs = words_of(said.text), words_of(row.text)
                # 2PR / (P + R) with P = common / ours and R = common / theirs.
                found[i] = (2 * n_in_order(ours, theirs) / (len(ours) + len(theirs)) if ours and theirs else 0.0, 1.0)
        return found

    def failure(self, gold: Sequence[Gold]) -> Floats:
        """No word right in any row."""
        return np.tile(np.array([0.0, 1.0]), (len(gold), 1))

    def values(self, sums: Floats) -> Floats:
        """F summed, divided by judged rows."""
        return ratio(sums[..., 0], sums[..., 1])
