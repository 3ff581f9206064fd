"""Which side each row stands on: train, validation or test. Related rows stand together, and no row ever changes sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from luthier.core.draws import seed_of, unit
from luthier.core.examples import AnyExample, Labelled
from luthier.core.options import option
from luthier.data.relations import Relations, Tie, relations

Side: TypeAlias = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = get_args(Side)
# Where sides disagree, the row that was judged on stays; then the one that models were chosen on.
_PRECEDENCE: tuple[Side, ...] = ("test", "validation", "train")
TWO_SIDES = "belongs to two sides"


@dataclass(frozen=True)
class Split:
    """The shares of the three sides, and how alike two rows may be before they must share a side."""

    train: Annotated[float, Field(gt=0, le=1)] = option(0.8, about="share of the rows to tune on", why="most rows are for learning")
    validation: Annotated[float, Field(ge=0, lt=1)] = option(0.1, about="share of the rows to choose by", why="enough to stop early by")
    test: Annotated[float, Field(ge=0, lt=1)] = option(0.1, about="share of the rows to judge by, never tuned on", why="enough to judge by")
    near_duplicate_threshold: Annotated[float, Field(ge=0.5, le=1)] = option(
        0.8, about="Jaccard similarity of character 5-grams from which rows share a side", why="one word in ten or twenty differs"
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Shares that are not shares of one whole."""
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            path = next((name for name in SIDES if name in given), "train")
            yield path, f"makes the shares of train, validation and test add up to {total:g}", "make them add up to 1"

    def share(self, side: Side) -> float:
        """The share of one side."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[side]


@dataclass(frozen=True)
class Sides:
    """The side of each row by its id, and the ids of rows that belong to two sides, with the sides they touch."""

    of: Mapping[str, Side]
    refused: Mapping[str, tuple[Side, ...]]


@dataclass
class _Placing:
    """Rows being placed: the side of each row so far, and the sides that each tie is on."""

    relations: Relations
    side_of: dict[int, Side] = field(default_factory=dict)
    refused: dict[int, tuple[Side, ...]] = field(default_factory=dict)
    sides_with: defaultdict[Tie, set[Side]] = field(default_factory=lambda: defaultdict(set))

    def touched(self, i: int) -> set[Side]:
        """The sides on which rows related to row i stand already."""
        return {side for tie in self.relations.around(i) for side in self.sides_with.get(tie, ())}

    def place(self, i: int, side: Side) -> None:
        """Put row i on a side."""
        self.side_of[i] = side
        for tie in self.relations.ties[i]:
            self.sides_with[tie].add(side)

    def place_or_refuse(self, i: int, wanted: set[Side]) -> None:
        """Put row i on the one side that it wants and touches, or refuse it."""
        sides = wanted | self.touched(i)
        if len(sides) == 1:
            self.place(i, next(iter(sides)))
        else:
            self.refused[i] = tuple(side for side in SIDES if side in sides)


def assign(
    examples: Sequence[AnyExample],
    split: Split,
    seed: int,
    group_column: str | None = None,
    recorded: Mapping[str, frozenset[Side]] | None = None,
) -> Sides:
    """Give each row a side. The result depends on the set of rows, not on their order.

    Rows with a recorded side keep it. A new row takes the side of the rows that it is related to, and is refused if
    those stand on two. Clusters of rows that are related to no placed row are shared out: all of them together, label
    by label, where nothing is recorded yet; otherwise each by hash(seed, its smallest id), so that no row depends on
    which others arrive. A label that training does not have yet always starts there.

    Args:
        examples: the kept rows; ids are unique.
        split: shares and threshold.
        seed: of the recipe.
        group_column: rows with equal values in it (in `extra`) stand together.
        recorded: sides by id from an earlier run; several where duplicates on several sides became one row.

    """
    recorded = recorded or {}
    related = relations(examples, group_column, split.near_duplicate_threshold)
    placing = _Placing(related)
    in_order = sorted(range(len(examples)), key=lambda i: examples[i].id)
    _place_recorded(placing, examples, in_order, recorded)
    _place_new_beside_old(placing, in_order)
    rest = [i for i in in_order if i not in placing.side_of and i not in placing.refused]
    clusters = related.clusters(rest)
    if recorded:
        _place_by_hash(placing, examples, clusters, split, seed)
    else:
        _place_by_shares(placing, examples, clusters, split, seed)
    ids = [example.id for example in examples]
    return Sides({ids[i]: side for i, side in placing.side_of.items()}, {ids[i]: sides for i, sides in placing.refused.items()})


def _place_recorded(
    placing: _Placing, examples: Sequence[AnyExample], in_order: list[int], recorded: Mapping[str, frozenset[Side]]
) -> None:
    old = [(i, recorded[examples[i].id]) for i in in_order if examples[i].id in recorded]
    for i, sides in sorted(old, key=lambda item: min(_PRECEDENCE.index(side) for side in item[1])):
        placing.place_or_refuse(i, set(sides))


def _place_new_beside_old(placing: _Placing, in_order: list[int]) -> None:
    """Give new rows their relatives' side, and then their relatives theirs, until nothing moves."""
    waiting = [i for i in in_order if i not in placing.side_of and i not in placing.refused]
    moved = bool(placing.side_of)
    while moved:
        still: list[int] = []
        for i in waiting:
            if placing.touched(i):
                placing.place_or_refuse(i, set())
            else:
                still.append(i)
        moved, waiting = len(still) < len(waiting), still


def _labels(examples: Sequence[AnyExample], cluster: Iterable[int]) -> Counter[str]:
    """How many rows of a cluster each label has; rows without labels count as one."""
    found = (examples[i] for i in cluster)
    return Counter(str(example.label) if isinstance(example, Labelled) else "" for example in found)


def _place_by_hash(placing: _Placing, examples: Sequence[AnyExample], clusters: list[list[int]], split: Split, seed: int) -> None:
    """Each cluster where its smallest id falls; a label that is new to training starts there."""
    learnt = set(_labels(examples, (i for i, side in placing.side_of.items() if side == "train")))
    drawn = sorted((unit(seed, "split", examples[cluster[0]].id), cluster) for cluster in clusters)
    for draw, cluster in drawn:
        side: Side = "train" if draw < split.train else "validation" if draw < split.train + split.validation else "test"
        if split.share(side) == 0 or not set(_labels(examples, cluster)) <= learnt:
            side = "train"
        if side == "train":
            learnt |= set(_labels(examples, cluster))
        for i in cluster:
            placing.place(i, side)


def _place_by_shares(placing: _Placing, examples: Sequence[AnyExample], clusters: list[list[int]], split: Split, seed: int) -> None:
    """Clusters, the largest first and otherwise in hashed order, each to where it brings the counts closest to the shares.

    Close means a small Σ (rows - wanted rows)² / wanted rows, over sides, for each label and for all rows together.
    """
    wanted = _labels(examples, (i for cluster in clusters for i in cluster))
    n_rows = sum(wanted.values())
    rows_with: Counter[tuple[Side, str]] = Counter()
    rows_on: Counter[Side] = Counter()
    # Of sides that are equally far from their share, test comes before validation.
    sides: list[Side] = [side for side in ("train", "test", "validation") if split.share(side) > 0]

    def cost(side: Side, labels: Counter[str]) -> float:
        """How much further from the shares the counts would be."""
        share, n_new = split.share(side), sum(labels.values())
        total = n_new * (2 * (rows_on[side] - n_rows * share) + n_new) / (n_rows * share)
        for label, n in labels.items():
            aim = wanted[label] * share
            total += n * (2 * (rows_with[side, label] - aim) + n) / aim
        return total

    for cluster in sorted(clusters, key=lambda some: (-len(some), seed_of(seed, "split", examples[some[0]].id))):
        labels = _labels(examples, cluster)
        is_new = any(rows_with["train", label] == 0 for label in labels)
        side: Side = "train" if is_new else min(sides, key=lambda one: cost(one, labels))
        rows_on[side] += len(cluster)
        for label, n in labels.items():
            rows_with[side, label] += n
        for i in cluster:
            placing.place(i, side)
