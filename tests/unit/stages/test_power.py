"""What `luthier check` says of the test rows before anybody trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.made_models import luthier, make_model, messages_of, recipe, write_rows

from luthier.core.examples import Labelled
from luthier.core.loading import loads
from luthier.evaluate.power import power_lines
from luthier.stages.power import test_power as power_of_test
from luthier.stages.recipe import Recipe

TEXT = 'name = "x"\n[goal]\ntask = "{}"\nmetric = "{}"\n[data]\nsource = "rows.csv"\n'
ROWS = [Labelled(f"m{i}", "text", "x", extra={"who": i // 10 if i < 200 else None}) for i in range(300)]


def test_rows_of_groups_count_by_their_groups_and_those_without_one_for_themselves() -> None:
    alone = power_of_test(loads(Recipe, TEXT.format("classify", "accuracy")), ROWS)
    grouped = power_of_test(loads(Recipe, TEXT.format("classify", "accuracy") + 'group = "who"\n'), ROWS)
    assert len(alone) == 1 and grouped[0] == alone[0]
    # 20 groups of ten and a hundred rows: 300² / (20 · 10² + 100).
    assert "they would count as 42" in grouped[1]


def test_of_metrics_that_are_no_share_nothing_is_said() -> None:
    assert power_of_test(loads(Recipe, TEXT.format("chat", "chrf")), ROWS) == []


def test_check_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model(tmp_path / "tiny")
    write_rows(tmp_path / "rows.csv", messages_of(100))
    made = recipe(
        tmp_path / "mail.toml", name="mail", goal__task="classify", goal__metric="accuracy", data__source="rows.csv", model__base=model,
        data__split={"train": 0.4, "validation": 0.1, "test": 0.5}, train__batch_rows=8,
    )  # fmt: skip
    found = luthier("check", made, "--json")
    assert found.code == 0, found.err
    n_test = found.json["prepare"]["split"]["test"]
    assert found.json["power"] == power_lines("accuracy", n_test) and found.json["power"][0].startswith(f"{n_test} test rows")
