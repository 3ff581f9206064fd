"""The demo's rows and recipe, with a tiny model in place of the embedded one; and, among the proofs, the demo itself."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from tests.e2e.contract import assert_report
from tests.made_models import luthier
from tests.made_runs import write_run

from luthier.cli import common
from luthier.core.files import read_jsonl
from luthier.demo.dirt import dirty_rows, write_csv
from luthier.stages.demo import FOLDER, NAME, RECIPE, ROWS, next_lines
from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_all
from luthier.stages.texts import report_text


@pytest.mark.slow
def test_the_demos_rows_go_through_the_loop_and_what_it_says_to_type_next_works_as_typed(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dirty, runs = dirty_rows(), tmp_path / "my runs"
    write_csv(dirty.rows, runs / FOLDER / ROWS)
    (runs / FOLDER / RECIPE).write_bytes(resources.files("luthier.demo").joinpath("recipe.toml").read_bytes())
    changes = [f"model.base={model}", "train.epochs=0.2", "train.too_long=cut"]
    with opened(load_recipe(runs / FOLDER / RECIPE, changes), runs, lambda text: None) as job:
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
    assert not kept & {ticket for ticket, dirt in dirty.record.items() if "empty" in dirt.kinds}
    assert_report(report, "classify", cleaning["split"]["test"])
    tests = [row["label"] for row in read_jsonl(job.run.kept) if row["side"] == "test"]
    assert min(tests.count(label) for label in set(tests)) >= 12
    assert len(set(tests)) == 12
    monkeypatch.chdir(tmp_path)
    said = {}
    for line in next_lines(Path("my runs"), "luthier", " --runs 'my runs'"):
        program, *arguments = shlex.split(line)
        said[arguments[0]] = luthier(*arguments, stdin="my cello buzzes on the open C\n")
        assert (program, said[arguments[0]].code) == ("luthier", 0), said
    assert said["report"].out.strip() == str(Path("my runs/demo/evaluation/report.html"))
    assert set(re.findall(r"[a-z_]{6,}", said["chat"].out)) <= {dirt.true_label for dirt in dirty.record.values()}
    made = load_recipe(tmp_path / "my-task.toml")
    assert (made.goal.task, made.data.fields, made.data.group) == ("classify", {"text": "message", "label": "intent"}, "customer_id")


def test_the_demo_ends_with_the_card_and_the_three_lines_to_type_next(tmp_path: Path) -> None:
    run = write_run(tmp_path / "demo")
    report = json.loads((run.folder / "evaluation" / "report.json").read_text(encoding="utf-8"))
    said = report_text(report, run.folder, next_lines(Path("runs"), "luthier", "")).splitlines()
    last = ["  luthier report demo", "  luthier chat demo", "  luthier new my-task --data runs/demo-input/help-desk.csv"]
    assert said[-4:] == ["Next:", *last]
    assert any("macro_f1" in line or "macro-F1" in line for line in said)
    assert tomllib.loads(resources.files("luthier.demo").joinpath("recipe.toml").read_text(encoding="utf-8"))["name"] == NAME


def test_a_program_that_the_shell_would_not_find_is_called_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = tmp_path / "my env" / "bin" / "luthier", tmp_path / "other" / "luthier"
    for path in (here, elsewhere):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["my env/bin/luthier", "demo"])
    for folder, wanted in ((here.parent, "luthier"), (elsewhere.parent, "'my env/bin/luthier'"), (tmp_path, "'my env/bin/luthier'")):
        monkeypatch.setenv("PATH", str(folder))
        assert common.program() == wanted
    monkeypatch.setattr(sys, "argv", ["-m", "demo"])
    assert common.program() == f"{shlex.quote(sys.executable)} -m luthier"
    assert (common.in_folder(Path("runs")), common.in_folder(Path("my runs"))) == ("", " --runs 'my runs'")


def test_the_demo_is_split_and_judged_as_it_is_told_to_be() -> None:
    recipe = tomllib.loads(resources.files("luthier.demo").joinpath("recipe.toml").read_text(encoding="utf-8"))
    assert recipe["data"]["split"] == {"train": 0.65, "validation": 0.10, "test": 0.25}
    assert recipe["goal"]["beat"] == ["base", "few_shot"]
    assert recipe["data"]["group"] == "customer_id"


@pytest.mark.prove
def test_the_demos_model_beats_its_base_as_it_came_and_behind_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = luthier("demo", "--json")
    assert said.code == 0
    assert said.json["verdict"] == "ship"
    against = {one["b"]: one for one in said.json["comparisons"] if one["metric"] == said.json["goal"]["metric"]}
    for rival in ("base", "few_shot"):
        assert against[rival]["difference"] > 0 and against[rival]["p_holm"] < 0.01, rival
