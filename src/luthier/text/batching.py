"""The rows of one step, cut into micro-batches that fit; every cut gives the same gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from luthier.text.forest import Forest, make_forest
from luthier.text.padded import Padded, make_padded
from luthier.text.rows import Row, n_shared, sort_key

Batch: TypeAlias = Forest | Padded
Layout: TypeAlias = Literal["forest", "packed", "padded"]


@dataclass(frozen=True)
class CutPlan:
    """How steps are cut: decided once a run and kept in `plan.json`, since the order of additions shapes the last bits.

    `layout` is *forest* (shared beginnings computed once), *packed* (one tree a row, nothing shared: random layers need
    it) or *padded*. No micro-batch has more than `max_nodes` nodes, unless one group alone has.
    """

    layout: Layout
    max_nodes: int
    pad_id: int

    def make(self, rows: Sequence[Row]) -> Batch:
        """One batch of all the rows."""
        if self.layout == "padded":
            return make_padded(rows, self.pad_id)
        return make_forest(rows, share=self.layout == "forest")

    def cut(self, rows: Sequence[Row]) -> list[list[Row]]:
        """The rows in micro-batches: groups stay whole, and rows that share a beginning meet."""
        groups = _groups(rows)
        if self.layout == "padded":
            groups.sort(key=lambda group: max(row.n_tokens for row in group))
        elif self.layout == "forest":
            groups.sort(key=lambda group: sort_key(group[0]))
        cuts: list[list[Row]] = []
        n_nodes = 0
        for group in groups:
            added = self._cost(cuts[-1], group, n_nodes) if cuts else 0
            if cuts and n_nodes + added <= self.max_nodes:
                cuts[-1].extend(group)
                n_nodes += added
            else:
                cuts.append(list(group))
                n_nodes = self._cost([], group, 0)
        return cuts

    def batches(self, rows: Sequence[Row]) -> Iterator[Batch]:
        """The micro-batches of one step."""
        for part in self.cut(rows):
            yield self.make(part)

    def _cost(self, before: Sequence[Row], group: Sequence[Row], n_nodes: int) -> int:
        """How many nodes `group` adds to the rows `before`, which hold `n_nodes`."""
        if self.layout == "padded":
            width = max(row.n_tokens for row in (*before, *group))
            return width * (len(before) + len(group)) - n_nodes
        added = 0
        last = before[-1] if before else None
        for row in sorted(group, key=sort_key):
            shared = n_shared(last.tokens, row.tokens) if last is not None and self.layout == "forest" else 0
            added += row.n_tokens - shared
            last = row
        return added


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that no cut may part, together; a row without a group stands alone."""
    keyed: list[tuple[str | int, Row]] = [(row.group or i, row) for i, row in enumerate(rows)]
    first: dict[str | int, int] = {}
    for i, (key, _) in enumerate(keyed):
        first.setdefault(key, i)
    keyed.sort(key=lambda pair: first[pair[0]])
    return [[row for _, row in members] for _, members in groupby(keyed, key=lambda pair: pair[0])]
