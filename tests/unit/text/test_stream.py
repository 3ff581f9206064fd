"""Which rows a step sees."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.text.rows import Row, make_row
from luthier.text.stream import EpochStream


def units_of(n: int) -> list[list[Row]]:
    """Units of one to three rows, each row named `unit.row`."""
    return [[make_row([1], id=f"{u}.{r}") for r in range(1 + u % 3)] for u in range(n)]


def names(rows: list[Row]) -> list[str]:
    return [row.id for row in rows]


@given(st.integers(1, 12), st.integers(1, 7), st.integers(1, 4), st.integers(0, 5))
def test_each_epoch_holds_every_unit_once(n: int, batch_units: int, epochs: int, seed: int) -> None:
    stream = EpochStream(units_of(n), batch_units, epochs, seed)
    drawn = [name for step in range(stream.n_steps) for name in names(stream.rows(step))]
    n_rows = len([row for unit in stream.units for row in unit])
    assert len(drawn) == epochs * n_rows
    for epoch in range(epochs):
        assert sorted(drawn[epoch * n_rows : (epoch + 1) * n_rows]) == sorted(name for unit in stream.units for name in names(unit))


@given(st.integers(1, 12), st.integers(1, 7), st.floats(0.05, 3), st.integers(0, 5))
def test_only_the_last_step_is_smaller(n: int, batch_units: int, epochs: float, seed: int) -> None:
    stream = EpochStream(units_of(n), batch_units, epochs, seed)
    sizes = [
        len({row.id.split(".")[0] + f"/{i}" for i, row in enumerate(stream.rows(step)) if row.id.endswith(".0")})
        for step in range(stream.n_steps)
    ]
    assert sizes[:-1] == [batch_units] * (stream.n_steps - 1)
    assert 1 <= sizes[-1] <= batch_units
    assert sum(sizes) == max(1, round(epochs * n))


def test_a_step_does_not_depend_on_those_asked_for_before() -> None:
    stream = EpochStream(units_of(11), 3, 4, seed=7)
    forwards = [names(stream.rows(step)) for step in range(stream.n_steps)]
    afresh = EpochStream(units_of(11), 3, 4, seed=7)
    assert [names(afresh.rows(step)) for step in reversed(range(stream.n_steps))] == forwards[::-1]
    longer = dataclasses.replace(afresh, epochs=9)
    assert [names(longer.rows(step)) for step in range(stream.n_steps - 1)] == forwards[:-1]


def test_rows_of_a_unit_stay_together_and_in_order() -> None:
    stream = EpochStream(units_of(9), 2, 2, seed=1)
    for step in range(stream.n_steps):
        rows = names(stream.rows(step))
        starts = [i for i, name in enumerate(rows) if name.endswith(".0")]
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            unit = int(rows[start].split(".")[0])
            assert rows[start:stop] == names(stream.units[unit])


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = set()
    for seed in (0, 1):
        stream = EpochStream([[make_row([1], id=str(u))] for u in range(50)], 50, 3, seed)
        orders |= {tuple(names(stream.rows(step))) for step in range(3)}
    assert len(orders) == 6
    assert tuple(str(u) for u in range(50)) not in orders


def test_a_step_beyond_the_last_is_refused() -> None:
    stream = EpochStream(units_of(4), 2, 1, seed=0)
    for step in (-1, 2):
        with pytest.raises(AssertionError, match="of 2"):
            stream.rows(step)
