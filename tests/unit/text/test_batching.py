"""Cutting a step into micro-batches, and what a batch says about its rows."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.text.batching import FEATURES, KNEE, Costs, CutPlan, Layout
from luthier.text.forest import make_forest, usual_size, visible
from luthier.text.padded import make_padded
from luthier.text.rows import Row, make_row, n_shared, sort_key

LAYOUTS: tuple[Layout, ...] = ("forest", "packed", "padded")


@st.composite
def grouped_rows(draw: st.DrawFn) -> list[Row]:
    lists = draw(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=12))
    groups = draw(st.lists(st.sampled_from(["", "", "a", "b", "row 0", "\x000"]), min_size=len(lists), max_size=len(lists)))
    return [make_row(tokens, id=str(i), group=group) for i, (tokens, group) in enumerate(zip(lists, groups, strict=True))]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(rows=grouped_rows(), max_nodes=st.integers(1, 40))
def test_a_cut_loses_no_row_and_parts_no_group(layout: Layout, rows: list[Row], max_nodes: int) -> None:
    cuts = CutPlan(layout, max_nodes, 0).cut(rows)
    assert sorted(row.id for cut in cuts for row in cut) == sorted(row.id for row in rows)
    for group in {row.group for row in rows if row.group}:
        assert len([cut for cut in cuts if any(row.group == group for row in cut)]) == 1
    assert all(cuts)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(rows=grouped_rows(), max_nodes=st.integers(1, 40))
def test_no_cut_has_more_nodes_than_it_may_unless_one_group_alone_has(layout: Layout, rows: list[Row], max_nodes: int) -> None:
    plan = CutPlan(layout, max_nodes, 0)
    for cut in plan.cut(rows):
        is_one_group = len(cut) == 1 or (cut[0].group != "" and all(row.group == cut[0].group for row in cut))
        assert is_one_group or plan.make(cut).n_nodes <= max_nodes


@given(rows=grouped_rows(), max_nodes=st.integers(1, 40))
def test_rows_that_share_a_beginning_meet_in_a_forest(rows: list[Row], max_nodes: int) -> None:
    lone = [make_row(row.tokens.tolist()) for row in rows]
    cuts = CutPlan("forest", max_nodes, 0).cut(lone)
    flat = [row.tokens.tolist() for cut in cuts for row in cut]
    assert flat == sorted(flat)


def test_a_cut_is_filled_up_to_its_last_node() -> None:
    rows = [make_row([1, 2, 3]), make_row([1, 2, 4]), make_row([5, 6]), make_row([7])]
    assert [len(cut) for cut in CutPlan("forest", 6, 0).cut(rows)] == [3, 1]
    assert [len(cut) for cut in CutPlan("forest", 7, 0).cut(rows)] == [4]
    assert [len(cut) for cut in CutPlan("packed", 6, 0).cut(rows)] == [2, 2]
    assert [[row.n_tokens for row in cut] for cut in CutPlan("padded", 6, 0).cut(rows)] == [[1, 2], [3, 3]]


def test_cutting_twice_gives_the_same_cuts_and_batches_hold_them() -> None:
    draw = np.random.default_rng(0)
    rows = [make_row(draw.integers(0, 5, int(n)).tolist(), id=str(n)) for n in draw.permutation(20) + 1]
    plan = CutPlan("forest", 50, 0)
    cuts = plan.cut(rows)
    assert (
        [batch.ids for batch in plan.batches(rows)]
        == [tuple(row.id for row in cut) for cut in cuts]
        == [tuple(row.id for row in cut) for cut in plan.cut(list(rows))]
    )
    assert len(cuts) > 1


@pytest.mark.parametrize("make", [make_forest, lambda rows: make_forest(rows, share=False), lambda rows: make_padded(rows, 0)])
def test_a_batch_says_which_state_predicts_which_token(make) -> None:
    rows = [
        make_row([4, 5, 6], [0, 0, 1], id="a", target=2, channels={"old": np.asarray([0.1, 0.2, 0.3], dtype=np.float32), "score": 1.5}),
        make_row([4, 7], [0, 0.5], id="b", channels={"old": np.asarray([0.4, 0.5], dtype=np.float32), "score": -1.0}),
        make_row([4, 5], [0, 2], id="c", target=0, channels={"old": np.asarray([0.6, 0.7], dtype=np.float32), "score": 0.0}),
    ]
    batch = make(rows)
    tokens = batch.tokens_N if hasattr(batch, "tokens_N") else batch.tokens_BT.reshape(-1)
    assert batch.ids == ("a", "b", "c") and batch.n_rows == 3 and batch.n_supervised == 3 and batch.n_row_tokens == 7
    assert tokens[batch.path_P].tolist() == [4, 5, 6, 4, 7, 4, 5]
    assert batch.path_row_P.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert tokens[batch.source_S].tolist() == [5, 4, 4]
    assert batch.target_S.tolist() == [6, 7, 5] and batch.weight_S.tolist() == [1, 0.5, 2] and batch.row_S.tolist() == [0, 1, 2]
    assert tokens[batch.pool_R].tolist() == [6, 7, 5]
    assert batch.target_R.tolist() == [2, -1, 0]
    torch.testing.assert_close(batch.channels["old"], torch.tensor([0.3, 0.5, 0.7]))
    torch.testing.assert_close(batch.channels["score"], torch.tensor([1.5, -1.0, 0.0]))


def test_rows_of_a_group_have_its_number_and_others_have_their_own() -> None:
    rows = [make_row([1], group="row 2"), make_row([2], group="x"), make_row([3]), make_row([4], group="x"), make_row([5])]
    numbers = make_forest(rows).group_R.tolist()
    assert numbers[1] == numbers[3]
    assert len(set(numbers)) == 4


def test_moving_a_batch_keeps_all_of_it() -> None:
    batch = make_forest([make_row([1, 2], [0, 1], id="a", channels={"score": 1.0})])
    moved = batch.to(torch.device("meta"))
    assert moved.tokens_N.is_meta and moved.source_S.is_meta and moved.channels["score"].is_meta
    assert moved.ids == batch.ids and moved.borders == batch.borders


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=6), st.lists(st.integers(0, 70_000), min_size=1, max_size=6))
def test_rows_are_ordered_as_their_tokens_are(first: list[int], second: list[int]) -> None:
    a, b = make_row(first), make_row(second)
    assert (sort_key(a) < sort_key(b)) == (first < second)
    n = 0
    while n < min(len(first), len(second)) and first[n] == second[n]:
        n += 1
    assert n_shared(a.tokens, b.tokens) == n


def test_a_forest_has_a_node_for_each_beginning_and_padded_rows_one_for_each_place() -> None:
    rows = [make_row([1, 2, 3]), make_row([1, 2, 4]), make_row([1]), make_row([2])]
    assert make_forest(rows).n_nodes == 5
    assert make_padded(rows, 0).n_nodes == 12


READ_IN_PART = [
    make_row([1, 2, 3, 4, 5], [0, 0, 1, 1, 0]),  # 1 2 3 is read
    make_row([1, 2, 3, 9], [0, 0, 0, 1]),  # 1 2 3 as well
    make_row([1, 2, 3, 4, 7, 8], [0, 1, 0, 0, 0, 0]),  # 1
    make_row([1, 6], [0, 0]),  # nothing trained: all of it
    make_row([1, 2, 5, 5], [0, 1, 0, 0], target=1),  # a class of its own: all of it
]


def test_what_nothing_is_predicted_from_need_not_be_read() -> None:
    assert [row.n_read for row in READ_IN_PART] == [3, 3, 1, 2, 4]
    forest, packed = make_forest(READ_IN_PART, whole=False), make_forest(READ_IN_PART, share=False, whole=False)
    padded = make_padded(READ_IN_PART, 0, whole=False)
    assert forest.n_nodes == len({(1,), (1, 2), (1, 2, 3), (1, 6), (1, 2, 5), (1, 2, 5, 5)})
    assert packed.n_nodes == 13
    assert padded.tokens_BT.shape == (5, 4) and padded.length_B.tolist() == [3, 3, 1, 2, 4]
    for batch, tokens in ((forest, forest.tokens_N), (packed, packed.tokens_N), (padded, padded.tokens_BT.reshape(-1))):
        assert tokens[batch.source_S].tolist() == [2, 3, 3, 1, 1]
        assert batch.target_S.tolist() == [3, 4, 9, 2, 2]
        assert tokens[batch.path_P].tolist() == [1, 2, 3, 1, 2, 3, 1, 1, 6, 1, 2, 5, 5]


def test_rows_that_are_read_in_part_share_all_that_they_can() -> None:
    rows = [make_row([1, 2, 3, 5], [0, 0, 0, 1]), make_row([1, 2, 3, 6, 7], [0, 0, 1, 0, 0]), make_row([1, 2, 3, 7], [0, 0, 0, 1])]
    assert make_forest(rows, whole=False).n_nodes == 3


def test_usual_sizes_are_few_and_near() -> None:
    assert [usual_size(n) for n in (0, 1, 31, 32, 33, 64, 65, 180, 1000, 1024, 1025, 2827, 4000)] == [
        0, 1, 31, 32, 34, 64, 68, 184, 1024, 1024, 1088, 2880, 4032,
    ]  # fmt: skip
    for octave in (64, 128, 256, 512):
        assert len({usual_size(n) for n in range(octave + 1, 2 * octave + 1)}) == 16
    assert all(0 <= usual_size(n) - n < min(64, max(1, n / 16)) for n in range(1, 5000))


def test_a_forest_is_filled_up_with_nodes_that_no_row_sees_and_nothing_is_learnt_from() -> None:
    rows = [make_row([7, *range(10, 30 + i)], [0.0] * 20 + [1.0] * (1 + i)) for i in range(2)] + [make_row(list(range(1, 20)))]
    bare, filled = make_forest(rows), make_forest(rows, most_nodes=100)
    assert bare.n_nodes == 41
    assert filled.n_nodes == usual_size(41) == 42 and filled.borders[-1] == 42
    for name in ("source_S", "target_S", "weight_S", "row_S", "pool_R", "path_P"):
        assert torch.equal(getattr(filled, name), getattr(bare, name))
    assert not visible(filled.leave_N)[:41, 41:].any(), "no row sees them"
    assert visible(filled.leave_N)[41, 41], "each sees itself, so that its state is a number"
    assert int(filled.depth_N.max()) == int(bare.depth_N.max()), "they stand at a position that exists"
    assert [make_forest(rows, most_nodes=n).n_nodes for n in (0, 30, 41, 42)] == [41, 41, 41, 42], "and never more than may be"


def test_padded_rows_stand_on_the_left_and_say_their_lengths() -> None:
    batch = make_padded([make_row([1, 2, 3]), make_row([4])], 9)
    assert batch.tokens_BT.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch.length_B.tolist() == [3, 1]


def test_a_row_counts_its_trained_tokens() -> None:
    row = make_row([1, 2, 3, 4], [0, 0.5, 0, 2])
    assert row.n_tokens == 4 and row.n_supervised == 2
    with pytest.raises(AssertionError, match="first token"):
        make_row([1, 2], [1, 1])
    with pytest.raises(AssertionError, match="a weight for each"):
        make_row([1, 2], [0])
    with pytest.raises(AssertionError):
        make_row([])


def every_cut(n: int) -> list[list[int]]:
    """All ways to cut n things in order, as the numbers of things in each part."""
    return [[n], *([first, *rest] for first in range(1, n) for rest in every_cut(n - first))] if n else [[]]


COSTS = Costs(call=0.7, node=1.0, pair=0.11, source=0.3, row=0.2, over=0.5)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(rows=grouped_rows(), max_nodes=st.integers(4, 40), call=st.sampled_from([0.0, 0.7, 9.0]))
def test_no_way_to_cut_the_ordered_rows_is_cheaper(layout: Layout, rows: list[Row], max_nodes: int, call: float) -> None:
    plan = CutPlan(layout, max_nodes, 0, dataclasses.replace(COSTS, call=call))
    lone = [make_row(row.tokens.tolist(), [0.0] + [1.0] * (row.n_tokens - 1)) for row in rows][:8]
    ordered = [row for part in CutPlan(layout, 10**6, 0).cut(lone) for row in part]

    def cost(parts: list[int]) -> float:
        edges = np.cumsum([0, *parts])
        total = 0.0
        for start, stop in pairwise(edges):
            features = plan.features(ordered[start:stop])
            if features[1] > max_nodes and stop - start > 1:
                return float("inf")
            total += float(plan.costs.seconds(features))
        return total

    found = sum(float(plan.costs.seconds(plan.features(part))) for part in plan.cut(lone))
    assert found == pytest.approx(min(cost(parts) for parts in every_cut(len(ordered))), rel=1e-9)


def test_a_trunk_is_not_repeated_for_the_sake_of_smaller_micro_batches_unless_they_pay() -> None:
    trunk = list(range(20))
    rows = [make_row([*trunk, 100 + i, i], [0.0] * 21 + [1.0]) for i in range(6)]
    dear_trunk = CutPlan("forest", 1000, 0, Costs(call=1.0, node=1.0))
    assert [len(part) for part in dear_trunk.cut(rows)] == [6]
    dear_pairs = CutPlan("padded", 1000, 0, Costs(call=0.0, node=0.0, pair=1.0))
    assert sum(len(part) for part in dear_pairs.cut(rows)) == 6
    uneven = [make_row([1] * n) for n in (2, 2, 9)]
    assert [len(part) for part in CutPlan("padded", 1000, 0, Costs(call=1.0, node=1.0)).cut(uneven)] == [2, 1]


def test_features_count_what_a_micro_batch_holds() -> None:
    # Read are 1 2, 1 2 4 and 6: the last token of each is only predicted.
    rows = [make_row([1, 2, 3], [0, 0, 1]), make_row([1, 2, 4, 5], [0, 0, 1, 1]), make_row([6, 7], [0, 1])]
    forest = dict(zip(FEATURES, CutPlan("forest", 99, 0).features(rows), strict=True))
    assert forest == {"call": 1, "nodes": 4, "pairs": 6 + 1, "sources": 3, "rows": 3, f"nodes over {KNEE}": 0}
    packed = dict(zip(FEATURES, CutPlan("packed", 99, 0).features(rows), strict=True))
    assert (packed["nodes"], packed["pairs"], packed["sources"]) == (6, 3 + 6 + 1, 4)
    padded = dict(zip(FEATURES, CutPlan("padded", 99, 0).features(rows), strict=True))
    assert (padded["nodes"], padded["pairs"], padded["sources"]) == (9, 18, 4)
    long = make_row([3] * (KNEE + 88))
    assert dict(zip(FEATURES, CutPlan("packed", 99, 0).features([long]), strict=True))[f"nodes over {KNEE}"] == 88


def test_only_what_has_more_nodes_than_may_be_kept_is_recomputed() -> None:
    plan = CutPlan("forest", 4, 0, recompute_over=4)
    batches = list(plan.batches([make_row([1, 2, 3, 4]), make_row([5, 6, 7, 8, 9])]))
    assert [plan.recomputes(batch) for batch in batches] == [False, True]
    assert not CutPlan("forest", 4, 0).recomputes(batches[1])
