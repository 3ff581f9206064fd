"""The rows of one step, cut into micro-batches that fit, as cheaply as the costs say; every cut gives the same gradient."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from luthier.text.forest import Forest, make_forest
from luthier.text.padded import Padded, make_padded
from luthier.text.rows import Row, n_shared, sort_key

Batch: TypeAlias = Forest | Padded
Layout: TypeAlias = Literal["forest", "packed", "padded"]
KNEE = 4096
"""Nodes of a micro-batch from which on each further one may cost more, as states leave the processor's last cache."""
FEATURES = ("call", "nodes", "pairs", "sources", "rows", f"nodes over {KNEE}")


@dataclass(frozen=True)
class Costs:
    """Seconds of one micro-batch, forward and backward: a sum over what it holds, none of which makes it cheaper.

    A `call` costs something by itself, and so does each node; each pair of a node and one that it sees; each state of
    which the output layer predicts something (a source); each row, for its branch; and each node beyond the first `KNEE`.
    Where nothing was measured, micro-batches are to be few, and their nodes.
    """

    call: float = 1e6
    node: float = 1.0
    pair: float = 0.0
    source: float = 0.0
    row: float = 0.0
    over: float = 0.0

    @property
    def weights(self) -> NDArray[np.float64]:
        """The coefficients in the order of `FEATURES`."""
        return np.array([self.call, self.node, self.pair, self.source, self.row, self.over])

    def seconds(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of micro-batches whose features (…, F) are given."""
        found: NDArray[np.float64] = features @ self.weights
        return found


@dataclass(frozen=True)
class CutPlan:
    """How steps are cut: decided once a run and kept in `plan.json`, since the order of additions shapes the last bits.

    `layout` is *forest* (shared beginnings computed once), *packed* (one tree a row, nothing shared: random layers need
    it) or *padded*. No micro-batch has more than `max_nodes` nodes, unless one group alone has. What does not fit into
    memory whole, a group of more than `recompute_over` nodes, is computed again for the gradient; None: all fit.
    """

    layout: Layout
    max_nodes: int
    pad_id: int
    costs: Costs = Costs()
    recompute_over: int | None = None

    def make(self, rows: Sequence[Row]) -> Batch:
        """One batch of all the rows, without what nothing is predicted from."""
        if self.layout == "padded":
            return make_padded(rows, self.pad_id, whole=False)
        return make_forest(rows, share=self.layout == "forest", whole=False, most_nodes=self.max_nodes)

    def cut(self, rows: Sequence[Row]) -> list[list[Row]]:
        """The rows in the cheapest micro-batches that fit: groups stay whole, and rows that share a beginning meet.

        Groups are put in order (rows that share a beginning, or padded ones of about one length, side by side), and of
        all the ways to cut that sequence the cheapest is found from its end: what the rest costs from each group on.
        """
        groups = self._ordered(rows)
        sizes = _Sizes.of(groups, self.layout)
        n = len(groups)
        rest, stop = np.zeros(n + 1), np.zeros(n, dtype=np.int64)
        for i in range(n - 1, -1, -1):
            features = sizes.features(i, self.max_nodes)
            total = self.costs.seconds(features) + rest[i + 1 : i + 1 + len(features)]
            # Of equal ones the longest, which fills a micro-batch before the next is begun; rounding makes no difference.
            best = int(np.flatnonzero(total <= total.min() * (1 + 1e-12))[-1])
            stop[i], rest[i] = i + 1 + best, total[best]
        cuts: list[list[Row]] = []
        i = 0
        while i < n:
            cuts.append([row for group in groups[i : stop[i]] for row in group])
            i = int(stop[i])
        return cuts

    def batches(self, rows: Sequence[Row]) -> Iterator[Batch]:
        """The micro-batches of one step."""
        for part in self.cut(rows):
            yield self.make(part)

    def recomputes(self, batch: Batch) -> bool:
        """Whether a micro-batch is too large to keep for its gradient what it computes."""
        return self.recompute_over is not None and batch.n_nodes > self.recompute_over

    def features(self, part: Sequence[Row]) -> NDArray[np.float64]:
        """What one micro-batch of these rows holds, in the order of `FEATURES`."""
        groups = self._ordered(part)
        found: NDArray[np.float64] = _Sizes.of(groups, self.layout).features(0, np.iinfo(np.int64).max)[-1]
        return found

    def _ordered(self, rows: Sequence[Row]) -> list[list[Row]]:
        groups = _groups(rows)
        if self.layout == "padded":
            groups.sort(key=lambda group: max(row.n_read for row in group))
        elif self.layout == "forest":
            groups = [sorted(group, key=_read_key) if len(group) > 1 else group for group in groups]
            groups.sort(key=lambda group: _read_key(group[0]))
        return groups


@dataclass(frozen=True, eq=False)
class _Sizes:
    """What groups in order hold, so that what any run of neighbours holds is a subtraction: (n,) and (n + 1,) sums.

    `first` is what a group brings where a micro-batch begins with it, `sums` adds up what groups bring behind their
    neighbours; both (…, 4): nodes, pairs, sources, rows. `width` is a padded group's longest row, None in a forest.
    """

    first: NDArray[np.int64]
    sums: NDArray[np.int64]
    width: NDArray[np.int64] | None

    @classmethod
    def of(cls, groups: Sequence[Sequence[Row]], layout: Layout) -> _Sizes:
        firsts, nexts = [], []
        last: Row | None = None
        for group in groups:
            lone = behind = np.zeros(4, dtype=np.int64)
            for i, row in enumerate(group):
                trained = np.flatnonzero(row.weights)
                shared = n_shared(last.read, row.read) if last is not None and layout == "forest" else 0
                added = _added(row, trained, shared)
                behind = behind + added
                lone = lone + (_added(row, trained, 0) if i == 0 else added)
                last = row
            firsts.append(lone)
            nexts.append(behind)
        width = np.array([max(row.n_read for row in group) for group in groups]) if layout == "padded" else None
        sums = np.concatenate([np.zeros((1, 4), dtype=np.int64), np.cumsum(nexts, 0)])
        return cls(np.array(firsts), sums, width)

    def features(self, i: int, max_nodes: int) -> NDArray[np.float64]:
        """Of the micro-batches that begin with group `i` and fit, from that group alone to the longest: (…, F)."""
        stop = self._stop(i, max_nodes)
        found = self.first[i] + self.sums[i + 1 : stop + 1] - self.sums[i + 1]
        if self.width is not None:
            width, n_rows = self.width[i:stop], found[:, 3]
            found = np.stack([width * n_rows, n_rows * (width * (width + 1) // 2), found[:, 2], n_rows], 1)
        fits = max(1, int(np.searchsorted(found[:, 0], max_nodes, side="right")))
        found = found[:fits].astype(np.float64)
        over = np.maximum(found[:, :1] - KNEE, 0.0)
        return np.concatenate([np.ones((fits, 1)), found, over], 1)

    def _stop(self, i: int, max_nodes: int) -> int:
        """Where the groups end that may fit beside group `i`: the rest is not looked at, or cutting would take the square of them."""
        if self.width is not None:
            return min(len(self.width), i + max(1, int(max_nodes // self.width[i])))
        most = min(max_nodes, int(self.first[i, 0] + self.sums[-1, 0] - self.sums[i + 1, 0]))
        return max(i + 1, bisect_right(self.sums[:, 0], most + int(self.sums[i + 1, 0] - self.first[i, 0]), lo=i + 1) - 1)


def _read_key(row: Row) -> bytes:
    return sort_key(row, row.n_read)


def _added(row: Row, trained: NDArray[np.int64], shared: int) -> NDArray[np.int64]:
    """Nodes, pairs, sources and rows that a row brings behind one whose first `shared` tokens it has."""
    n = row.n_read
    return np.array([n - shared, (n * (n + 1) - shared * (shared + 1)) // 2, np.count_nonzero(trained > shared), 1])


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that no cut may part, together; a row without a group stands alone."""
    keyed: list[tuple[str | int, Row]] = [(row.group or i, row) for i, row in enumerate(rows)]
    first: dict[str | int, int] = {}
    for i, (key, _) in enumerate(keyed):
        first.setdefault(key, i)
    keyed.sort(key=lambda pair: first[pair[0]])
    return [[row for _, row in members] for _, members in groupby(keyed, key=lambda pair: pair[0])]
