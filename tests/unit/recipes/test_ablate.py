"""The small trainings that choose sprout's shape: each changes one thing, all cost the same, and what is done stays done."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.made_shared import made_shared
from tests.recipe_scripts import sprout_script


@pytest.fixture
def ablate() -> ModuleType:
    return sprout_script("ablate")


def test_a_trial_changes_one_thing_of_the_centre(ablate: ModuleType) -> None:
    for name, one in ablate.TRIALS.items():
        n_changed = (one.shape != ablate.CENTRE.shape) + (one.sets != ablate.CENTRE.sets) + len(one.settings)
        assert n_changed == (0 if name == "centre" else 1), name
        assert one.name == name


def test_each_set_and_each_size_of_vocabulary_is_tried(ablate: ModuleType) -> None:
    assert {f"without-{name}" for name in ablate.MOST_BYTES} <= set(ablate.TRIALS)
    assert {one.shape.vocabulary for one in ablate.TRIALS.values()} == {2048, 4096, 8192}


def test_every_shape_is_small_enough_to_ship_and_near_seven_million(ablate: ModuleType) -> None:
    for one in ablate.TRIALS.values():
        assert 2 * one.shape.n_parameters <= 20_000_000 - 100_000
        assert 6_000_000 < one.shape.n_parameters < 8_500_000


def test_all_trials_cost_the_same(ablate: ModuleType) -> None:
    costs = [ablate.tokens_of(one, 1_000_000) * one.shape.n_computed for one in ablate.TRIALS.values()]
    assert max(costs) / min(costs) < 1.0001
    assert ablate.tokens_of(ablate.CENTRE, 1_000_000) == 1_000_000


def test_a_set_that_is_left_out_is_made_up_for_by_the_others(ablate: ModuleType) -> None:
    texts = ablate.Texts(tuple(ablate.Document(name, "", name * 300) for name in [*ablate.MOST_BYTES] * 40), {})
    whole, part = (ablate.taken(ablate.TRIALS[name], texts, 9_000) for name in ("centre", "without-peps"))
    sizes = [sum(len(one.text) for one in some) for some in (whole, part)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
    assert {one.set for one in part} == set(ablate.MOST_BYTES) - {"peps"}


@pytest.fixture
def small(ablate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trials of a small shape on made-up texts; gives the arguments."""
    shared = made_shared(tmp_path)
    corpus = sys.modules[ablate.documents.__module__]
    monkeypatch.setattr(corpus, "RECIPE", shared.parent / "recipe.toml")
    monkeypatch.setattr(corpus, "DEVELOPMENT_SHARE", 8)
    centre = ablate.replace(ablate.CENTRE, shape=ablate.Shape(512, 64, 1), settings={"train.batch_rows": 4})
    monkeypatch.setattr(ablate, "CENTRE", centre)
    monkeypatch.setattr(ablate, "TRIALS", {"centre": centre, "two": ablate.replace(centre, name="two", shape=ablate.Shape(512, 64, 2))})
    return ["ablate.py", "--shared", str(shared), "--out", str(tmp_path / "out"), "--tokens", "12000"]


def test_trials_are_trained_judged_and_told_in_a_table_and_not_done_twice(
    ablate: ModuleType, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [*small, "--trials", "centre"])
    ablate.main()
    lines = (tmp_path / "out/trials.jsonl").read_text().splitlines()
    (first,) = map(json.loads, lines)
    assert first["parameters"] == ablate.CENTRE.shape.n_parameters
    assert first["tokens"] == pytest.approx(12_000, rel=0.15)
    assert set(first["bits_per_byte"]) == set(ablate.MOST_BYTES)
    assert 0.5 < first["mean"] < 8
    assert first["mean"] == pytest.approx(sum(first["bits_per_byte"].values()) / 6, abs=1e-3)
    monkeypatch.setattr(sys, "argv", small)
    ablate.main()
    both = (tmp_path / "out/trials.jsonl").read_text().splitlines()
    assert both[0] == lines[0]
    assert [json.loads(line)["trial"] for line in both] == ["centre", "two"]
    table = capsys.readouterr().out.strip().splitlines()[-4:]
    assert table[0].startswith("| trial | what |")
    means = [float(line.split("|")[-2]) for line in table[2:]]
    assert means == sorted(means)
    assert len(means) == 2


def test_lines_of_another_budget_do_not_count(ablate: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text('{"trial": "centre", "budget": 5}\n{"trial": "two", "budget": 7}\n')
    assert set(ablate.finished(tmp_path, 7)) == {"two"}
