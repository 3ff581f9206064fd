"""Rows that are too long: what a cut keeps, and that a prompt is cut as a trained context is."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from luthier.text.rows import Row, make_row
from luthier.text.truncation import Cut, Unfit, cut_prompt, cut_to


@st.composite
def supervised_rows(draw: st.DrawFn) -> Row:
    n_context = draw(st.integers(1, 12))
    reply = [1.0, *draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=6))]
    n = n_context + len(reply)
    score = np.arange(n, dtype=np.float32)
    return make_row(
        list(range(100, 100 + n)), [0.0] * n_context + reply, id="r", group="g", target=3, channels={"score": score, "whole": 2.5}
    )


@given(supervised_rows(), st.integers(1, 24))
def test_a_cut_keeps_the_first_token_the_newest_context_and_all_that_is_trained(row: Row, max_tokens: int) -> None:
    found = cut_to(row, max_tokens)
    first_trained = int(np.flatnonzero(row.weights)[0])
    n_needed = 1 + row.n_tokens - first_trained
    if row.n_tokens <= max_tokens:
        assert found is row
    elif n_needed > max_tokens:
        assert found == Unfit(n_needed - max_tokens)
    else:
        assert isinstance(found, Cut)
        assert found.n_removed == row.n_tokens - max_tokens
        kept = found.row
        assert kept.tokens.tolist() == [100, *range(100 + row.n_tokens - max_tokens + 1, 100 + row.n_tokens)]
        trained = {int(token): float(weight) for token, weight in zip(row.tokens, row.weights, strict=True) if weight}
        assert {int(token): float(weight) for token, weight in zip(kept.tokens, kept.weights, strict=True) if weight} == trained
        assert (kept.channels["score"] == kept.tokens - 100).all() and kept.channels["whole"] == 2.5
        assert (kept.id, kept.group, kept.target) == ("r", "g", 3)


@given(st.integers(2, 20), st.integers(1, 20))
def test_a_text_without_trained_tokens_keeps_its_beginning_and_its_end_token(n: int, max_tokens: int) -> None:
    row = make_row(list(range(n)), target=1)
    found = cut_to(row, max_tokens)
    if n <= max_tokens:
        assert found is row
    else:
        assert isinstance(found, Cut) and found.n_removed == n - max_tokens
        assert found.row.tokens.tolist() == [*range(max_tokens - 1), n - 1]


@given(st.integers(1, 15), st.integers(1, 6), st.integers(2, 24))
def test_a_prompt_is_cut_as_the_context_of_a_trained_row_is(n_prompt: int, n_reply: int, max_tokens: int) -> None:
    assume(max_tokens > n_reply)
    prompt = list(range(n_prompt))
    found = cut_to(make_row([*prompt, *[77] * n_reply], [0.0] * n_prompt + [1.0] * n_reply), max_tokens)
    assert not isinstance(found, Unfit)
    row = found.row if isinstance(found, Cut) else found
    assert cut_prompt(prompt, max_tokens - n_reply) == row.tokens[: row.n_tokens - n_reply].tolist()


def test_a_prompt_that_fits_is_left_alone() -> None:
    assert cut_prompt([1, 2, 3], 3) == [1, 2, 3]
    assert cut_prompt([1, 2, 3, 4], 3) == [1, 3, 4]
    assert cut_prompt([1, 2, 3, 4], 1) == [1]


def test_the_row_itself_is_not_changed() -> None:
    row = make_row([1, 2, 3, 4], [0, 0, 0, 1])
    cut_to(row, 3)
    assert row.tokens.tolist() == [1, 2, 3, 4]
