"""`luthier run`, killed at any moment and given again, ends as if it had never been killed: the same report, the same tensors."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import write_recipe
from tests.made_models import Calls, listing, make_model, without_times

from luthier.train.journal import read_entries
from luthier.train.journal import without_times as entry_without_times

pytestmark = pytest.mark.slow
RUNS = {"classify": "lora", "answer": "full"}


class Kills:
    """Runs that are killed, beside straight ones."""

    def __init__(self, home: Path) -> None:
        self.home, self.model, self.calls = home, make_model(home / "tiny"), Calls()
        self._straight: dict[str, tuple[Path, dict[str, Any]]] = {}

    def place(self, name: str, task: str) -> Path:
        """A new folder with the rows and the recipe of a task."""
        folder = self.home / name
        folder.mkdir()
        options = {"name": task, "method__kind": RUNS[task], "train__save_every_s": 0, "train__patience": 3, "train__epochs": 2}
        write_recipe(folder, self.model, task, 40, **options)
        return folder

    def run(self, folder: Path, task: str, *options: str, **kill: object) -> dict[str, Any]:
        """One call of `luthier run`."""
        return self.calls.call(folder, "run", f"{task}.toml", "--json", *options, **kill)

    def straight(self, task: str) -> tuple[Path, dict[str, Any]]:
        """The run that was never killed."""
        if task not in self._straight:
            # One before it: what it leaves in the cache is there for all the others, which then change the same files.
            self.run(self.place(f"first-{task}", task), task)
            folder = self.place(f"straight-{task}", task)
            self._straight[task] = folder, self.run(folder, task)
        return self._straight[task]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    made = Kills(tmp_path_factory.mktemp("kills"))
    yield made
    made.calls.close()


def assert_as_if_never_killed(worker: Kills, folder: Path, task: str) -> None:
    """The run's files are those of the straight run, but for times."""
    reference, ended = worker.straight(task)
    assert ended["code"] in (0, 3)
    runs = [place / "runs" / task for place in (reference, folder)]
    reports = [without_times(json.loads((run / "evaluation" / "report.json").read_text())) for run in runs]
    assert reports[0] == reports[1]
    wanted, found = (listing(run) for run in runs)
    # Times, and what names the places of files, which are not the same in two folders.
    timed = {"plan.json", "metrics.jsonl", "evaluation/report.json", "bundle/report.json", ".lock"}
    timed |= {"recipe.toml", "evaluation/report.html"}
    assert set(wanted) == set(found), "other files than in the straight run"
    same = [name for name in wanted if name not in timed and not name.endswith(".done") and "data/" not in name]
    assert [name for name in same if wanted[name] != found[name]] == []
    assert any(name.startswith("bundle/") and name.endswith(".safetensors") for name in same)
    plans = [json.loads(files["plan.json"]) for files in (wanted, found)]
    assert [(plan["cuts"], plan["precision"]["name"], plan["surroundings"]) for plan in plans[:1]] == [
        (plan["cuts"], plan["precision"]["name"], plan["surroundings"]) for plan in plans[1:]
    ]
    journals = [[entry_without_times(entry) for entry in read_entries(run / "metrics.jsonl")] for run in runs]
    assert journals[0] == journals[1]


@pytest.mark.parametrize(("task", "first"), [("classify", 1), ("answer", 2)])
def test_a_run_killed_again_and_again_before_one_change_of_a_file_and_the_next(task: str, first: int, worker: Kills) -> None:
    # Later and later changes, so that kills fall into every stage, and some between a file's sync and its renaming.
    worker.straight(task)
    folder = worker.place(f"changes-{task}", task)
    codes, unfinished = [], set()
    for n in range(first, 300, 3):
        codes.append(worker.run(folder, task, event=n)["code"])
        unfinished |= {path.name for path in folder.rglob("*.tmp")}
        if codes[-1] != -9:
            break
    assert codes.count(-9) >= 10 and codes[-1] in (0, 3)
    assert len(unfinished) >= 2, "no kill fell between a sync and its renaming"
    assert_as_if_never_killed(worker, folder, task)


@pytest.mark.parametrize("task", list(RUNS))
def test_a_run_killed_at_random_times(task: str, worker: Kills) -> None:
    _, straight = worker.straight(task)
    folder = worker.place(f"times-{task}", task)
    draw = random.Random(task)
    codes = [worker.run(folder, task, after_s=straight["seconds"] * draw.uniform(0.05, 0.7))["code"] for _ in range(4)]
    assert -9 in codes
    assert worker.run(folder, task)["code"] in (0, 3)
    assert_as_if_never_killed(worker, folder, task)


@pytest.mark.parametrize("moment", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_run_killed_once_in_each_stage(moment: float, worker: Kills) -> None:
    _, straight = worker.straight("classify")
    folder = worker.place(f"once-{moment}", "classify")
    assert worker.run(folder, "classify", event=int(moment * straight["n_changes"]))["code"] == -9
    assert worker.run(folder, "classify")["code"] in (0, 3)
    assert_as_if_never_killed(worker, folder, "classify")


OTHER_ROWS = 'prepare.steps=[{kind = "length", min_characters = 27}]'


@pytest.mark.parametrize(
    ("other", "events"), [(OTHER_ROWS, (4, 8, 12)), ("method.kind=full", (8, 20, 25, 28))], ids=["other rows", "another method"]
)
def test_what_another_recipe_left_half_done_does_not_pass_for_the_first(other: str, events: tuple[int, ...], worker: Kills) -> None:
    folder = worker.place(f"other-{other[:3]}", "classify")
    assert worker.run(folder, "classify")["code"] in (0, 3)
    for event in events:
        assert worker.run(folder, "classify", "--set", other, event=event)["code"] == -9
        assert worker.run(folder, "classify")["code"] in (0, 3)
        assert_as_if_never_killed(worker, folder, "classify")
