"""Rows that say nearly the same thing as another row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.options import option
from luthier.data.compared import answered, lines, whole
from luthier.data.decisions import Dropped, Kept, KeyDecision
from luthier.data.neighbours import band_keys, similar_pairs, similarity


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

    def choose(self, members: Sequence[AnyExample]) -> tuple[KeyDecision, ...]:
        """Keep each row that is not alike an earlier kept row of its label."""
        texts = [whole(member) for member in members]
        distinct = list(dict.fromkeys(texts))
        alike = {text: [(text, 1.0)] for text in distinct}
        for i, j, value in similar_pairs(distinct, self.threshold):
            alike[distinct[i]].append((distinct[j], value))
            alike[distinct[j]].append((distinct[i], value))
        kept: dict[tuple[str, str | None], int] = {}
        decisions: list[KeyDecision] = []
        for i, (member, text) in enumerate(zip(members, texts, strict=True)):
            label = member.label if isinstance(member, Labelled) else None
            others = ((kept[other, label], value) for other, value in alike[text] if (other, label) in kept)
            earlier = min(((j, value) for j, value in others if texts[j] == text or self._rest_is_alike(member, members[j])), default=None)
            if earlier is None:
                kept[text, label] = i
                decisions.append(Kept())
            else:
                first = members[earlier[0]].id
                decisions.append(Dropped("nearly the same as another row", f"similarity {earlier[1]:.2f} to row {first}", first))
        return tuple(decisions)

    def _rest_is_alike(self, a: AnyExample, b: AnyExample) -> bool:
        if not isinstance(a, Pair | Chat):
            return True
        lines_a, lines_b = lines(a), lines(b)
        rest_a = " ".join(line for line in lines_a if line not in lines_b)
        rest_b = " ".join(line for line in lines_b if line not in lines_a)
        return similarity(answered(a), answered(b)) >= self.threshold and similarity(rest_a, rest_b) >= self.threshold
