"""Rows beside their relatives, and clusters shared out by counts, on a handful of rows by hand."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.core.examples import Labelled
from luthier.data.sides.relations import Relations, Ties
from luthier.data.sides.sharing import Placing, Sorted, folds_of, labels_in, share_out
from luthier.data.sides.split import Split, assign


def related(*ties: tuple[int, ...], alike: dict[int, tuple[int, ...]] | None = None) -> Relations:
    """Rows with these ties each, −1 for none."""
    return Relations(Ties(np.array(ties, dtype=np.int32)), alike or {})


def test_a_row_takes_the_side_of_what_it_is_related_to_and_hands_it_on() -> None:
    # 0 and 1 share a group, 1 and 2 are alike, 3 knows nobody.
    placing = Placing(related((0, 10), (1, 10), (2, -1), (3, -1), alike={1: (2,), 2: (1,)}))
    placing.place_wanted({0: {"test"}})
    placing.place_new_beside_old([1, 2, 3])
    assert list(placing.placed()) == [(0, "test"), (1, "test"), (2, "test")] and placing.refused == {}
    assert [placing.is_open(i) for i in range(4)] == [False, False, False, True]


def test_a_row_between_two_sides_is_refused_and_hands_on_nothing() -> None:
    placing = Placing(related((0, 10), (1, 10), (2, 11), (1, 11), (0, -1)))
    placing.place_wanted({0: {"train"}, 2: {"validation"}})
    placing.place_new_beside_old([1, 3, 4])
    assert placing.refused == {3: ("train", "validation")}, "1 stands beside 0; 3 says what 1 says and is of the group of 2"
    assert list(placing.placed()) == [(0, "train"), (1, "train"), (2, "validation"), (4, "train")]
    assert not placing.is_open(3)


def test_of_rows_that_are_told_two_sides_the_judged_one_stays() -> None:
    placing = Placing(related((0, 9), (1, 9), (2, 9)))
    placing.place_wanted({0: {"train"}, 1: {"validation"}, 2: {"test"}})
    assert list(placing.placed()) == [(2, "test")]
    assert placing.refused == {0: ("train", "test"), 1: ("validation", "test")}


def test_nothing_moves_where_nothing_is_placed() -> None:
    placing = Placing(related((0, 9), (1, 9)))
    placing.place_new_beside_old([0, 1])
    assert list(placing.placed()) == [] and placing.is_open(0) and placing.is_open(1)
    assert list(Placing(Relations(Ties(np.zeros((0, 2), dtype=np.int32)), {})).placed()) == []


def test_no_row_is_both_placed_and_refused() -> None:
    rows = [Labelled(f"r{i}", f"text {i}", "ab"[i % 2]) for i in range(6)]
    ties = related((0, 10), (1, 10), (2, 11), (3, 10), (3, 11), (5, -1))
    found = assign(rows, Split(), 0, None, {"r0": frozenset(["train"]), "r2": frozenset(["test"])}, None, ties)
    assert set(found.of) & set(found.refused) == set() and set(found.of) | set(found.refused) == {row.id for row in rows}
    assert found.refused == {"r4": ("train", "test")}


def cluster(name: str, *labels: str) -> Sorted:
    return Sorted(list(range(len(labels))), name, labels_in(labels))


def test_each_label_gets_its_share_and_is_learnt_first() -> None:
    clusters = [cluster(f"{label}{i}", label) for label in "ab" for i in range(10)]
    bins = share_out(clusters, {"train": 0.5, "test": 0.5}, 0, learn_in="train")
    for label in "ab":
        assert sum(one.labels == ((label, 1),) and where == "train" for one, where in zip(clusters, bins, strict=True)) == 5
    assert share_out([cluster("x", "rare")], {"test": 1.0, "train": 0.01}, 0, learn_in="train") == ["train"]
    assert share_out([cluster("x", "rare")], {"test": 1.0, "train": 0.01}, 0) == ["test"]
    assert share_out([], {"train": 1.0}, 0) == []


def test_a_large_cluster_counts_with_all_its_rows() -> None:
    clusters = [cluster("large", *"aaaa"), *(cluster(f"small{i}", "a") for i in range(4))]
    bins = share_out(clusters, {"train": 0.5, "test": 0.5}, 0)
    assert set(bins[1:]) == {"train", "test"} - {bins[0]}
    both = [cluster("one", *"aaaaa"), cluster("other", *"aaaaa")]
    assert share_out(both, {"train": 0.8, "test": 0.2}, 0, by_label=False) == ["train", "train"]
    assert labels_in("abcab") == (("a", 2), ("b", 2), ("c", 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_label_of_one_fold_alone_is_never_tested(seed: int) -> None:
    clusters = [*(cluster(f"a{i}", "a") for i in range(6)), cluster("b", "b")]
    folds = folds_of(clusters, 3, seed)
    assert folds[6] is None and sorted(one for one in folds[:6] if one is not None) == [1, 1, 2, 2, 3, 3]
