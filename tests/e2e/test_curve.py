"""A learning curve from the command line: what it trains on, that it goes on where it was stopped, and what it says."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Recipes
from tests.made_models import luthier, messages_of

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled, Text
from luthier.core.files import read_json, read_jsonl, write_jsonl
from luthier.stages.curve import N_SEEDS, N_SIZES, cells_of, part_of

ROWS = [Labelled(f"m{i}", one["message"], one["intent"]) for i, one in enumerate(messages_of(240))]


def test_parts_are_nested_by_seed_and_every_label_keeps_its_share() -> None:
    cells = cells_of(ROWS, 7)
    assert len(cells) == N_SIZES * N_SEEDS
    sizes = sorted({cell.size for cell in cells})
    assert sizes == [15, 30, 60, 120, 240] and [cell.size for cell in cells] == sorted(cell.size for cell in cells)
    for seed in (7, 8, 9):
        parts = [{row.id for row in cell.train} for cell in cells if cell.seed == seed]
        assert all(small < large for small, large in itertools.pairwise(parts))
    for cell in cells:
        counts = Counter(row.label for row in cell.train if isinstance(row, Labelled))
        assert len(counts) == 3 and len(set(counts.values())) == 1
    assert {row.id for row in cells[0].train} != {row.id for row in cells[1].train}
    assert part_of(ROWS[::-1], 0.5, 7) == tuple(reversed(part_of(ROWS, 0.5, 7)))


@pytest.mark.parametrize("n", [8, 9, 11, 16, 30])
def test_with_few_rows_of_a_label_the_sizes_still_differ(n: int) -> None:
    rows = [Labelled(f"{label}-{i}", "x", f"label {label}") for label in range(20) for i in range(n)]
    cells = cells_of(rows, 0)
    assert len({cell.size for cell in cells}) == N_SIZES and cells[0].size >= 40
    assert all(len({row.label for row in cell.train if isinstance(row, Labelled)}) == 20 for cell in cells)


def test_too_few_rows_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(LuthierError, match="they are 39, too few .* a curve begins at 40 rows"):
        cells_of([Text(str(i), "x") for i in range(39)], 0)
    few = [Labelled(f"{label}-{i}", "x", f"label {label}") for label in range(20) for i in range(7)]
    with pytest.raises(LuthierError, match="140 of 20 labels, too few .* begins at 160 rows"):
        cells_of(few, 0)


@pytest.mark.slow
def test_a_curve_is_trained_told_and_gone_on_with(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, n=120, goal__metric="accuracy")
    first = luthier("curve", made, "--json")
    assert first.code == 0, first.err
    found = first.json
    assert found["sizes"] == sorted(found["sizes"]) and len(found["points"]) == N_SIZES and found["n_seeds"] == N_SEEDS
    assert found["looks"] == 1 and (workplace / found["page"]).is_file()
    home = workplace / "runs/classify/curve"
    assert {name: value for name, value in found.items() if name != "page"} == read_json(home / "curve.json")
    cells = sorted((home / "cells").iterdir())
    assert len(cells) == N_SIZES * N_SEEDS and not list((home / "work").iterdir())
    test = {row["id"] for row in read_jsonl(workplace / "runs/classify/data/kept.jsonl.gz") if row["side"] == "test"}
    assert all({row["id"] for row in list(read_jsonl(path))[1:]} == test for path in cells)
    told = [one for one in found["advice"] if one["told"]]
    assert all(one["low"] > 0 for one in told) and len(found["advice"]) == 4

    # What is missing is trained, and what was trained for something else, and nothing besides.
    kept = {path.name: path.read_bytes() for path in cells}
    cells[3].unlink()
    write_jsonl(cells[7], [next(iter(read_jsonl(cells[8]))), *list(read_jsonl(cells[7]))[1:]])
    again = luthier("curve", made, "--json")
    assert again.err.count("curve: training") == 2 and again.json == found
    assert {path.name: path.read_bytes() for path in cells} == kept

    page = (home / "curve.html").read_text(encoding="utf-8")
    assert "How much is enough?" in page and "<svg" in page and "src=" not in page
    report: Any = luthier("run", made, "--json").json
    assert report["looks"] == 2


@pytest.mark.prove
def test_a_curve_of_another_recipe_is_trained_anew_and_is_another_look(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, n=120, goal__metric="accuracy")
    for looks, options in ((1, ()), (2, ("--set", "train.batch_rows=8"))):
        said = luthier("curve", made, "--json", *options)
        assert said.err.count("curve: training") == N_SIZES * N_SEEDS and said.json["looks"] == looks


def test_without_test_rows_there_is_nothing_to_judge_a_curve_by(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, n=60, data__split={"train": 0.8, "validation": 0.2, "test": 0.0})
    assert "no curve can be judged" in luthier("curve", made).err


def test_a_task_that_cannot_be_tuned_has_no_curve(workplace: Path) -> None:
    made = workplace / "tags.toml"
    made.write_text('name = "tags"\n[goal]\ntask = "tag"\n[data]\nsource = "rows.jsonl"\n', encoding="utf-8")
    assert '"tag" cannot be tuned yet' in luthier("curve", made).err
