from __future__ import annotations

import pytest

from luthier.prove.sample import limit_of, telling_rows, tokens_allowed, tokens_of_a_process
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


@pytest.mark.parametrize("n_tokens", [6, 9, 15, 20, 36, 40, 1000])
def test_a_sample_keeps_to_the_tokens_that_it_may_cost(n_tokens: int) -> None:
    for seed in range(5):
        for n_drawn in (2, 6):
            found = telling_rows(ROWS, seed, n_drawn, n_tokens)
            assert len(found) >= 2
            assert len(found) * max(row.n_tokens for row in found) <= n_tokens
            limit = limit_of(ROWS, n_tokens)
            assert all(row.n_tokens <= limit for row in found) if limit else found[0].id == "long"


def test_what_may_cost_enough_is_what_is_chosen_without_a_bound() -> None:
    for seed in range(5):
        assert telling_rows(ROWS, seed, 6, 1000) == telling_rows(ROWS, seed, 6)
    assert limit_of(ROWS, 36) == 0 and limit_of(ROWS, 35) == 11
    # Of rows of up to five tokens, the two that share most are still there.
    assert {"one", "two"} <= {row.id for row in telling_rows(ROWS, 0, 2, 17)}
    assert {"one", "two"} <= {row.id for row in telling_rows([ROWS[5], *ROWS[:5]], 0, 0, 17)}


def test_rows_that_are_all_too_dear_leave_the_two_shortest() -> None:
    dear = [make_row([i] * n, id=str(n)) for i, n in enumerate((40, 50, 60, 70))]
    assert limit_of(dear, 10) == 50
    assert {row.id for row in telling_rows(dear, 0, 2, 10)} == {"40", "50"}
    assert [row.id for row in telling_rows(dear[:1], 0, 2, 10)] == ["40"] and limit_of(dear[:1], 10) == 0


def test_the_tokens_allowed_are_a_share_of_training_or_what_little_work_allows() -> None:
    # A thirtieth of 2.4 million, each computed up to eight times.
    assert tokens_allowed(2_400_000, 10**9, False, "cpu") == 10_000
    assert tokens_allowed(2_400_000, 10**9, True, "cpu") == 1_250
    # 10^12 operations, 6 of them for each of 10^7 parameters, up to eight times; a hundred times as many where they are fast.
    assert tokens_allowed(100, 10**7, False, "cpu") == 2_083
    assert tokens_allowed(100, 10**7, True, "cuda") == 208_333
    assert tokens_allowed(100, 10**7, False, "tpu") == 2_083


def test_a_fresh_process_may_be_given_what_takes_less_than_a_minute() -> None:
    # 2 × 10^12 operations, 6 of them for each of 10^9 parameters; four times as many in a half type.
    assert tokens_of_a_process(10**9, False, "cpu") == 333
    assert tokens_of_a_process(10**9, True, "cpu") == 1_333
    assert tokens_of_a_process(10**9, False, "cuda") == 33_333
