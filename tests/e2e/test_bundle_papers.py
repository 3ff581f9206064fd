"""What travels with a bundle, made by the command: its card's own commands work, and it says the licences of this very run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from tests.e2e.conftest import Ran, Recipes
from tests.made_models import luthier, messages_of, read_csv, write_rows


def test_the_python_of_the_card_answers_rows_where_only_the_wheel_of_the_bundle_is(ran: Ran) -> None:
    workplace = ran.recipe.parent
    bundle = workplace / "runs" / "classify" / "bundle"
    write_rows(bundle / "rows.csv", [{"message": row["message"]} for row in messages_of(5, seed=9)])
    code = re.search(r"```python\n(.*?)```", (bundle / "README.md").read_text(), re.DOTALL)
    assert code is not None
    wheel = next(bundle.glob("luthier-*.whl"))
    # Python reads packages from wheels as from folders, but the embedded model's files must lie in one.
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, workplace / "packed"], check=True)
    told = "import luthier; assert 'packed' in luthier.__file__, luthier.__file__\n" + code.group(1)
    environment = {**os.environ, "PYTHONPATH": str(workplace / "packed"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", told], check=True, cwd=bundle, env=environment, capture_output=True)
    answers = read_csv(bundle / "answers.csv")
    assert [row["answer"] in ("repair", "rental", "lesson") for row in answers] == [True] * 5


def test_the_command_line_of_the_card_answers_the_same_rows(ran: Ran) -> None:
    bundle = ran.recipe.parent / "runs" / "classify" / "bundle"
    write_rows(bundle / "rows.csv", [{"message": row["message"]} for row in messages_of(5, seed=9)])
    line = re.search(r"^    luthier (predict .*)$", (bundle / "README.md").read_text(), re.MULTILINE)
    assert line is not None
    with contextlib.chdir(bundle):
        assert luthier(*line.group(1).split()).code == 0
        assert len(read_csv(Path("answers.csv"))) == 5


@pytest.mark.parametrize("task", ["classify", "pretrain"])
def test_the_licence_of_the_rows_stands_on_the_card_and_makes_no_row_anew(task: str, workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, task)
    first = luthier("run", made)
    card = Path(f"runs/{task}/bundle/README.md")
    assert ModelCard(card.read_text()).data.license == "unknown"
    assert "the licence of the data is unknown" in card.read_text() and "the licence of the base is unknown" in card.read_text()
    said = luthier("run", made, "--set", "data.licence=CC-BY-NC-4.0")
    assert said.code == first.code
    skipped = {line.partition(":")[0] for line in said.err.splitlines() if "done before" in line}
    assert {"prepare", "tune", "prove", "evaluate"} <= skipped
    assert "bundle" not in skipped
    assert "| data | CC-BY-NC-4.0 (attribution, non-commercial)" in card.read_text()
    report = json.loads(Path(f"runs/{task}/evaluation/report.json").read_text())
    tuned = report["systems"]["tuned"][report["goal"]["metric"]]
    assert f"n = {tuned['n']})" in card.read_text()
    plan = json.loads(Path(f"runs/{task}/plan.json").read_text())
    assert f"Its number type: {plan['precision']['name']} (" in card.read_text()


def test_check_says_that_nobody_has_said_the_licence(workplace: Path, recipes: Recipes) -> None:
    said = luthier("check", recipes(workplace))
    assert "data.licence = unknown   (nobody has said; the model card says so)" in said.out
