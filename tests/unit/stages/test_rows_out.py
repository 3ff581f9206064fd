"""Prepared rows as a file for other tools, and tasks whose rows can be prepared and not be tuned on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.files import read_jsonl
from luthier.stages.check import check_recipe
from luthier.stages.new import write_recipe
from luthier.stages.recipe import load_recipe
from luthier.stages.rows_out import write_rows
from luthier.stages.run import opened, run_all, run_prepare, run_tune

WORDS = ("bow", "bridge", "chinrest", "endpin", "fingerboard", "frog", "nut", "peg", "saddle", "scroll", "soundpost", "tailgut", "varnish")


def words(seed: str) -> str:
    """Words that are unlike those of other seeds."""
    return " ".join(random.Random(seed).choices(WORDS, k=9))


ROWS = [
    {"chosen": f"Good: {words(f'c{n}')}.", "id": n, "prompt": f"Why  {words(f'p{n}')}?", "rejected": f"Bad: {words(f'r{n}')}."}
    for n in range(36)
]
RUNS = Path("runs")


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    write_recipe("mine", Path("rows.jsonl"))


def prepared() -> dict:
    with opened(load_recipe(Path("mine.toml")), RUNS, lambda text: None) as job:
        return run_prepare(job)


def test_kept_rows_come_out_in_their_layout_with_what_was_cleaned_and_nothing_else_changed() -> None:
    done = prepared()
    assert done["kept"] == len(ROWS)
    found = write_rows("mine", Path("out.jsonl"), None, None, RUNS)
    assert (found.n_rows, found.layout) == (len(ROWS), "chosen/rejected")
    out = list(read_jsonl(Path("out.jsonl")))
    assert out == [{**row, "prompt": str(row["prompt"]).replace("  ", " ")} for row in ROWS]
    assert [list(row) for row in out] == [list(row) for row in ROWS]


def test_one_side_is_written_where_one_is_asked_for_and_the_sides_are_all_rows() -> None:
    done = prepared()
    n_rows = {side: write_rows("mine", Path(f"{side}.jsonl"), side, None, RUNS).n_rows for side in ("train", "validation", "test")}
    assert n_rows == done["split"]
    with pytest.raises(LuthierError, match="no side of a split"):
        write_rows("mine", Path("x.jsonl"), "dev", None, RUNS)


def test_rows_are_written_in_another_layout_that_reads_back_as_the_same_rows() -> None:
    prepared()
    assert write_rows("mine", Path("out.jsonl"), None, "openai-preference", RUNS).layout == "openai preference"
    first = next(iter(read_jsonl(Path("out.jsonl"))))
    assert first["preferred_output"] == [{"role": "assistant", "content": ROWS[0]["chosen"]}]
    with pytest.raises(LuthierError, match="cannot be written in the layout alpaca"):
        write_rows("mine", Path("out.jsonl"), None, "alpaca", RUNS)


def test_rows_that_are_not_prepared_cannot_be_written() -> None:
    RUNS.mkdir()
    with pytest.raises(LuthierError):
        write_rows("mine", Path("out.jsonl"), None, None, RUNS)
    assert not Path("out.jsonl").exists()


def test_a_task_that_cannot_be_tuned_is_prepared_and_checked_and_says_so_when_it_is_to_be_tuned() -> None:
    checked = check_recipe(Path("mine.toml"), (), RUNS)
    assert "can be prepared, and not be tuned yet" in checked.as_text()
    assert json.dumps(checked.as_dict())
    for stage in (run_tune, run_all):
        with pytest.raises(LuthierError, match="cannot be tuned yet") as caught, opened(load_recipe(Path("mine.toml")), RUNS, print) as job:
            stage(job)
        assert "luthier prepare" in caught.value.fix
    assert not RUNS.exists()


@pytest.mark.parametrize("option", [
    'goal.metric="accuracy"', "goal.at_least=0.5", 'goal.beat=["base"]', "train.epochs=1", "method.rank=4", "head.label_smoothing=0.1",
])  # fmt: skip
def test_options_of_training_and_judging_have_no_effect_there_and_are_refused(option: str) -> None:
    with pytest.raises(LuthierError, match="has no effect"):
        load_recipe(Path("mine.toml"), (option,))


def test_what_prepare_wrote_says_how_its_rows_were_written() -> None:
    done = prepared()
    assert (done["layout"], done["columns"]) == ("chosen/rejected", ["chosen", "id", "prompt", "rejected"])
