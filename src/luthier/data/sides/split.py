"""Which side each row stands on: train, validation or test. Related rows stand together, and no row ever changes sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from luthier.core.draws import unit
from luthier.core.examples import AnyExample, Labelled
from luthier.data.shapes.columns import lookup
from luthier.data.sides.kinds import (
    SIDES,
    AnySplit,
    ByColumn,
    Folds,
    RandomSplit,
    Side,
    Split,
    TimeSplit,
    column_side,
    shares_out,
)  # fmt: skip
from luthier.data.sides.moments import boundaries_for, moments_of, side_at
from luthier.data.sides.relations import Relations, relations
from luthier.data.sides.sharing import Placing, Sorted, folds_of, labels_in, share_out

__all__ = ["SIDES", "TWO_SIDES", "AnySplit", "ByColumn", "Folds", "RandomSplit", "Side", "Sides", "Split", "TimeSplit", "assign"]

TWO_SIDES = "belongs to two sides"


@dataclass(frozen=True)
class Sides:
    """The side of each row by its id.

    `refused` are the rows that belong to two sides, with the sides that they touch. `unfit` are those whose value in the
    column of a split by time or by column says no side, each with what is wrong. `boundaries` are the moments from which
    rows are validation and test rows, in a split by time.
    """

    of: Mapping[str, Side]
    refused: Mapping[str, tuple[Side, ...]]
    unfit: Mapping[str, str] = field(default_factory=dict)
    boundaries: Mapping[Side, float] = field(default_factory=dict)


def assign(
    examples: Sequence[AnyExample],
    split: AnySplit,
    seed: int,
    group_column: str | None = None,
    recorded: Mapping[str, frozenset[Side]] | None = None,
    boundaries: Mapping[Side, float] | None = None,
    related: Relations | None = None,
) -> Sides:
    """Give each row a side. The result depends on the set of rows, not on their order.

    Rows with a recorded side keep it. A new row takes the side of the rows that it is related to, and is refused if
    those stand on two. Clusters of rows that are related to no placed row are shared out: all of them together where
    nothing is recorded yet; otherwise each by hash(seed, its smallest id), so that no row depends on which others arrive.
    A label that training does not have yet always starts there.

    In a split by time or by column each row has a side of its own. Where related rows want different sides, test rows stay,
    then validation rows, and the others are refused: what was set apart to judge by is never thinned out, and never leaks.

    Args:
        examples: the kept rows; ids are unique.
        split: kind, shares and threshold.
        seed: of the recipe.
        group_column: rows with equal values in it (in `extra`) stand together.
        recorded: sides by id from an earlier run; several where duplicates on several sides became one row.
        boundaries: those that an earlier split by time had; new rows are held against them.
        related: the relations of the rows, where they are known already; the rows need no texts then.

    """
    recorded = recorded or {}
    own, unfit, found = _own_sides(examples, split, boundaries if recorded else None)
    placing = Placing(related or relations(examples, group_column, split.near_duplicate_threshold))
    fit = (i for i, example in enumerate(examples) if example.id not in unfit)
    in_order = sorted(fit, key=lambda i: examples[i].id)
    wanted: dict[int, set[Side]] = {}
    for i in in_order:
        told = recorded.get(examples[i].id)
        if told is not None:
            # A column says it again each time; a moment is only asked once, for boundaries are cut where rows lie.
            wanted[i] = {*told, *([own[i]] if isinstance(split, ByColumn) else [])}
    placing.place_wanted(wanted)
    if isinstance(split, ByColumn | TimeSplit):
        placing.place_wanted({i: {own[i]} for i in in_order if i not in wanted})
    else:
        placing.place_new_beside_old(in_order)
        rest = [i for i in in_order if placing.is_open(i)]
        clusters = [
            Sorted(cluster, examples[cluster[0]].id, labels_in(_label(examples[i]) for i in cluster)) for cluster in placing.clusters(rest)
        ]
        if recorded:
            _place_by_hash(placing, [_label(row) for row in examples], clusters, split, seed)
        else:
            _place_afresh(placing, clusters, split, seed)
    ids = [row.id for row in examples]
    return Sides(
        {ids[i]: side for i, side in placing.placed()}, {ids[i]: sides for i, sides in placing.refused.items()}, unfit, found
    )


def _own_sides(
    examples: Sequence[AnyExample], split: AnySplit, boundaries: Mapping[Side, float] | None
) -> tuple[dict[int, Side], dict[str, str], Mapping[Side, float]]:
    """(the side that each row's own value says, what is wrong with the others' values by id, the boundaries); by row number."""
    if not isinstance(split, ByColumn | TimeSplit):
        return {}, {}, {}
    values = [lookup(example.extra, split.column) for example in examples]
    unfit: dict[str, str] = {}
    if isinstance(split, ByColumn):
        said = [column_side(split, value) for value in values]
        own = {i: one for i, one in enumerate(said) if one is not None}
        unfit = {example.id: _value_text(value) for example, value, one in zip(examples, values, said, strict=True) if one is None}
        return own, unfit, {}
    times = moments_of(values, split.format)
    unfit = {example.id: _value_text(value) for example, value, one in zip(examples, values, times, strict=True) if one is None}
    known = {i: one for i, one in enumerate(times) if one is not None}
    found = boundaries or boundaries_for(list(known.values()), split.validation, split.test)
    return {i: side_at(one, found) for i, one in known.items()}, unfit, found


def _value_text(value: object) -> str:
    text = "" if value is None else str(value)
    return "the value is missing" if not text.strip() else f"the value is {text[:60]!r}"


def _label(example: AnyExample) -> str:
    """The label; rows without labels count as one."""
    return str(example.label) if isinstance(example, Labelled) else ""


def _place_by_hash(placing: Placing, labels: Sequence[str], clusters: Sequence[Sorted], split: AnySplit, seed: int) -> None:
    """Each cluster where its smallest id falls; a label that is new to training starts there."""
    learnt = {labels[i] for i, side in placing.placed() if side == "train"}
    for cluster in sorted(clusters, key=lambda one: (unit(seed, "split", one.name), one.rows)):
        side = _drawn(split, seed, cluster.name)
        own = {label for label, _ in cluster.labels}
        if not split.wants(side) or not own <= learnt:
            side = "train"
        if side == "train":
            learnt |= own
        placing.place_all(cluster.rows, side)


def _drawn(split: AnySplit, seed: int, name: str) -> Side:
    draw = unit(seed, "split", name)
    if isinstance(split, Folds):
        if 1 + int(draw * split.folds) == split.fold:
            return "test"
        # A draw of its own: whether a row is tested in one fold says nothing of where it stands in the others.
        return "validation" if unit(seed, "validation", name) < split.validation / (1 - split.test) else "train"
    assert shares_out(split), "a row with a side of its own is not drawn for"
    return "train" if draw < split.train else "validation" if draw < split.train + split.validation else "test"


def _place_afresh(placing: Placing, clusters: Sequence[Sorted], split: AnySplit, seed: int) -> None:
    """All clusters shared out together, label by label unless the split is random."""
    assert shares_out(split), "a row with a side of its own is not shared out"
    if isinstance(split, Folds):
        in_fold = folds_of(clusters, split.folds, seed)
        tested = [one for one, fold in zip(clusters, in_fold, strict=True) if fold == split.fold]
        others = [one for one, fold in zip(clusters, in_fold, strict=True) if fold != split.fold]
        for cluster in tested:
            placing.place_all(cluster.rows, "test")
    else:
        others = list(clusters)
    # Of sides that are equally far from their share, test comes before validation.
    order: tuple[Side, ...] = ("train", "validation") if isinstance(split, Folds) else ("train", "test", "validation")
    shares = {side: split.share(side) for side in order if split.wants(side)}
    by_label = not isinstance(split, RandomSplit)
    for cluster, side in zip(others, share_out(others, shares, seed, learn_in="train", by_label=by_label), strict=True):
        placing.place_all(cluster.rows, side)
