"""At length: intervals hold the truth as often as they say, and equal systems are not called different.

The cells stand in `cells.py`; what an earlier call of this code has run is not run again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.prove.cells import INTERVALS, TESTS, Cell, run, three_errors

pytestmark = pytest.mark.prove


def _named(cell: Cell) -> str:
    return cell.key


@pytest.mark.parametrize("cell", [cell for cell in INTERVALS if not cell.few], ids=_named)
def test_intervals_over_a_hundred_rows_and_thirty_groups_or_more_hold_the_truth_93_to_97_times_in_100(cell: Cell) -> None:
    tally = run(cell)
    slack = three_errors(0.95, tally.n_sets)
    assert 0.93 - slack <= tally.share <= 0.97 + slack


@pytest.mark.parametrize("cell", [cell for cell in INTERVALS if cell.few], ids=_named)
def test_intervals_over_fewer_hold_the_truth_90_times_in_100_and_are_marked(cell: Cell) -> None:
    tally = run(cell)
    assert tally.share >= 0.90 - three_errors(0.90, tally.n_sets)
    assert tally.few == (True,)


@pytest.mark.parametrize("cell", TESTS, ids=_named)
def test_equal_systems_are_called_different_at_most_as_often_as_said(cell: Cell) -> None:
    """At p < 0.05: at most 5.7 times in 100, and for 200 rows or more not so seldom that the test would be blunt."""
    share = run(cell).share
    assert share <= 0.057
    assert cell.n < 200 or share >= 0.035


@pytest.mark.parametrize("cell", [*INTERVALS, *TESTS], ids=_named)
def test_no_interval_has_zero_width(cell: Cell) -> None:
    assert run(cell).narrowest > 0


def test_a_cell_that_was_stopped_goes_on_where_it_stopped_and_ends_as_if_it_never_had(tmp_path: Path) -> None:
    cell = next(cell for cell in INTERVALS if cell.name.startswith("groups"))
    straight, stopped = tmp_path / "straight.json", tmp_path / "stopped.json"
    run(cell, 7, stopped)
    assert run(cell, 20, stopped) == run(cell, 20, straight)
    assert stopped.read_bytes() == straight.read_bytes()
