"""Rows that say nearly the same thing as another row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample, Labelled
from luthier.core.options import option
from luthier.data.compared import whole
from luthier.data.decisions import Dropped, Kept, KeyDecision
from luthier.data.neighbours import band_keys, similar_pairs


@dataclass(frozen=True)
class NearDuplicates:
    """Keeps the first of the rows that are alike: Jaccard similarity of character 5-grams at or over the threshold.

    Candidates come from MinHash bands (Broder, 1997; Indyk and Motwani, 1998), the decision from the exact
    similarity. A row is compared with kept rows only, so a chain of small changes does not pull in its far end. Near-
    duplicates with different labels both stay, for what tells them apart is what a classifier has to learn; the split
    puts them on one side.
    """

    kind: Literal["near_duplicates"] = "near_duplicates"
    threshold: Annotated[float, Field(ge=0.5, le=1)] = option(
        0.8, about="Jaccard similarity of character 5-grams from which rows are alike", why="one word in ten or twenty differs"
    )
    decodes: ClassVar[bool] = False

    def keys(self, example: AnyExample) -> tuple[bytes, ...]:
        """The bands of the row's MinHash."""
        return band_keys(whole(example), self.threshold)

    def choose(self, members: Sequence[AnyExample]) -> tuple[KeyDecision, ...]:
        """Keep each row that is not alike an earlier kept row of its label."""
        texts = [whole(member) for member in members]
        distinct = list(dict.fromkeys(texts))
        alike = {text: [(text, 1.0)] for text in distinct}
        for i, j, similarity in similar_pairs(distinct, self.threshold):
            alike[distinct[i]].append((distinct[j], similarity))
            alike[distinct[j]].append((distinct[i], similarity))
        kept: dict[tuple[str, str | None], int] = {}
        decisions: list[KeyDecision] = []
        for i, (member, text) in enumerate(zip(members, texts, strict=True)):
            label = member.label if isinstance(member, Labelled) else None
            earlier = min(((kept[other, label], similarity) for other, similarity in alike[text] if (other, label) in kept), default=None)
            if earlier is None:
                kept[text, label] = i
                decisions.append(Kept())
            else:
                first = members[earlier[0]].id
                decisions.append(Dropped("nearly the same as another row", f"similarity {earlier[1]:.2f} to row {first}", first))
        return tuple(decisions)
