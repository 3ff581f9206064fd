"""Every example recipe runs as it stands, with the embedded base."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.contract import assert_report

from luthier.stages.recipe import load_recipe
from luthier.stages.run import run

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.toml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_it_stands(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    report = run(path, runs_folder=tmp_path)
    systems = report["systems"]
    tuned = systems["tuned"][report["goal"]["metric"]]
    assert_report(report, recipe.goal.task, tuned["n"] + tuned["n_unjudged"])
    if recipe.goal.task == "classify":
        assert tuned["value"] > systems["majority"]["accuracy"]["value"]
    else:
        assert systems["tuned"]["loss_nats"]["value"] < systems["base"]["loss_nats"]["value"]


def test_there_is_an_example_of_each_kind_of_rows() -> None:
    assert {load_recipe(path).goal.task for path in EXAMPLES} == {"classify", "answer", "chat"}
