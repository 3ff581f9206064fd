from __future__ import annotations

from luthier.prove.sample import telling_rows
from luthier.text.rows import make_row

ROWS = [make_row([7] * n + [10 + n], id=str(n)) for n in (2, 3)] + [
    make_row([1, 2, 3, 4, 5], id="one"), make_row([30, 31], id="lone"), make_row([1, 2, 3, 4, 6], id="two"),
    make_row(list(range(40, 52)), id="long"), *(make_row([60 + i], id=f"short {i}") for i in range(20)),
]  # fmt: skip


def test_the_longest_and_those_that_share_most_are_among_the_telling_rows() -> None:
    for seed in range(5):
        ids = [row.id for row in telling_rows(ROWS, seed)]
        assert ids[0] == "long"
        assert set(ids[1:3]) == {"one", "two"}
        assert len(ids) == len(set(ids)) <= 5


def test_the_drawn_rows_depend_on_the_seed_alone() -> None:
    drawn = {seed: tuple(row.id for row in telling_rows(ROWS, seed)) for seed in range(8)}
    assert len(set(drawn.values())) > 1
    assert all(tuple(row.id for row in telling_rows(ROWS, seed)) == ids for seed, ids in drawn.items())


def test_one_row_tells_what_it_can() -> None:
    assert [row.id for row in telling_rows(ROWS[:1], 0)] == ["2"]
    assert len(telling_rows(ROWS, 0, n_drawn=1000)) == len(ROWS)
