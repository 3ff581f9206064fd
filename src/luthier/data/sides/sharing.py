"""Clusters of related rows put on sides: what touches what, and how clusters are shared out by counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from luthier.core.draws import seed_of
from luthier.data.sides.kinds import SIDES, Side
from luthier.data.sides.relations import Relations

Bin = TypeVar("Bin", bound=Hashable)
# Where sides disagree, the row that was judged on stays; then the one that models were chosen on.
_PRECEDENCE: tuple[Side, ...] = ("test", "validation", "train")
_BIT_OF: Mapping[Side, int] = {side: 1 << k for k, side in enumerate(SIDES)}
_SIDE_OF: Mapping[int, Side] = {bit: side for side, bit in _BIT_OF.items()}


class Placing:
    """Rows being placed: the side of each row so far, and the sides that each tie is on, a byte each."""

    def __init__(self, relations: Relations) -> None:
        self.relations = relations
        self.refused: dict[int, tuple[Side, ...]] = {}
        self._sides_of_row = np.zeros(len(relations.ties), dtype=np.uint8)
        self._sides_with = np.zeros(relations.n_ties, dtype=np.uint8)

    def is_open(self, i: int) -> bool:
        """Whether row i is neither placed nor refused yet."""
        return not self._sides_of_row[i] and i not in self.refused

    def placed(self) -> Iterator[tuple[int, Side]]:
        """The rows that have a side, in order."""
        return ((i, _SIDE_OF[bits]) for i, bits in enumerate(self._sides_of_row.tolist()) if bits)

    def clusters(self, rows: Iterable[int]) -> Iterator[list[int]]:
        """These rows, put together as far as relations among them reach."""
        return self.relations.clusters(rows)

    def place_all(self, rows: Sequence[int], side: Side) -> None:
        """Put rows on a side."""
        for i in rows:
            self._sides_of_row[i] = _BIT_OF[side]
            for tie in self.relations.ties[i]:
                self._sides_with[tie] |= _BIT_OF[side]

    def place_wanted(self, wanted: Mapping[int, set[Side]]) -> None:
        """Put rows where they belong, test rows first; refuse those that belong to, or touch, another side too."""
        for i in sorted(wanted, key=lambda i: min(_PRECEDENCE.index(side) for side in wanted[i])):
            self._place_or_refuse(i, wanted[i])

    def place_new_beside_old(self, in_order: Iterable[int]) -> None:
        """Give new rows their relatives' side, and then their relatives theirs, until nothing moves."""
        waiting = [i for i in in_order if self.is_open(i)]
        moved = bool(self._sides_of_row.any())
        while moved:
            still: list[int] = []
            for i in waiting:
                if self._touched(i):
                    self._place_or_refuse(i, set())
                else:
                    still.append(i)
            moved, waiting = len(still) < len(waiting), still

    def _touched(self, i: int) -> set[Side]:
        """The sides on which rows related to row i stand already."""
        bits = 0
        for tie in self.relations.around(i):
            bits |= int(self._sides_with[tie])
        return {side for side in SIDES if bits & _BIT_OF[side]}

    def _place_or_refuse(self, i: int, wanted: set[Side]) -> None:
        sides = wanted | self._touched(i)
        if len(sides) == 1:
            self.place_all((i,), next(iter(sides)))
        else:
            self.refused[i] = tuple(side for side in SIDES if side in sides)


@dataclass(frozen=True, slots=True)
class Sorted:
    """A cluster: its rows, the smallest id among them, and how many rows each label has."""

    rows: list[int]
    name: str
    labels: tuple[tuple[str, int], ...]


def labels_in(labels: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """How many rows each label has."""
    return tuple(Counter(labels).items())


def share_out(
    clusters: Sequence[Sorted], shares: Mapping[Bin, float], seed: int, *, learn_in: Bin | None = None, by_label: bool = True
) -> list[Bin]:
    """A bin for each cluster: the largest first and otherwise in hashed order, each to where it brings the counts closest to the shares.

    Close means a small Σ (rows - wanted rows)² / wanted rows, over bins, for each label and for all rows together.

    Args:
        clusters: what to share out.
        shares: of each bin, in the order in which bins that are equally far from their share are served.
        seed: of the order.
        learn_in: the bin that the first cluster with a label goes to, whatever the counts say.
        by_label: whether each label is to have its share, or only the rows as a whole.

    """
    wanted: Counter[str] = Counter()
    for cluster in clusters:
        wanted.update(dict(cluster.labels))
    n_rows, whole = sum(wanted.values()), sum(shares.values())
    rows_with: Counter[tuple[Bin, str]] = Counter()
    rows_in: Counter[Bin] = Counter()
    learnt: set[str] = set()

    def cost(one: Bin, labels: Sequence[tuple[str, int]]) -> float:
        """How much further from the shares the counts would be."""
        share, n_new = shares[one] / whole, sum(n for _, n in labels)
        total = n_new * (2 * (rows_in[one] - n_rows * share) + n_new) / (n_rows * share)
        for label, n in labels if by_label else ():
            aim = wanted[label] * share
            total += n * (2 * (rows_with[one, label] - aim) + n) / aim
        return total

    found: dict[int, Bin] = {}
    for k in sorted(range(len(clusters)), key=lambda k: (-len(clusters[k].rows), seed_of(seed, "split", clusters[k].name))):
        labels = clusters[k].labels
        to_learn = learn_in is not None and any(label not in learnt for label, _ in labels)
        chosen = learn_in if to_learn and learn_in is not None else min(shares, key=lambda one: cost(one, labels))
        if chosen == learn_in:
            learnt |= {label for label, _ in labels}
        rows_in[chosen] += len(clusters[k].rows)
        for label, n in labels:
            rows_with[chosen, label] += n
        found[k] = chosen
    return [found[k] for k in range(len(clusters))]


def folds_of(clusters: Sequence[Sorted], n_folds: int, seed: int) -> list[int | None]:
    """The fold in which each cluster is tested, from 1; None for one that training always needs.

    A label whose clusters would all be tested in one fold could not be learnt there: the smallest of them is never tested.
    """
    found: list[int | None] = list(share_out(clusters, dict.fromkeys(range(1, n_folds + 1), 1 / n_folds), seed))
    with_label: defaultdict[str, list[int]] = defaultdict(list)
    for k, cluster in enumerate(clusters):
        for label, _ in cluster.labels:
            with_label[label].append(k)
    for label in sorted(with_label):
        folds = {found[k] for k in with_label[label]}
        if len(folds) == 1 and None not in folds:
            found[min(with_label[label], key=lambda k: (len(clusters[k].rows), clusters[k].name))] = None
    return found
