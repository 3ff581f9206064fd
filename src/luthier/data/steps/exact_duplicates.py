"""Rows that say the same thing as another row."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample, Labelled
from luthier.core.jsonvalue import canonical
from luthier.data.decisions import Dropped, Kept, KeyDecision
from luthier.data.likeness.compared import normalised


@dataclass(frozen=True, kw_only=True)
class ExactDuplicates:
    """Keeps the first of the rows that are equal but for case, width and space.

    A labelled text that occurs with several labels is a conflict: the first row with its most frequent label stays
    (of equally frequent ones, the label that comes first), the rest goes.
    """

    kind: Literal["exact_duplicates"] = "exact_duplicates"
    decodes: ClassVar[bool] = False

    def keys(self, example: AnyExample) -> tuple[bytes, ...]:
        """A hash of everything the row says; a label is left to `choose`."""
        content = {"shape": example.shape, **example.map_text(normalised).fields()}
        content.pop("label", None)
        return (hashlib.blake2b(canonical(content).encode("utf-8", "surrogatepass"), digest_size=16).digest(),)

    def choose(self, members: Sequence[AnyExample]) -> tuple[KeyDecision, ...]:
        """Keep one row: the first with the most frequent label."""
        labels = [member.label if isinstance(member, Labelled) else None for member in members]
        label = Counter(labels).most_common(1)[0][0]
        kept = labels.index(label)
        kept_id = members[kept].id
        decisions: list[KeyDecision] = []
        for i, member in enumerate(members):
            if i == kept:
                decisions.append(Kept())
            elif labels[i] == label:
                decisions.append(Dropped("duplicate of another row", f"of row {kept_id}", kept_id))
            else:
                assert isinstance(member, Labelled), "only labels part rows of one key"
                decisions.append(Dropped("same text, other label", f"kept: {label} (row {kept_id})", kept_id))
        return tuple(decisions)
