"""Rows that say nearly the same thing as another row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Preference, Ranking, Rated
from luthier.core.options import option
from luthier.data.decisions import Dropped, Kept, KeyDecision
from luthier.data.likeness.alike import Sketched, n_words
from luthier.data.likeness.compared import answered, lines, whole
from luthier.data.likeness.neighbours import are_alike, band_keys, grams, similarity

_FEW = 8
"""Rows up to which each is compared with each at once, without a sketch that tells which need not be."""


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """Keeps the first of the rows that are alike: Jaccard similarity of character 5-grams at or over the threshold.

    Candidates come from MinHash bands (Broder, 1997; Indyk and Motwani, 1998), the decision from the exact
    similarity. A row is compared with kept rows only, so a chain of small changes does not pull in its far end. Near-
    duplicates with different labels both stay, for what tells them apart is what a classifier has to learn. So do two
    questions about one long passage: of prompts and conversations, the replies have to be alike too, and what is left
    when equal lines are set aside. The split puts all of these on one side.
    """

    kind: Literal["near_duplicates"] = "near_duplicates"
    threshold: Annotated[float, Field(ge=0.5, le=1)] = option(
        0.8, about="Jaccard similarity of character 5-grams from which rows are alike", why="one word in ten or twenty differs"
    )
    decodes: ClassVar[bool] = False

    def keys(self, example: AnyExample) -> tuple[bytes, ...]:
        """The bands of the row's MinHash."""
        return band_keys(whole(example), self.threshold)

    def compared(self, example: AnyExample) -> str:
        """Everything that is particular to the row."""
        return whole(example)

    def choose(self, members: Sequence[AnyExample]) -> tuple[KeyDecision, ...]:
        """Keep each row that is not alike an earlier kept row of its label."""
        texts = [whole(member) for member in members]
        labels = [_label(member) for member in members]
        sketched = Sketched.of(texts, n_words(len(texts), sum(map(len, texts)))) if len(texts) > _FEW else None
        kept: dict[str | None, list[int]] = {}
        known: dict[int, frozenset[str]] = {}
        decisions: list[KeyDecision] = []
        for i, member in enumerate(members):
            earlier = kept.setdefault(labels[i], [])
            mine = grams(texts[i])
            near = sketched.near(i, np.array(earlier, dtype=np.int64), self.threshold).tolist() if sketched else earlier
            alike = (j for j in near if are_alike(mine, known[j], self.threshold))
            found = next((j for j in alike if texts[j] == texts[i] or self._rest_is_alike(member, members[j])), None)
            if found is None:
                earlier.append(i)
                known[i] = mine
                decisions.append(Kept())
            else:
                value = len(mine & known[found]) / len(mine | known[found])
                first = members[found].id
                decisions.append(Dropped("nearly the same as another row", f"similarity {value:.2f} to row {first}", first))
        return tuple(decisions)

    def _rest_is_alike(self, a: AnyExample, b: AnyExample) -> bool:
        if not isinstance(a, Pair | Chat | Preference | Ranking | Rated):
            return True
        lines_a, lines_b = lines(a), lines(b)
        rest_a = " ".join(line for line in lines_a if line not in lines_b)
        rest_b = " ".join(line for line in lines_b if line not in lines_a)
        return similarity(answered(a), answered(b)) >= self.threshold and similarity(rest_a, rest_b) >= self.threshold


def _label(example: AnyExample) -> str | None:
    """What tells rows of one text apart: the label, or whether a reply was found good."""
    if isinstance(example, Rated):
        return str(example.good)
    return example.label if isinstance(example, Labelled) else None
