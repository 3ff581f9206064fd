"""Preparing with a user's own filter and replaced personal data, from a recipe on the disk, and turning it back on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from luthier.cli.main import run
from luthier.core.files import read_json, read_jsonl

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can take every right away")

RECIPE = """
name = "tickets"
[goal]
task = "classify"
[data]
source = "rows.csv"
fields = { text = "message", label = "intent" }
[[prepare.steps]]
kind = "own_filter"
function = "filters.py:keep"
[[prepare.steps]]
kind = "personal_data"
action = "replace"
"""
FILTER = "def keep(row):\n    return 'a test' if 'test' in row['text'] else row['extra']['status'] != 'void'\n"
PARTS = ["bow", "bridge", "chinrest", "endpin", "frog", "nut", "peg", "saddle", "scroll", "soundpost", "string", "tailgut", "varnish"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTHIER_SECRETS", str(tmp_path / "secrets"))
    lines = ["message,intent,status"]
    for i in range(60):
        words = " ".join(PARTS[(i * step + i // 13) % 13] for step in (1, 2, 3, 5, 7))
        lines.append(f"{words} {i} for p{i % 7}@acme.org,{'repair' if i % 2 else 'question'},{'void' if i == 3 else 'open'}")
    lines.append("only a test of bob@acme.org,repair,open")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "filters.py").write_text(FILTER, encoding="utf-8")
    return tmp_path


def prepared(folder: Path) -> Path:
    """The run's folder of data after `luthier prepare`, given from anywhere."""
    assert run(["prepare", str(folder / "recipe.toml"), "--runs", str(folder / "runs")]) == 0
    return folder / "runs" / "tickets" / "data"


def test_a_recipe_filters_and_replaces_and_the_command_line_turns_it_back(folder: Path) -> None:
    home = prepared(folder)
    kept = list(read_jsonl(home / "kept.jsonl.gz"))
    assert len(kept) == 59 and not any("@" in str(record["text"]) for record in kept)
    dropped = {str(record["reason"]): record["text"] for record in read_jsonl(home / "dropped.jsonl.gz")}
    assert set(dropped) == {"a test", "keep says no"}
    assert run(["unmask", "tickets", str(home / "kept.jsonl.gz"), "-o", str(folder / "out.jsonl"), "--runs", str(folder / "runs")]) == 0
    back = sorted(str(json.loads(line)["text"]) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines())
    source = (folder / "rows.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert back == sorted(line.split(",")[0] for line in source if "void" not in line and "test" not in line)


def test_the_key_is_made_outside_of_the_run_and_nothing_of_it_is_inside(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prepared(folder)
    path = folder / "secrets" / "personal.key"
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_text(encoding="ascii").strip().partition(":")[2]
    said = "".join(capfd.readouterr())
    assert key not in said and bytes.fromhex(key).hex() == key
    for file in (folder / "runs").rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            assert key.encode() not in raw and bytes.fromhex(key) not in raw
    for name in ("kept.jsonl.gz", "dropped.jsonl.gz"):
        assert key not in "".join(map(json.dumps, read_jsonl(folder / "runs" / "tickets" / "data" / name)))


def test_preparing_again_makes_the_same_rows_and_a_changed_filter_other_ones(folder: Path) -> None:
    home = prepared(folder)
    first = (home / "kept.jsonl.gz").read_bytes()
    done = home.parent / "prepare.done"
    before = read_json(done)
    prepared(folder)
    assert read_json(done) == before, "nothing was done twice"
    (folder / "filters.py").write_text("def keep(row):\n    return True\n", encoding="utf-8")
    prepared(folder)
    assert read_json(done) != before
    assert len(list(read_jsonl(home / "kept.jsonl.gz"))) == 61
    (folder / "filters.py").write_text(FILTER, encoding="utf-8")
    prepared(folder)
    assert [row["text"] for row in read_jsonl(home / "kept.jsonl.gz")] == [row["text"] for row in _rows(first, folder)]


def _rows(packed: bytes, folder: Path) -> list[dict[str, object]]:
    (folder / "first.jsonl.gz").write_bytes(packed)
    return [dict(row) for row in read_jsonl(folder / "first.jsonl.gz")]


def test_a_filter_that_is_not_there_is_told_with_the_recipe(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "filters.py").unlink()
    assert run(["prepare", str(folder / "recipe.toml"), "--runs", str(folder / "runs")]) == 2
    assert f"{folder}/filters.py: there is no such file" in capfd.readouterr().err
    assert not (folder / "runs").exists()
