"""The loop from rows to a verdict, through the command line: every task, both methods, and what a second call does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.conftest import Ran, Recipes
from tests.e2e.contract import assert_report
from tests.made_models import (
    Said,
    ended,
    kept_rows,
    listing,
    luthier,
    messages_of,
    read_csv,
    recipe,
    started,
    without_times,
    write_rows,
)  # fmt: skip
from tests.warm import warm_python

TASKS = ("classify", "answer", "chat", "pretrain")


def done(said: Said) -> Said:
    """The same, if the command went through to a verdict."""
    assert said.code in (0, 3), said.err
    return said


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("task", TASKS)
def test_a_run_gives_a_report_by_the_contract_and_a_bundle(task: str, method: str, workplace: Path, recipes: Recipes) -> None:
    said = done(luthier("run", recipes(workplace, task, method__kind=method), "--json"))
    n_test = sum(row["side"] == "test" for row in kept_rows(Path("runs") / task))
    assert n_test >= 5
    assert_report(said.json, task, n_test)
    assert said.code == (0 if said.json["verdict"] == "ship" else 3)
    assert json.loads(Path(f"runs/{task}/evaluation/report.json").read_text()) == said.json
    bundle = {path.name for path in Path(f"runs/{task}/bundle").iterdir()}
    weights = {"adapter_model.safetensors", "adapter_config.json"} if method == "lora" else {"model.safetensors", "config.json"}
    assert weights | {"bundle.json", "recipe.toml", "report.json", "proofs.json", "README.md", "requirements.lock"} <= bundle
    assert ("head.safetensors" in bundle) is (task == "classify")
    assert not [name for name in listing(workplace) if name.endswith(".tmp")]


def test_both_verdicts_have_their_exit_code(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, goal__metric="accuracy", goal__at_least=0.01, n=90, train__learning_rate=0.05, train__epochs=3)
    held = luthier("run", made, "--set", "goal.at_least=1.0", "--json")
    assert (held.code, held.json["verdict"]) == (3, "hold")
    shipped = luthier("evaluate", made, "--json")
    assert (shipped.code, shipped.json["verdict"]) == (0, "ship")
    assert shipped.json["goal"]["beat"] == []
    table = luthier("evaluate", made)
    assert table.code == 0
    assert "ship" in table.out.lower() and "tuned" in table.out


@pytest.mark.parametrize("task", ["classify", "chat"])
def test_the_same_recipe_and_seed_give_the_same_report_and_the_same_tensors(task: str, workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, task, method__dropout=0.1)
    first, second = (done(luthier("run", made, "--runs", runs, "--json")).json for runs in ("one", "two"))
    assert without_times(first) == without_times(second)
    tensors = [
        {name: content for name, content in listing(Path(runs) / task / "bundle").items() if name.endswith("safetensors")}
        for runs in ("one", "two")
    ]
    assert tensors[0] == tensors[1] != {}
    third = done(luthier("run", made, "--runs", "three", "--set", "seed=1", "--json")).json
    assert third["seed"] == 1
    assert third["systems"] != first["systems"]


def test_a_second_run_skips_every_stage_and_changes_no_file(ran: Ran) -> None:
    workplace, first = ran.recipe.parent, ran.said
    before = listing(workplace)
    second = done(luthier("run", ran.recipe, "--json"))
    assert skipped(second) == ["prepare", "profile", "tune", "prove", "evaluate", "page", "bundle"]
    assert second.json == first.json
    assert {name for name, content in listing(workplace).items() if before.get(name) != content} == set()


def skipped(said: Said) -> list[str]:
    """The stages that were done before."""
    return [line.partition(":")[0] for line in said.err.splitlines() if "done before" in line]


def test_what_changed_is_done_again_and_nothing_else(ran: Ran) -> None:
    made = ran.recipe
    about = done(luthier("run", made, "--set", "goal.about=Route a message", "--json"))
    assert skipped(about) == ["prepare", "profile", "tune", "prove"]
    assert about.json["goal"]["about"] == "Route a message"
    card = json.loads(Path("runs/classify/bundle/bundle.json").read_text())
    assert card["about"] == "Route a message"
    assert card["computed"] == json.loads(Path("runs/classify/plan.json").read_text())["precision"]["name"]
    assert "Route a message" in Path("runs/classify/bundle/README.md").read_text()
    longer = done(luthier("run", made, "--set", "train.epochs=2", "--json"))
    assert skipped(longer) == ["prepare", "profile"]
    again = done(luthier("run", made, "--set", "train.epochs=2", "--set", "train.save_every_s=0"))
    assert skipped(again) == ["prepare", "profile", "tune", "prove", "evaluate", "page", "bundle"]
    cleaned = done(luthier("run", made, "--set", 'prepare.steps=[{kind="whitespace"}]'))
    assert "prepare" not in skipped(cleaned)


def test_the_way_back_to_an_earlier_recipe_gives_the_earlier_report(ran: Ran) -> None:
    made, first = ran.recipe, ran.said
    before = listing(Path("runs/classify/bundle"))
    done(luthier("run", made, "--set", "method.kind=full"))
    assert "adapter_model.safetensors" not in listing(Path("runs/classify/bundle"))
    second = done(luthier("run", made, "--json"))
    assert without_looks(second.json) == without_looks(first.json)
    after = listing(Path("runs/classify/bundle"))
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} <= {"report.json", "README.md"}


def without_looks(report: dict[str, object]) -> dict[str, object]:
    """A report without what another look at the test rows changes."""
    return {name: value for name, value in without_times(report).items() if name not in ("looks", "reasons", "verdict")}


def test_tune_interrupted_by_another_recipe_does_not_pass_for_done(ran: Ran) -> None:
    made = ran.recipe
    assert luthier("tune", made, "--set", "train.epochs=2").code == 0
    back = done(luthier("run", made))
    assert skipped(back) == ["prepare", "profile", "prove", "evaluate", "page"]
    assert json.loads(Path("runs/classify/tune.done").read_text())["detail"]["result"]["fit"]["n_steps"] == 3


@pytest.mark.parametrize("task", TASKS)
def test_what_prepare_prints_adds_up(task: str, workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, task)
    source = next(path for path in workplace.iterdir() if path != made)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines, lines[1], lines[2]]) + "\n")
    said = luthier("prepare", made, "--json")
    assert said.code == 0
    found = said.json
    dropped = sum(n for reasons in found["dropped"].values() for n in reasons.values())
    assert dropped >= 2
    assert found["read"] == found["kept"] + dropped == 62
    assert sum(found["split"].values()) == found["kept"] + sum(found["added"].values()) == len(kept_rows(Path("runs") / task))
    assert set(found["split"]) == {"train", "validation", "test"}
    assert {"groups_shared", "near_duplicates_shared", "threshold", "group_column"} == set(found["certificate"])
    assert luthier("prepare", made).out.startswith(found["recognised"])


def test_every_command_with_json_prints_one_object_and_nothing_else(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    for command in ("check", "prepare", "tune", "evaluate", "run", "show"):
        said = done(luthier(command, made, "--json"))
        assert isinstance(said.json, dict), command
        assert said.out.startswith("{") and said.out.endswith("}\n"), command
    checked = luthier("check", made, "--json").json
    assert set(checked) == {"prepare", "rows", "cost", "defaults", "warnings", "troubles", "profile", "power", "page"}


def test_check_says_every_default_with_its_reason_and_writes_nothing(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    before = listing(workplace)
    said = luthier("check", made)
    assert said.code == 0
    assert listing(workplace) == before and not Path("runs").exists()
    for one in luthier("check", made, "--json").json["defaults"]:
        assert f"  {one['option']} = " in said.out
        assert one["why"] in said.out
    assert "train.epochs" not in [one["option"] for one in luthier("check", made, "--json").json["defaults"]]


@pytest.mark.slow
def test_a_run_is_a_process_too_and_python_may_ask_for_it(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    said = done(ended(started("run", made.name, "--json", folder=workplace)))
    assert_report(said.json, "classify", said.json["systems"]["tuned"]["accuracy"]["n"])
    program = workplace / "program.py"
    program.write_text(f"import json, luthier\nprint(json.dumps(luthier.run({made.name!r}, overrides=['seed=0'], runs_folder='again')))\n")
    asked = subprocess.run([*warm_python(), program], capture_output=True, text=True, check=True, cwd=workplace)
    assert without_times(json.loads(asked.stdout)) == without_times(said.json)


def test_the_run_holds_its_recipe_and_the_recipe_gives_the_run(ran: Ran) -> None:
    first = ran.said.json
    shutil.copy("runs/classify/recipe.toml", "again.toml")
    second = done(luthier("run", "again.toml", "--runs", "again", "--json")).json
    assert without_times(first) == without_times(second)


def test_new_writes_a_recipe_that_check_and_run_take(workplace: Path, model: Path) -> None:
    write_rows(Path("tickets.csv"), messages_of(60))
    made = luthier("new", "tickets", "--data", "tickets.csv", "--json")
    assert made.code == 0
    assert made.json["recipe"] == "tickets.toml"
    options = ("--set", f"model.base={model}", "--set", "data.split={train=0.6, validation=0.2, test=0.2}", "--set", "train.epochs=1")
    assert luthier("check", "tickets.toml", *options).code == 0
    report = done(luthier("run", "tickets.toml", *options, "--json")).json
    assert (report["run"], report["goal"]["task"]) == ("tickets", "classify")


def test_show_marks_what_is_trained_and_names_what_was_dropped(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, "answer")
    lines = Path("rows.jsonl").read_text().splitlines()
    Path("rows.jsonl").write_text("\n".join([*lines, lines[0]]) + "\n")
    assert luthier("prepare", made).code == 0
    by_run, by_recipe = (luthier("show", what, "--rows", 2, "--json").json for what in ("answer", made))
    assert by_run == by_recipe
    row = by_run["rows"][0]
    trained = "".join(one["text"] for one in row["tokens"] if one["trained"])
    whole = {json.loads(line)["completion"] for line in lines}
    assert trained.removesuffix("<|im_end|>") in whole and trained.endswith("<|im_end|>")
    assert by_run["dropped"][0]["step"] == "exact_duplicates"
    assert f"⟦{trained}⟧" in luthier("show", "answer", "--rows", 2).out


def test_compare_gives_paired_differences_of_two_runs(ran: Ran) -> None:
    made = ran.recipe
    full = recipe_named(made, "other")
    done(luthier("run", full, "--set", "method.kind=full", "--set", "train.learning_rate=0.05", "--set", "train.epochs=3"))
    said = luthier("compare", "classify", "other", "--json")
    assert said.code == 0
    reports = {name: json.loads(Path(f"runs/{name}/evaluation/report.json").read_text()) for name in ("classify", "other")}
    metric = said.json["metric"]
    values = [reports[name]["systems"]["tuned"][metric]["value"] for name in ("classify", "other")]
    assert [said.json["systems"][f"run:{name}"][metric]["value"] for name in ("classify", "other")] == values
    (one,) = said.json["comparisons"]
    assert (one["a"], one["b"]) == ("run:classify", "run:other")
    assert one["difference"] == pytest.approx(values[0] - values[1])
    assert "run:classify − run:other" in luthier("compare", "classify", "other").out


def recipe_named(made: Path, name: str) -> Path:
    """The same recipe under another name."""
    other = made.with_name(f"{name}.toml")
    other.write_text(made.read_text().replace('name = "classify"', f'name = "{name}"'))
    return other


def test_runs_with_other_test_rows_are_not_compared(ran: Ran) -> None:
    made = ran.recipe
    done(luthier("run", recipe_named(made, "other"), "--set", "seed=5"))
    said = luthier("compare", "classify", "other", "--json")
    assert said.code == 2
    assert "different rows" in said.json["errors"][0]["problem"]


def test_a_group_stays_on_one_side_and_clusters_the_intervals(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, data__group="owner")
    write_rows(workplace / "rows.csv", [{**row, "owner": str(i // 6)} for i, row in enumerate(messages_of(60))])
    report = done(luthier("run", made, "--json")).json
    rows = kept_rows(Path("runs/classify"))
    sides = {(row["extra"]["owner"], row["side"]) for row in rows}
    assert len(sides) == len({owner for owner, _ in sides}) == 10
    assert luthier("prepare", made, "--json").json["certificate"]["group_column"] == "owner"
    assert report["proofs"]["split_certificate"]["holds"]
    assert read_csv(workplace / "rows.csv")[0]["owner"] == "0"


def test_a_recipe_of_another_folder_finds_its_rows_beside_itself(workplace: Path, recipes: Recipes, model: Path) -> None:
    place = workplace / "elsewhere"
    place.mkdir()
    made = recipes(place, model__base="../tiny")
    shutil.copytree(model, workplace / "tiny")
    assert done(luthier("run", made)).code in (0, 3)
    assert Path("runs/classify/bundle/bundle.json").is_file()
    assert recipe(workplace / "x.toml", name="x").read_text() == 'name = "x"\n'
