"""The demo's rows and recipe, with a tiny model in place of the embedded one; and, among the proofs, the demo itself."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from tests.e2e.contract import assert_report
from tests.made_models import luthier
from tests.made_runs import write_run

from luthier.core.files import read_jsonl
from luthier.demo.dirt import dirty_rows, write_csv
from luthier.stages.demo import NEXT
from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_all
from luthier.stages.texts import report_text


@pytest.mark.slow
def test_the_demos_rows_go_through_the_loop_and_every_planted_piece_of_dirt_is_accounted_for(tmp_path: Path, model: Path) -> None:
    dirty = dirty_rows()
    write_csv(dirty.rows, tmp_path / "help-desk.csv")
    (tmp_path / "demo.toml").write_bytes(resources.files("luthier.demo").joinpath("recipe.toml").read_bytes())
    recipe = load_recipe(tmp_path / "demo.toml", [f"model.base={model}", "train.epochs=0.2", "train.too_long=cut"])
    with opened(recipe, tmp_path / "runs", lambda text: None) as job:
        report = run_all(job)
    kept = {str(row["id"]) for row in read_jsonl(job.run.kept)}
    dropped = {str(row["id"]) for row in read_jsonl(job.run.dropped) if row.get("step") != "read"}
    gone = {ticket for ticket, dirt in dirty.record.items() if {"exact_duplicate", "near_duplicate"} & set(dirt.kinds)}
    assert gone <= dropped
    assert not gone & kept
    cleaning = json.loads((job.run.data / "cleaning.json").read_text(encoding="utf-8"))
    certificate = cleaning["certificate"]
    assert (certificate["groups_shared"], certificate["near_duplicates_shared"]) == (0, 0)
    assert cleaning["read"] == len(dirty.rows)
    assert_report(report, "classify", cleaning["split"]["test"])
    tests = [row["label"] for row in read_jsonl(job.run.kept) if row["side"] == "test"]
    assert min(tests.count(label) for label in set(tests)) >= 12
    assert len(set(tests)) == 12


def test_the_demo_ends_with_the_card_and_the_three_lines_to_type_next(tmp_path: Path) -> None:
    run = write_run(tmp_path / "demo")
    report = json.loads((run.folder / "evaluation" / "report.json").read_text(encoding="utf-8"))
    said = report_text(report, run.folder, NEXT).splitlines()
    assert said[-3:] == ["  luthier report demo", "  luthier chat demo", "  luthier new my-task --data my-file.csv"]
    assert any("macro_f1" in line or "macro-F1" in line for line in said)
    recipe = tomllib.loads(resources.files("luthier.demo").joinpath("recipe.toml").read_text(encoding="utf-8"))
    assert {line.split()[2] for line in NEXT[:2]} == {recipe["name"]}
    assert [luthier(line.split()[1], "--help").code for line in NEXT] == [0, 0, 0]


@pytest.mark.prove
def test_the_demos_model_beats_its_base_as_it_came_and_behind_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = luthier("demo", "--json")
    assert said.code == 0
    assert said.json["verdict"] == "ship"
    against = {one["b"]: one for one in said.json["comparisons"] if one["metric"] == said.json["goal"]["metric"]}
    for rival in ("base", "few_shot"):
        assert against[rival]["difference"] > 0 and against[rival]["p_holm"] < 0.01, rival
