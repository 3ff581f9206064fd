"""Proofs through the command line: they travel with the bundle, and one that fails holds the model back and says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.conftest import Recipes
from tests.made_models import Said, luthier

from luthier.core.proofs import NAMES, WHAT_TO_DO

BUNDLE = Path("runs/classify/bundle")


def shipped(workplace: Path, recipes: Recipes, **options: object) -> tuple[Path, Said]:
    """A run whose bar is low enough to be reached."""
    made = recipes(workplace, goal__metric="accuracy", goal__at_least=0.01, n=90, train__learning_rate=0.05, **options)
    said = luthier("run", made, "--json")
    assert said.code == 0, said.err
    return made, said


def test_proofs_stand_in_the_run_the_report_and_the_bundle(workplace: Path, recipes: Recipes) -> None:
    _, said = shipped(workplace, recipes, train__epochs=0.6)
    found = {name: said.json[name] for name in ("proofs", "not_applicable")}
    assert set(found["proofs"]) | set(found["not_applicable"]) == set(NAMES)
    assert json.loads(Path("runs/classify/proofs.json").read_text()) == found
    assert json.loads((BUNDLE / "proofs.json").read_text()) == found
    assert "prove" in said.json["seconds"]
    n_holding = len(found["proofs"])
    assert f"{n_holding} of {n_holding} proofs hold" in said.err


def test_a_proof_that_fails_holds_the_model_back_and_says_what_to_do(workplace: Path, recipes: Recipes) -> None:
    made, first = shipped(workplace, recipes, train__epochs=0.6)
    card = json.loads((BUNDLE / "bundle.json").read_text())
    (BUNDLE / "bundle.json").write_text(json.dumps({**card, "labels": card["labels"][::-1]}))
    said = luthier("run", made, "--json")
    assert said.code == 3
    report = said.json
    assert report["verdict"] == "hold"
    proof = report["proofs"]["label_map_round_trips"]
    assert not proof["holds"] and WHAT_TO_DO["label_map_round_trips"] in proof["detail"]
    (reason,) = [one for one in report["reasons"] if one["claim"].startswith("proof: ")]
    assert reason == {"claim": "proof: label map round trips", "holds": False, "evidence": proof["detail"]}
    assert json.loads((BUNDLE / "proofs.json").read_text())["proofs"] == report["proofs"]
    assert "! label_map_round_trips: " in said.err and "prove: done before" not in said.err
    # What was broken is mended, and the model is what it was.
    (BUNDLE / "bundle.json").write_text(json.dumps(card))
    mended = luthier("run", made, "--json")
    assert mended.code == 0
    assert all(mended.json[name] == first.json[name] for name in ("proofs", "not_applicable", "systems"))


def test_proofs_are_not_made_again_for_the_same_files(workplace: Path, recipes: Recipes) -> None:
    made, first = shipped(workplace, recipes, train__epochs=0.6)
    again = luthier("run", made, "--json")
    assert again.code == 0 and again.json == first.json
    assert "prove: done before" in again.err
    other_goal = luthier("run", made, "--json", "--set", "goal.at_least=0.02", "--set", "goal.about=another one")
    assert "prove: done before" in other_goal.err and "evaluate: done before" not in other_goal.err
    assert "prove: done before" in luthier("run", made, "--json", "--set", "goal.about=another one").err


@pytest.mark.slow
def test_a_run_of_more_than_three_steps_is_gone_on_with_by_a_fresh_process(workplace: Path, recipes: Recipes) -> None:
    _, said = shipped(workplace, recipes, train__epochs=3)
    assert "resumed_equals_straight" in said.json["proofs"]
    (kept,) = Path("runs/classify/checkpoints/anchors").iterdir()
    assert kept.name == "step-000008"
