"""The learning curve: the same test rows for every cell, fewer training rows among more, and differences paired by row."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from tests.made_models import make_model, messages_of
from tests.recipe_scripts import sprout_script

from luthier.core.examples import Labelled
from luthier.stages.prepare import load_side


@pytest.fixture(scope="module")
def few() -> ModuleType:
    return sprout_script("few_rows")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    path = folder / "data/banking77/train.csv"
    path.parent.mkdir(parents=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category"])
        writer.writerows((row["message"], row["intent"]) for row in messages_of(150))
    return folder


def test_there_are_five_sizes_three_seeds_and_four_systems(few: ModuleType) -> None:
    assert len(few.CELLS) == len({cell.name for cell in few.CELLS}) == 5 * 3 * 4
    assert few.RATES["sprout"] == few.RATES["twin"], "the twin differs in its weights alone"


def test_fewer_rows_are_among_more_of_the_same_seed_and_the_test_rows_among_none(few: ModuleType, shared: Path, tmp_path: Path) -> None:
    folder = few.prepare_once(shared / "data/banking77/train.csv", tmp_path)
    test = {one.id for one in load_side(folder, "test")}
    before: set[str] = set()
    for size in ("5", "10", "20", "all"):
        train, validation = few.rows_of(few.Cell(size, 1, "sprout"), folder)
        ids = {one.id for one in train}
        assert before < ids
        assert not ids & {one.id for one in validation}
        assert not test & (ids | {one.id for one in validation})
        if size != "all":
            assert set(Counter(one.label for one in train).values()) == {int(size)}
            assert set(Counter(one.label for one in validation).values()) == {few.N_VALIDATION}
        before = ids
    other, _ = few.rows_of(few.Cell("5", 2, "sprout"), folder)
    assert {one.id for one in other} != {one.id for one in few.rows_of(few.Cell("5", 1, "sprout"), folder)[0]}


def test_a_cell_is_trained_once_and_every_system_is_judged_on_the_same_rows(
    few: ModuleType, shared: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(few, "EPOCHS", dict.fromkeys(few.SIZES, 2))
    arguments = ["few_rows.py", "--shared", str(shared), "--out", str(tmp_path), "--base", str(model), "--cells"]
    for systems in (["classical", "sprout", "twin"], ["lora", "sprout"]):
        monkeypatch.setattr(sys, "argv", [*arguments, *(f"5-rows-{one}-seed-0" for one in systems)])
        few.main()
    lines = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert [line["system"] for line in lines] == ["classical", "sprout", "twin", "lora"]
    test = [one for one in load_side(tmp_path / "runs/banking77", "test") if isinstance(one, Labelled)]
    assert {line["n"] for line in lines} == {len(test)}
    assert all(line["accuracy"] == line["right"].count("1") / len(test) for line in lines)
    assert lines[0]["accuracy"] > 0.8, "a word of each message tells its label"
    said = capsys.readouterr().out
    assert "| 5 | sprout − classical" in said
    assert "| 5 | sprout − twin" in said
    assert "| 5 | lora − sprout" in said


def test_what_is_right_is_kept_in_the_order_of_the_rows_names(few: ModuleType) -> None:
    line = few.line_of(few.Cell("5", 0, "twin"), {"b": False, "a": True, "c": True})
    assert (line["right"], line["accuracy"], line["n"]) == ("101", 2 / 3, 3)


def test_a_difference_is_paired_by_row_over_all_seeds(few: ModuleType) -> None:
    def line(right: str) -> dict[str, object]:
        return {"right": right, "n": len(right), "accuracy": right.count("1") / len(right)}

    # Six rows right in a and wrong in b with each of two seeds: 2 of the 2^6 ways to swap whole rows are as far apart.
    found = {few.Cell("10", seed, "a"): line("111111") for seed in (0, 1)} | {few.Cell("10", seed, "b"): line("000000") for seed in (0, 1)}
    one = few.paired(found, "10", "a", "b")
    assert (one.difference, one.p) == (1.0, 2 / 64)
    assert few.paired(found, "20", "a", "b") is None
