"""What more rows are worth: slopes and errors by hand, and advice that keeps silent where nothing improves."""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from tests.conftest import ROOT

from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.learning import Advice, Contrast, Grid, advice_for, advise, contrast, crossed, round_number, slope, value_at
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.metrics.loss import Loss
from luthier.evaluate.page.label_f1 import LabelF1

SIZES = (25, 50, 100, 200, 400)


def bench_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "bench" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def grid_of(right: np.ndarray, groups: int | None = None) -> Grid:
    """Answers that are right where `right` (sizes × seeds × rows) says so; rows have the labels a and b by turns."""
    n = right.shape[2]
    gold = tuple(Gold(f"{i:04}", "ab"[i % 2], None if groups is None else f"g{i // groups}") for i in range(n))
    wrong = {"a": "b", "b": "a"}
    said = tuple(
        tuple(tuple(Answer(row.id, row.text if ok else wrong[row.text]) for row, ok in zip(gold, line, strict=True)) for line in seeds)
        for seeds in right
    )
    return Grid(gold, SIZES[: len(right)], said)


def test_the_slope_is_that_of_least_squares_over_the_last_three_sizes() -> None:
    draw = np.random.default_rng(0)
    right = draw.random((5, 3, 40)) < np.linspace(0.2, 0.9, 5)[:, None, None]
    found = slope(Accuracy(), grid_of(right))
    assert found is not None
    values = right[2:].mean(axis=(1, 2))
    assert found.value == pytest.approx(np.polyfit([0, 1, 2], values, 1)[0])
    assert found.value == pytest.approx((values[2] - values[0]) / 2)


def test_the_error_of_a_mean_over_rows_and_seeds_is_that_of_crossed_effects() -> None:
    right = np.random.default_rng(1).random((1, 4, 30)) < 0.6
    found = contrast(Accuracy(), grid_of(right), [1.0], [0])
    assert found is not None
    table = right[0].astype(float)
    of_rows = table.mean(axis=0).var(ddof=1) / 30
    of_seeds = table.mean(axis=1).var(ddof=1) / 4
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    of_both = (left**2).sum() / (29 * 3) / 120
    variance = max(of_rows + of_seeds - of_both, of_rows, of_seeds)
    assert found.value == pytest.approx(table.mean())
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.freedom == pytest.approx(max(3, variance**2 / (of_rows**2 / 29 + of_seeds**2 / 3)))
    assert found.n_units == 30


def test_rows_of_a_group_count_as_one() -> None:
    # All trainings alike, so that rows alone make the error.
    right = np.repeat(np.repeat(np.random.default_rng(2).random((3, 1, 20)) < 0.5, 5, axis=2), 3, axis=1)
    alone, grouped = slope(Accuracy(), grid_of(right)), slope(Accuracy(), grid_of(right, groups=5))
    assert alone is not None and grouped is not None
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.n_units == 20 and alone.n_units == 100
    assert grouped.error > 1.5 * alone.error


def test_seeds_that_differ_widen_the_interval_however_many_rows_there_are() -> None:
    draw = np.random.default_rng(3)
    level = np.array([[0.3, 0.6, 0.9], [0.9, 0.3, 0.6], [0.6, 0.9, 0.3]])
    found = slope(Accuracy(), grid_of(draw.random((3, 3, 2000)) < level[:, :, None]))
    assert found is not None
    assert found.error > math.sqrt(0.09 / 2 / 3) * 0.9
    assert found.freedom < 8


def test_rows_that_have_nothing_to_do_with_a_label_do_not_count() -> None:
    right = np.random.default_rng(4).random((3, 3, 60)) < 0.7
    grid = grid_of(right)
    few = Grid((*grid.gold, *(Gold(f"z{i}", "c") for i in range(100))), grid.sizes,
               tuple(tuple((*said, *(Answer(f"z{i}", "c") for i in range(100))) for said in seeds) for seeds in grid.answers))
    assert slope(LabelF1("a"), few) == slope(LabelF1("a"), grid)


def test_a_row_without_an_answer_counts_as_a_wrong_one() -> None:
    right = np.ones((3, 3, 20), dtype=bool)
    grid = grid_of(right)
    silent = tuple(tuple((Answer(said[0].id, None), *said[1:]) for said in seeds) for seeds in grid.answers)
    found = value_at(Accuracy(), Grid(grid.gold, grid.sizes, silent), 1)
    assert found is not None and found.value == pytest.approx(0.95)


def test_where_nothing_varies_the_interval_still_has_a_width() -> None:
    found = slope(Accuracy(), grid_of(np.ones((3, 3, 50), dtype=bool)))
    assert found is not None
    assert found.value == 0 and found.error == pytest.approx(0.5 / 50 / 2)


def test_without_two_rows_two_seeds_or_a_value_nothing_is_said() -> None:
    assert contrast(Accuracy(), grid_of(np.ones((1, 3, 1), dtype=bool)), [1.0], [0]) is None
    assert contrast(Accuracy(), grid_of(np.ones((1, 1, 9), dtype=bool)), [1.0], [0]) is None
    assert slope(LabelF1("nobody"), grid_of(np.ones((3, 3, 9), dtype=bool))) is None
    assert crossed(Accuracy(), np.full((1, 2, 4, 2), np.nan), np.ones(1), [0]) is None


def test_advice_is_the_slope_times_the_doublings_that_so_many_rows_are() -> None:
    right = np.random.default_rng(5).random((5, 3, 400)) < np.array([0.2, 0.3, 0.4, 0.6, 0.8])[:, None, None]
    grid = grid_of(right)
    found, per_doubling = advise(Accuracy(), grid, None, 400, 0.95), slope(Accuracy(), grid)
    assert per_doubling is not None and found.gain is not None and found.low is not None and found.high is not None
    assert (found.n_rows, found.n_more, found.told) == (400, 200, True)
    assert found.gain == pytest.approx(per_doubling.value * math.log2(1.5))
    assert found.low > 0 and found.gain - found.low == pytest.approx(found.high - found.gain)
    wider = advise(Accuracy(), grid, None, 400, 0.999)
    assert wider.low is not None and wider.low < found.low


def test_a_gain_whose_interval_holds_zero_is_no_advice() -> None:
    right = np.random.default_rng(8).random((5, 3, 60)) < np.linspace(0.5, 0.55, 5)[:, None, None]
    right[4] = right[2]
    right[2, :, 0], right[4, :, 0] = False, True
    found = advise(Accuracy(), grid_of(right), None, 400, 0.95)
    assert found.gain is not None and found.low is not None and found.gain > 0 > found.low
    assert not found.told and found.why_not == "the interval does not exclude zero"


def test_where_less_is_better_a_fall_is_a_gain() -> None:
    grid = grid_of(np.ones((3, 3, 60), dtype=bool))
    draw = np.random.default_rng(6)

    def said(j: int) -> tuple[Answer, ...]:
        return tuple(Answer(row.id, row.text, None, 4.0 - j + draw.normal(0, 0.1), 1) for row in grid.gold)

    falling = tuple(tuple(said(j) for _ in range(3)) for j in range(3))
    found = advise(Loss(), Grid(grid.gold, grid.sizes, falling), None, 100, 0.95)
    assert found.told and found.gain == pytest.approx(1, abs=0.05)


def test_a_label_with_few_test_rows_is_not_spoken_of() -> None:
    right = np.repeat(np.arange(3)[:, None, None] > 0, 3, axis=1) & np.ones((3, 3, 8), dtype=bool)
    found = advise(LabelF1("a"), grid_of(right), "a", 50, 0.95)
    assert not found.told and found.why_not == "only 8 test rows have to do with it"


def test_the_more_labels_there_are_the_surer_each_has_to_be() -> None:
    grid = grid_of(np.random.default_rng(7).random((5, 3, 80)) < np.linspace(0.4, 0.7, 5)[:, None, None])
    two = advice_for(Accuracy(), {"a": (LabelF1("a"), 50), "b": (LabelF1("b"), 50)}, grid, 100)
    many = advice_for(Accuracy(), {str(k): (LabelF1("a"), 50) for k in range(40)}, grid, 100)
    assert [one.label for one in two] == [None, "a", "b"] and two[0] == many[0]
    assert two[1].high is not None and many[1].high is not None and many[1].high > two[1].high
    alone = advise(LabelF1("a"), grid, "a", 50, 1 - 0.025 / 2)
    assert two[1] == alone


@pytest.mark.parametrize(("most", "wanted"), [(0, 0), (1, 1), (4, 2), (5, 5), (19, 10), (250, 200), (999, 500), (1000, 1000)])
def test_rows_are_advised_in_round_numbers(most: int, wanted: int) -> None:
    assert round_number(most) == wanted


def test_a_t_interval_is_wider_with_less_freedom() -> None:
    assert Contrast(0.0, 1.0, 2.0, 10).interval() == pytest.approx((-4.3027, 4.3027), abs=1e-3)
    assert Contrast(1.0, 1.0, 1e9, 10).times(-2.0).interval() == pytest.approx((-2 - 3.92, -2 + 3.92), abs=1e-2)
    assert not Advice("a", 1, 1, 0.1, -0.1, 0.3, "no").told


@pytest.mark.parametrize("name", ["flat", "flat, trainings differ much", "flat, few test rows", "rose, then flat", "flat, groups of 5"])
def test_where_nothing_improves_advice_appears_once_in_twenty_times_at_most(name: str) -> None:
    """By simulation; three standard errors of a share of 5 % in so many worlds are allowed for."""
    script = bench_script("advice")
    world = next(one for one in script.WORLDS if one.name == name)
    times = 200
    assert script.rates(world, times, 1)[0] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / times)


def test_where_all_labels_improve_advice_appears() -> None:
    script = bench_script("advice")
    world = next(one for one in script.WORLDS if one.name == "rises")
    assert script.rates(world, 60, 2)[1] > 0.4
