"""The engine of a recipe: what it is, that the rows do not depend on it, and where it is refused."""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.loading import loads
from luthier.core.runs import Run
from luthier.data.execution.workers import Local
from luthier.stages.check import check_recipe
from luthier.stages.engines import engine_of
from luthier.stages.recipe import Recipe, load_recipe
from luthier.stages.run import opened, run_prepare

HAS_RAY = importlib.util.find_spec("ray") is not None
RECIPE = """name = "{name}"
[goal]
task = "classify"
[data]
source = "rows.jsonl"
engine = "{engine}"
"""
WORDS = ("bow", "bridge", "chinrest", "endpin", "fingerboard", "frog", "nut", "peg", "saddle", "scroll", "soundpost", "tailgut", "varnish")


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two labels, with copies, near-copies and markup among them, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    draw, texts, made = random.Random(4), ["a first text"], []
    for i in range(120):
        texts.append(draw.choice(texts) + draw.choice(["", "!", "<br>"]) if draw.random() < 0.2 else " ".join(draw.choices(WORDS, k=9)))
        made.append({"text": texts[-1], "label": "ab"[i % 2]})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")


def recipe_of(engine: str) -> Recipe:
    Path("mine.toml").write_text(RECIPE.format(name="mine", engine=engine), encoding="utf-8")
    return load_recipe(Path("mine.toml"))


def prepared(engine: str, runs: str = "runs") -> tuple[dict[str, bytes], list[str]]:
    """The files that a preparing leaves, and what it said."""
    told: list[str] = []
    with opened(recipe_of(engine), Path(runs), told.append) as job:
        run_prepare(job)
        home = job.run.data
        return {path.name: path.read_bytes() for path in sorted(home.iterdir()) if path.is_file()}, told


def test_without_a_word_it_is_processes_of_this_machine() -> None:
    with engine_of(loads(Recipe, RECIPE.replace('engine = "{engine}"\n', "").format(name="a")), pytest.fail) as engine:
        assert isinstance(engine, Local) and engine.n_workers >= 1


def test_rows_that_are_prepared_are_not_prepared_again_for_another_engine() -> None:
    files, _ = prepared("local")
    done = Run(Path("runs/mine")).done("prepare").read_bytes()
    again, told = prepared("ray")
    assert again == files and not any("Ray" in one for one in told)
    assert Run(Path("runs/mine")).done("prepare").read_bytes() == done
    assert 'engine = "ray"' in Path("runs/mine/recipe.toml").read_text()


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_an_engine_that_is_not_installed_is_refused_before_anything_is_made() -> None:
    for refused in (lambda: prepared("ray"), lambda: check_recipe(Path("mine.toml"), (), Path("runs"))):
        with pytest.raises(LuthierError, match=r"\[data\] engine: is ray, and Ray is not installed\. pip install \"luthier\[ray\]\""):
            refused()
    assert not Path("runs").exists()


def test_an_engine_with_nothing_to_do_is_an_error() -> None:
    for steps, is_wrong in (("[]", True), ('[{ kind = "label_errors" }]', True), ('[{ kind = "exact_duplicates" }]', False)):
        text = RECIPE.format(name="mine", engine="ray") + f"[prepare]\nsteps = {steps}\n"
        if is_wrong:
            with pytest.raises(LuthierError, match=r"\[data\] engine: has no effect"):
                loads(Recipe, text)
        loads(Recipe, text.replace('engine = "ray"', 'engine = "local"') if is_wrong else text)


def test_an_engine_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(LuthierError, match="engine"):
        recipe_of("spark")


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
@pytest.mark.slow
def test_on_ray_a_run_holds_the_same_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    here, _ = prepared("local", "here")
    there, told = prepared("ray", "there")
    assert there == here and {"kept.jsonl.gz", "dropped.jsonl.gz", "split.json", "cleaning.json"} <= set(here)
    said = [one for one in told if one.startswith("Ray: ")]
    assert "on this machine" in said[0] and all("rows/s" in one for one in said[1:]) and len(said) == 4
