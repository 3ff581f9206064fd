"""Laws of every kind of split, on rows made to break them: groups, near-duplicates, moments that tie, columns that contradict."""

from __future__ import annotations

import random
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.invariants.test_split import ALONE, CHAIN, labelled, leaks, side_counts

from luthier.core.examples import AnyExample, Labelled
from luthier.data.sides.certificate import certify
from luthier.data.sides.split import SIDES, AnySplit, ByColumn, Folds, RandomSplit, Side, Split, TimeSplit, assign

KINDS: tuple[AnySplit, ...] = (
    Split(0.5, 0.25, 0.25), RandomSplit(0.5, 0.25, 0.25), TimeSplit(train=0.5, validation=0.25, test=0.25, column="day"),
    ByColumn(column="side"), Folds(3, 2, 0.2),
)  # fmt: skip
HALF = TimeSplit(train=0.5, validation=0.25, test=0.25, column="day")


@st.composite
def rows_of(draw: st.DrawFn) -> list[AnyExample]:
    rows: list[AnyExample] = []
    for i in range(draw(st.integers(2, 24))):
        extra = {
            "who": draw(st.sampled_from([None, None, None, "a", "b"])), "day": draw(st.integers(1, 9)),
            "side": draw(st.sampled_from(["train", "dev", "TEST", "training"])),
        }  # fmt: skip
        rows.append(Labelled(f"id{i}", draw(st.sampled_from(CHAIN + ALONE)), draw(st.sampled_from(["yes", "no"])), extra=extra))
    return rows


def test_every_kind_is_tried_here() -> None:
    assert {type(one) for one in KINDS} == set(get_args(AnySplit))


@pytest.mark.parametrize("split", KINDS, ids=lambda one: one.kind)
@given(rows=rows_of(), seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_nothing_leaks_every_row_is_accounted_for_and_order_does_not_matter(
    split: AnySplit, rows: list[AnyExample], seed: int, order: random.Random
) -> None:
    sides = assign(rows, split, seed, "who")
    assert leaks(rows, sides, split.near_duplicate_threshold) == []
    assert set(sides.of) | set(sides.refused) == {row.id for row in rows} and not sides.unfit
    assert all(len(touched) > 1 for touched in sides.refused.values())
    assert certify([(row, sides.of[row.id]) for row in rows if row.id in sides.of], "who", 0.8).holds
    assert assign(order.sample(rows, len(rows)), split, seed, "who") == sides


@pytest.mark.parametrize("split", KINDS, ids=lambda one: one.kind)
@given(rows=rows_of(), n_old=st.integers(1, 20), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_rows_that_are_added_never_move_old_ones(split: AnySplit, rows: list[AnyExample], n_old: int, seed: int) -> None:
    old = assign(rows[:n_old], split, seed, "who")
    recorded = {row: frozenset([side]) for row, side in old.of.items()}
    left = [row for row in rows if row.id not in old.refused]
    now = assign(left, split, seed, "who", recorded, old.boundaries)
    assert {row: now.of.get(row) for row in old.of} == old.of
    assert leaks(left, now, split.near_duplicate_threshold) == []
    assert assign(left, split, seed, "who", {row: frozenset([side]) for row, side in now.of.items()}, now.boundaries).of == now.of


@given(rows=rows_of())
@settings(max_examples=80, deadline=None)
def test_the_newest_rows_are_the_test_and_nothing_of_a_moment_is_parted(rows: list[AnyExample]) -> None:
    sides = assign(rows, HALF, 0, "who")
    days: dict[Side, list[int]] = {side: [] for side in SIDES}
    for row in rows:
        if row.id in sides.of:
            days[sides.of[row.id]].append(row.extra["day"])  # type: ignore[arg-type]
    for earlier, later in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not days[earlier] or not days[later] or max(days[earlier]) < min(days[later])  # type: ignore[index]


@given(rows=rows_of())
@settings(max_examples=80, deadline=None)
def test_of_rows_that_want_two_sides_those_of_the_test_stay(rows: list[AnyExample]) -> None:
    """Whatever is refused is tied to a row that stays and was set apart before it."""
    sides = assign(rows, ByColumn(column="side"), 0, "who")
    wanted = {row.id: {"dev": "validation", "TEST": "test"}.get(str(row.extra["side"]), "train") for row in rows}
    assert {row: side for row, side in wanted.items() if row in sides.of} == sides.of
    assert not any(wanted[row] == "test" for row in sides.refused)
    assert all(wanted[row] in touched and set(touched) - {wanted[row]} for row, touched in sides.refused.items())


@given(rows=rows_of(), k=st.integers(2, 5), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_over_the_folds_each_row_is_tested_once_but_for_those_that_training_needs(rows: list[AnyExample], k: int, seed: int) -> None:
    folds = [assign(rows, Folds(k, fold, 0.1), seed, "who") for fold in range(1, k + 1)]
    tested = Counter(row for sides in folds for row, side in sides.of.items() if side == "test")
    assert set(tested.values()) <= {1}
    for sides in folds:
        learnt = {row.label for row in rows if isinstance(row, Labelled) and sides.of[row.id] == "train"}
        assert learnt == {row.label for row in rows if isinstance(row, Labelled)}
    never = [row for row in rows if row.id not in tested]
    assert all(sides.of[row.id] == "train" for row in never for sides in folds) or len(never) == len(rows)


@pytest.mark.parametrize("seed", range(3))
def test_folds_of_ordinary_rows_leave_none_untested_and_are_of_one_size(seed: int) -> None:
    rows = labelled({"yes": 40, "no": 60, "maybe": 23})
    folds = [assign(rows, Folds(5, fold, 0.1), seed) for fold in range(1, 6)]
    assert {row for sides in folds for row, side in sides.of.items() if side == "test"} == {row.id for row in rows}
    for sides in folds:
        counts = side_counts(rows, sides)
        assert abs(counts["test"] - 123 / 5) <= 2 and abs(counts["validation"] - 12.3) <= 2
    assert assign(rows, Folds(5, 1, 0.1), seed) != assign(rows, Folds(5, 1, 0.1), seed + 1)


def test_new_rows_too_are_tested_in_one_fold() -> None:
    rows = labelled({"yes": 60, "no": 60})
    tested: Counter[str] = Counter()
    for fold in range(1, 5):
        old = assign(rows[20:100], Folds(4, fold, 0.2), 0)
        now = assign(rows, Folds(4, fold, 0.2), 0, None, {row: frozenset([side]) for row, side in old.of.items()})
        tested.update(row for row, side in now.of.items() if side == "test")
        assert {"train", "validation"} <= {now.of[row.id] for row in (*rows[:20], *rows[100:])}
    assert tested == Counter(row.id for row in rows)


def test_a_row_that_comes_later_is_held_against_the_first_boundaries() -> None:
    rows: list[AnyExample] = [Labelled(f"r{i}", text, "x", extra={"day": i}) for i, text in enumerate(ALONE)]
    first = assign(rows[:8], HALF, 0)
    assert first.of == {f"r{i}": "train" if i < 4 else "validation" if i < 6 else "test" for i in range(8)}
    assert first.boundaries == {"validation": 4.0, "test": 6.0}
    late = [*rows, Labelled("early", "quite another text than all of those", "x", extra={"day": 5})]
    now = assign(late, HALF, 0, None, {row: frozenset([side]) for row, side in first.of.items()}, first.boundaries)
    assert {row: now.of[row] for row in ("early", "r8", "r11")} == {"early": "validation", "r8": "test", "r11": "test"}
    assert now.boundaries == first.boundaries


def test_a_group_that_goes_on_over_the_cut_leaves_its_older_rows_out() -> None:
    rows: list[AnyExample] = [Labelled(f"r{i}", text, "x", extra={"day": i, "who": i % 4}) for i, text in enumerate(ALONE)]
    sides = assign(rows, TimeSplit(train=0.75, validation=0.0, test=0.25, column="day"), 0, "who")
    assert {row for row, side in sides.of.items() if side == "test"} == {"r9", "r10", "r11"}
    assert {row for row, side in sides.of.items() if side == "train"} == {"r0", "r4", "r8"}
    assert set(sides.refused.values()) == {("train", "test")} and len(sides.refused) == 6


def test_values_that_say_no_side_are_named_and_the_usual_names_are_known() -> None:
    said = ["train", " Training ", "VALID", "val", "dev", "test", "held out", "", None, "hidden"]
    rows: list[AnyExample] = [Labelled(f"r{i}", ALONE[i], "x", extra={"part": one}) for i, one in enumerate(said)]
    sides = assign(rows, ByColumn(column="part", sides={"held out": "test", "dev": "test"}), 0)
    wanted: list[Side] = ["train", "train", "validation", "validation", "test", "test", "test"]
    assert sides.of == {f"r{i}": side for i, side in enumerate(wanted)}
    assert sides.unfit == {"r7": "the value is missing", "r8": "the value is missing", "r9": "the value is 'hidden'"}


@pytest.mark.parametrize("split", KINDS, ids=lambda one: one.kind)
def test_where_no_row_is_left_none_has_a_side(split: AnySplit) -> None:
    assert assign([], split, 0) == assign([], split, 0, "who", {"gone": frozenset(["test"])})
    assert not assign([], split, 0).of
    odd: list[AnyExample] = [Labelled("r0", ALONE[0], "x", extra={"side": "hidden", "day": "soon"})]
    sides = assign(odd, split, 0)
    assert {*sides.of, *sides.unfit} == {"r0"} and bool(sides.unfit) == isinstance(split, ByColumn | TimeSplit)


def test_a_column_that_contradicts_the_record_drops_the_row() -> None:
    rows: list[AnyExample] = [Labelled(f"r{i}", ALONE[i], "x", extra={"part": "train"}) for i in range(3)]
    now = assign(rows, ByColumn(column="part"), 0, None, {"r0": frozenset(["test"]), "r1": frozenset(["train"])})
    assert now.refused == {"r0": ("train", "test")} and now.of == {"r1": "train", "r2": "train"}


def test_a_random_split_does_not_look_at_labels() -> None:
    n_of = {f"label {k}": 20 for k in range(10)}
    rows = labelled(n_of)

    def spread(split: AnySplit) -> float:
        found = 0.0
        for seed in range(10):
            sides = assign(rows, split, seed)
            counts = Counter(row.label for row in rows if isinstance(row, Labelled) and sides.of[row.id] == "test")
            assert sum(counts.values()) == 20
            found += sum((counts[label] - 2) ** 2 for label in n_of)
        return found / 100

    assert spread(Split()) == 0
    assert spread(RandomSplit()) > 0.5


def test_what_a_fold_may_not_be_is_said() -> None:
    assert [path for path, *_ in Folds(3, 4).complaints(frozenset())] == ["fold"]
    assert [path for path, *_ in Folds(2, 1, 0.5).complaints(frozenset())] == ["validation"]
    assert [path for path, *_ in TimeSplit(train=0.5, column="day").complaints(frozenset({"train"}))] == ["train"]
    assert list(Folds(3, 3).complaints(frozenset())) == []
