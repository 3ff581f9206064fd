"""Laws of the split, on data made to break it: groups, near-duplicates and their chains, labels, rows that come and go."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.examples import AnyExample, Labelled, Pair
from luthier.data.likeness.neighbours import similarity
from luthier.data.sides.certificate import certify
from luthier.data.sides.split import Side, Sides, Split, assign

# Each text is nearly the next one: a chain whose ends are unlike, beside texts that stand alone.
LONG = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz", k=80))
CHAIN = [LONG[k : k + 40] for k in range(0, 24, 2)]
ALONE = ["".join(random.Random(i).choices("abcdefghijklmnop ", k=30)) for i in range(12)]


@st.composite
def rows_of(draw: st.DrawFn) -> list[AnyExample]:
    n = draw(st.integers(2, 24))
    rows: list[AnyExample] = []
    for i in range(n):
        text = draw(st.sampled_from(CHAIN + ALONE))
        group = draw(st.sampled_from([None, None, None, "a", "b", "c"]))
        extra = {"who": group}
        if draw(st.booleans()):
            rows.append(Labelled(f"id{i}", text, draw(st.sampled_from(["yes", "no"])), extra=extra))
        else:
            rows.append(Pair(f"id{i}", text, draw(st.sampled_from(ALONE)), extra=extra))
    return rows


def texts_of(row: AnyExample) -> tuple[str, str]:
    return (row.text, row.text) if isinstance(row, Labelled) else (row.prompt, f"{row.prompt} {row.completion}")


def leaks(rows: list[AnyExample], sides: Sides, threshold: float) -> list[tuple[str, str]]:
    """Pairs on two sides that are related, by the definition and no other way."""
    found = []
    placed = [row for row in rows if row.id in sides.of]
    for a, b in combinations(placed, 2):
        group = a.extra.get("who")
        related = group is not None and group == b.extra.get("who")
        related = related or any(similarity(x, y) >= threshold for x, y in zip(texts_of(a), texts_of(b), strict=True))
        if related and sides.of[a.id] != sides.of[b.id]:
            found.append((a.id, b.id))
    return found


@given(rows=rows_of(), threshold=st.sampled_from([0.6, 0.8, 1.0]), seed=st.integers(0, 3))
@settings(max_examples=120, deadline=None)
def test_no_group_and_no_near_duplicate_stands_on_two_sides(rows: list[AnyExample], threshold: float, seed: int) -> None:
    split = Split(0.5, 0.25, 0.25, threshold)
    sides = assign(rows, split, seed, "who")
    assert leaks(rows, sides, threshold) == []
    assert set(sides.of) == {row.id for row in rows}
    assert not sides.refused
    assert certify([(row, sides.of[row.id]) for row in rows], "who", threshold).holds


@given(rows=rows_of(), seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_the_rows_does_not_matter(rows: list[AnyExample], seed: int, order: random.Random) -> None:
    n_old = order.randrange(len(rows))
    split = Split(0.5, 0.25, 0.25)
    old = assign(rows[:n_old], split, seed, "who")
    recorded = {row: frozenset([side]) for row, side in old.of.items()}
    shuffled = order.sample(rows, len(rows))
    assert assign(rows, split, seed, "who", recorded) == assign(shuffled, split, seed, "who", recorded)
    assert assign(rows, split, seed, "who") == assign(shuffled, split, seed, "who")


@given(rows=rows_of(), n_old=st.integers(1, 20), seed=st.integers(0, 3))
@settings(max_examples=120, deadline=None)
def test_rows_that_are_added_never_move_old_ones_and_never_leak(rows: list[AnyExample], n_old: int, seed: int) -> None:
    split = Split(0.4, 0.3, 0.3)
    old = assign(rows[:n_old], split, seed, "who")
    now = assign(rows, split, seed, "who", {row: frozenset([side]) for row, side in old.of.items()})
    assert {row: now.of.get(row) for row in old.of} == old.of
    assert leaks(rows, now, split.near_duplicate_threshold) == []
    assert set(now.of) | set(now.refused) == {row.id for row in rows}
    assert all(len(touched) > 1 for touched in now.refused.values())


def words(i: int) -> str:
    return " ".join(
        random.Random(i).choices(
            ["violin", "cello", "bow", "rosin", "peg", "bridge", "varnish", "tailpiece", "chinrest", "spruce", "maple", "gut", "scroll"],
            k=12,
        )
    )


def labelled(n_of: dict[str, int]) -> list[AnyExample]:
    labels = [label for label, n in n_of.items() for _ in range(n)]
    return [Labelled(f"r{i}", words(i), label) for i, label in enumerate(labels)]


def side_counts(rows: list[AnyExample], sides: Sides) -> Counter[Side]:
    return Counter(sides.of[row.id] for row in rows)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [50, 200, 431])
def test_shares_come_out_as_asked_on_few_rows(n: int, seed: int) -> None:
    rows = labelled({"yes": n // 3, "no": n - n // 3})
    counts = side_counts(rows, assign(rows, Split(), seed))
    assert abs(counts["test"] - n / 10) <= 2
    assert abs(counts["validation"] - n / 10) <= 2


@pytest.mark.parametrize("seed", range(4))
def test_each_label_with_enough_rows_has_its_share_on_each_side(seed: int) -> None:
    n_of = {f"label {k}": 10 + 3 * k for k in range(12)}
    rows = labelled(n_of)
    sides = assign(rows, Split(), seed)
    for label, n in n_of.items():
        mine = side_counts([row for row in rows if isinstance(row, Labelled) and row.label == label], sides)
        assert abs(mine["test"] - n / 10) <= 1.5
        assert mine["test"] >= 1
        assert abs(mine["validation"] - n / 10) <= 1.5


def test_many_rare_labels_still_leave_test_rows() -> None:
    rows = labelled({f"label {k}": 4 for k in range(60)})
    counts = side_counts(rows, assign(rows, Split(), 0))
    assert counts["test"] >= 20
    assert counts["validation"] >= 20


@pytest.mark.parametrize("recorded", [{}, {"x": frozenset(["train"])}])
def test_a_label_is_always_learnt(recorded: dict[str, frozenset[Side]]) -> None:
    rows = labelled({f"label {k}": 1 + k % 3 for k in range(40)})
    sides = assign(rows, Split(0.2, 0.4, 0.4), 1, None, recorded)
    assert {row.label for row in rows if sides.of[row.id] == "train"} == {row.label for row in rows}


def test_where_a_new_row_goes_does_not_depend_on_what_else_is_new() -> None:
    rows = labelled({"yes": 30, "no": 30})
    recorded = {rows[0].id: frozenset[Side](["train"]), rows[-1].id: frozenset[Side](["train"])}
    together = assign(rows, Split(0.4, 0.3, 0.3), 0, None, recorded)
    alone = {row.id: assign([rows[0], row, rows[-1]], Split(0.4, 0.3, 0.3), 0, None, recorded).of[row.id] for row in rows[1:-1]}
    assert {name: together.of[name] for name in alone} == alone
    assert set(alone.values()) == {"train", "validation", "test"}


def test_a_side_with_no_share_gets_no_row() -> None:
    rows = labelled({"yes": 60, "no": 60})
    for recorded in ({}, {"x": frozenset[Side](["train"])}):
        counts = side_counts(rows, assign(rows, Split(0.8, 0.0, 0.2), 0, None, recorded))
        assert counts["validation"] == 0
        assert 10 <= counts["test"] <= 40


def test_the_seed_changes_which_rows_are_judged_on() -> None:
    rows = labelled({"yes": 100, "no": 100})
    assert assign(rows, Split(), 0) != assign(rows, Split(), 1)


def test_a_row_between_two_sides_is_refused_and_its_neighbours_stay() -> None:
    a, b = "the pegs of my viola slip when the air is dry", "please send the invoice for the rehair of my bow"
    rows: list[AnyExample] = [
        Labelled("old train", a, "x", extra={"who": 1}),
        Labelled("old test", b, "y", extra={"who": 2}),
        Labelled("new", a, "x", extra={"who": 2}),
        Labelled("free", a + "!", "x", extra={"who": None}),
    ]
    now = assign(rows, Split(), 0, "who", {"old train": frozenset(["train"]), "old test": frozenset(["test"])})
    assert now.of == {"old train": "train", "old test": "test", "free": "train"}
    assert now.refused == {"new": ("train", "test")}


def test_of_old_rows_that_collide_the_test_row_stays() -> None:
    same = "the varnish has a crack near the f-hole"
    rows: list[AnyExample] = [Labelled("a", same, "x"), Labelled("b", same + ".", "x")]
    now = assign(rows, Split(), 0, None, {"a": frozenset(["train"]), "b": frozenset(["test"])})
    assert now.of == {"b": "test"}
    assert now.refused == {"a": ("train", "test")}


def test_a_new_row_far_along_a_chain_takes_the_side_of_its_start() -> None:
    rows: list[AnyExample] = [Labelled(f"{9 - i}", text, "x") for i, text in enumerate(CHAIN[:8])]
    assert similarity(CHAIN[0], CHAIN[1]) >= 0.8
    assert similarity(CHAIN[0], CHAIN[7]) < 0.5
    now = assign(rows, Split(), 0, None, {"9": frozenset(["validation"])})
    assert set(now.of.values()) == {"validation"}


def test_shares_must_add_up_to_one() -> None:
    assert [path for path, *_ in Split(0.8, 0.1, 0.2).complaints(frozenset({"test"}))] == ["test"]
    assert list(Split(0.7, 0.2, 0.1).complaints(frozenset())) == []


def test_the_certificate_counts_what_leaks() -> None:
    rows: list[tuple[AnyExample, str]] = [
        (Labelled("1", "My bow has lost its hair, can you help?", "x", extra={"who": "ann"}), "train"),
        (Labelled("2", "my bow has lost its hair, can you help", "y", extra={"who": "bob"}), "test"),
        (Pair("3", "What is rosin made of?", "Of resin.", extra={"who": "cat"}), "validation"),
        (Pair("4", "what is rosin made of?", "A quite different and much longer answer.", extra={"who": "ann"}), "test"),
        (Labelled("5", "When do you open on Saturday?", "x", extra={"who": None}), "train"),
        (Labelled("6", "How much is a new chin rest?", "x", extra={"who": None}), "test"),
    ]
    found = certify(rows, "who", 0.8)
    # ann stands in train and test; rows 2, 3 and 4 have a twin elsewhere.
    assert (found.groups_shared, found.near_duplicates_shared) == (1, 3)
    assert not found.holds
    assert certify(rows, None, 0.8).groups_shared == 0
    assert certify(rows, None, 1.0).near_duplicates_shared == 2
    assert found.as_dict() == {"groups_shared": 1, "near_duplicates_shared": 3, "threshold": 0.8, "group_column": "who"}
