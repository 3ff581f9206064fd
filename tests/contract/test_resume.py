"""Killed at any moment and resumed = never killed: parameters, losses and order, bit for bit."""

from __future__ import annotations

import functools
import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.warm import warm_python

from luthier.train.journal import read_entries, without_times

WORKER = ROOT / "tests" / "contract" / "resume_worker.py"
# So many epochs that the validation loss rises again, so that the best checkpoint is not the newest and patience ends.
STOPPING = { "patience": 3, "epochs": 8.0}
TRAININGS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "lora": {"method": "lora"},
    "lora with dropout": {"method": "lora with dropout"},
    "full, stopped early": {"method": "full", **STOPPING},
    "lora, stopped early": {"method": "lora", **STOPPING},
    "lora classifies": {"method": "lora", "classify": True},
}


def work(folder: Path, **said: Any) -> dict[str, Any]:
    """Let the worker train in `folder`; gives what it prints."""
    done = subprocess.run([*warm_python(), str(WORKER), str(folder), json.dumps(said)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@functools.cache
def straight(name: str) -> tuple[Path, dict[str, Any]]:
    """The training that was never killed, and that saves only where it must."""
    folder = Path(tempfile.mkdtemp(prefix="luthier-straight-"))
    return folder, work(folder, **TRAININGS[name], kills=[], save_every_s=1e9)


def assert_equal(name: str, folder: Path, found: dict[str, Any]) -> None:
    reference, wanted = straight(name)
    assert found["final"] == wanted["final"], "the parameters differ"
    assert json.loads((folder / "result.json").read_text()) == json.loads((reference / "result.json").read_text())
    journals = [[without_times(entry) for entry in read_entries(place / "metrics.jsonl")] for place in (folder, reference)]
    assert journals[0] == journals[1]
    orders = [[json.loads(line) for line in (place / "order.jsonl").read_text().splitlines()] for place in (folder, reference)]
    assert dict(orders[0]) == dict(orders[1])
    assert all(dict(orders[1])[step] == ids for step, ids in orders[0]), "a step saw other rows than in the straight training"
    assert found["checkpoints"] == wanted["checkpoints"]


@pytest.mark.parametrize("name", ["lora", "lora with dropout", "full, stopped early", "lora classifies"])
def test_a_training_killed_while_it_changes_files_goes_on_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    draw = random.Random(name)
    kills = [{"event": draw.randrange(1, 40)} for _ in range(9)]
    found = work(tmp_path, **TRAININGS[name], kills=kills, save_every_s=0.0)
    assert found["codes"].count(-9) >= 5
    assert_equal(name, tmp_path, found)


@pytest.mark.parametrize("name", ["full", "lora, stopped early"])
def test_a_training_killed_at_every_change_of_a_file_in_turn_ends_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    # One more change before each kill than before the last, so that some kill comes between each sync and its rename.
    found = work(tmp_path, **TRAININGS[name], kills=[{"event": n} for n in range(1, 25)], save_every_s=0.0)
    assert found["codes"][:8] == [-9] * 8
    assert_equal(name, tmp_path, found)


@pytest.mark.parametrize("name", ["full", "lora with dropout"])
def test_a_training_killed_at_random_times_ends_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    _, wanted = straight(name)
    draw = random.Random(name)
    kills = [{"after": draw.uniform(0.2, 0.9)} for _ in range(4)]
    found = work(tmp_path, **TRAININGS[name], kills=kills, save_every_s=0.0, seconds=wanted["seconds"])
    assert -9 in found["codes"]
    assert_equal(name, tmp_path, found)


@pytest.mark.parametrize("name", ["full, stopped early", "lora, stopped early"])
def test_the_trainings_above_do_stop_early_and_give_back_the_best_tensors(name: str) -> None:
    folder, found = straight(name)
    result = json.loads((folder / "result.json").read_text())
    evaluations = [entry for entry in read_entries(folder / "metrics.jsonl") if entry["event"] == "validation" and entry["step"]]
    losses = {entry["step"]: entry["loss_nats"] for entry in evaluations}
    assert result["stopped_early"]
    assert result["last_step"] == result["best_step"] + 3 * 2 < result["n_steps"]
    assert result["best_loss"] == min(losses.values()) == losses[result["best_step"]]
    assert found["checkpoints"] == [f"step-{step:06d}" for step in (result["best_step"], result["last_step"])]


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    name = "full, stopped early"
    work(tmp_path, **TRAININGS[name], kills=[], save_every_s=1e9)
    n_asked = len((tmp_path / "order.jsonl").read_text().splitlines())
    found = work(tmp_path, **TRAININGS[name], kills=[], save_every_s=1e9)
    assert len((tmp_path / "order.jsonl").read_text().splitlines()) == n_asked
    assert_equal(name, tmp_path, found)
