"""Preparing, killed at any moment and begun again, ends as if it had never been killed: the same files, byte for byte."""

from __future__ import annotations

import csv
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.warm import warm_python

PARTS = ["bow", "bridge", "chinrest", "endpin", "frog", "nut", "peg", "saddle", "scroll", "soundpost", "string", "tailpiece", "varnish"]


def write_rows(path: Path, n: int) -> None:
    """Messages with copies and near-copies among them."""
    draw = random.Random(7)
    rows: list[list[str]] = []
    for i in range(n):
        text = " ".join(draw.choices(PARTS, k=9)) + f" {i}?"
        if rows and draw.random() < 0.3:
            text = draw.choice(rows)[1] + draw.choice(["", "!", " please"])
        rows.append([f"m{i}", text, "repair" if i % 2 else "question", f"c{i // 3}"])
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "message", "intent", "customer"], *rows])


class Calls:
    """The worker, and one call after the other."""

    def __init__(self, home: Path) -> None:
        self.home, self.source = home, home / "rows.csv"
        write_rows(self.source, 150)
        worker = str(ROOT / "tests" / "contract" / "prepare_worker.py")
        self._process = subprocess.Popen([*warm_python(), worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def prepare(self, name: str, event: int | None = None, rows_in_shard: int = 25, **said: object) -> dict[str, Any]:
        """One preparing, of the run of this name."""
        assert self._process.stdin is not None and self._process.stdout is not None
        told = {"source": str(self.source), "run": str(self.home / name), "rows_in_shard": rows_in_shard, "event": event, **said}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def files(self, name: str) -> dict[str, bytes]:
        """What the run's folder holds."""
        folder = self.home / name
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    def close(self) -> None:
        """End the worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    made = Calls(tmp_path_factory.mktemp("kills"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def straight(calls: Calls) -> tuple[int, dict[str, bytes]]:
    """How many changes a preparing makes that is never killed, and its files."""
    told = calls.prepare("straight")
    assert told["code"] == 0
    return told["n_changes"], calls.files("straight")


def test_killed_before_any_change_and_begun_again(calls: Calls, straight: tuple[int, dict[str, bytes]]) -> None:
    n_changes, files = straight
    assert n_changes > 40 and set(files) == {f"data/{name}" for name in FILES}
    for event in range(1, n_changes + 1):
        name = f"event-{event}"
        assert calls.prepare(name, event)["code"] == -9
        assert calls.prepare(name)["code"] == 0
        assert calls.files(name) == files, f"killed before change {event}"


def test_killed_again_and_again(calls: Calls, straight: tuple[int, dict[str, bytes]]) -> None:
    codes = []
    for event in range(2, 400, 2):
        codes.append(calls.prepare("again", event)["code"])
        if codes[-1] == 0:
            break
    assert codes.count(-9) >= 8 and codes[-1] == 0
    assert calls.files("again") == straight[1]


def test_what_is_done_is_not_done_again(calls: Calls, straight: tuple[int, dict[str, bytes]]) -> None:
    n_changes, files = straight
    # After the steps, whose shards and keys take more than half of all changes.
    assert calls.prepare("late", n_changes // 2)["code"] == -9
    assert calls.prepare("late")["n_changes"] < n_changes - 25
    assert calls.files("late") == files


@pytest.mark.parametrize("other", [{"made_for": "other rows"}, {"made_for": None}, {"rows_in_shard": 10}])
def test_what_was_left_by_other_work_is_not_taken_for_this(
    other: dict[str, Any], calls: Calls, straight: tuple[int, dict[str, bytes]]
) -> None:
    name = f"other-{len(str(other))}"
    assert calls.prepare(name, 30, **other)["code"] == -9
    left = calls.prepare(name)
    assert left["code"] == 0 and left["n_changes"] >= straight[0]
    assert calls.files(name) == straight[1]


FILES = ("kept.jsonl.gz", "dropped.jsonl.gz", "cleaning.json", "split.json", "versions.json")
