"""Moments: what can be read, how they are put in order, and where they are cut."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.data.sides.moments import boundaries_for, moments_of, side_at


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([3, "4.5", 1e3, " 7 "], [3, 4.5, 1000, 7]),
        (["1970-01-02", "1970-01-01T00:00:10", "1970-01-01T01:00:00+01:00", "1970-01-01T00:00:01Z"], [86400, 10, 0, 1]),
        (["Thu, 01 Jan 1970 00:01:00 +0000", "1970-01-01 00:00:30"], [60, 30]),
        (["1970-01-02", 5, "5"], [86400, None, None]),
        (["19700102", "1970-01-03"], [86400, 172800]),
        (["19700102", "19700103"], [19700102, 19700103]),
        ([None, "", True, "soon", float("nan"), "inf", [1]], [None] * 7),
        ([None, 2, "soon"], [None, 2, None]),
    ],
)
def test_moments_are_numbers_or_dates_and_never_both(values: list[Any], wanted: list[float | None]) -> None:
    assert moments_of(values) == wanted


def test_a_form_of_ones_own_is_taken_at_its_word() -> None:
    assert moments_of(["02/01/1970", "31/12/1969", "1970-01-02", 3, None], "%d/%m/%Y") == [86400, -86400, None, None, None]


@pytest.mark.parametrize("form", ["%", "%Q", "%j%j", "("])
def test_a_form_that_is_none_finds_no_moment(form: str) -> None:
    assert moments_of(["1970-01-02", "x"], form) == [None, None]


@pytest.mark.parametrize(
    ("moments", "shares", "wanted"),
    [
        (range(10), (0.1, 0.2), {"validation": 7, "test": 8}),
        (range(10), (0.0, 0.3), {"test": 7}),
        (range(10), (0.3, 0.0), {"validation": 7}),
        ([1, 1, 1, 1, 1, 1, 2, 2, 2, 3], (0.1, 0.1), {"validation": 2, "test": 3}),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 2], (0.4, 0.4), {"test": 2}),
        ([1, 1, 1], (0.3, 0.3), {}),
        ([1, 2], (0.1, 0.1), {"test": 2}),
        ([], (0.1, 0.1), {}),
    ],
)
def test_cuts_are_nearest_to_the_shares_and_leave_rows_to_train_on(
    moments: list[float], shares: tuple[float, float], wanted: dict[str, float]
) -> None:
    assert boundaries_for(list(moments), *shares) == wanted


def test_a_boundary_belongs_to_the_newer_side() -> None:
    boundaries: Any = {"validation": 4.0, "test": 6.0}
    assert [side_at(one, boundaries) for one in (3.9, 4.0, 5.9, 6.0)] == ["train", "validation", "validation", "test"]
    assert side_at(10**9, {}) == "train"
