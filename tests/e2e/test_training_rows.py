"""Rows made, evened out and weighed: the whole loop with them, its proofs, and what changes when a named file does."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections import Counter
from pathlib import Path

from tests.e2e.conftest import Recipes
from tests.e2e.contract import assert_report
from tests.made_models import kept_rows, luthier

from luthier.core.files import file_hash
from luthier.serve.bundle import read_card

AUGMENT = [
    {"kind": "typos", "share": 0.5},
    {"kind": "swaps", "words": [["mend", "repair"], ["hire", "rent"], ["teach", "tutor"]], "share": 0.5},
    {"kind": "paraphrase", "model": "model", "share": 0.1, "instruction": "{text}"},
]


def test_a_run_with_made_copied_and_weighed_rows_is_proven_like_any_other(workplace: Path, recipes: Recipes, model: Path) -> None:
    (workplace / "model").symlink_to(model)
    made = recipes(
        workplace, n=90, prepare__augment=AUGMENT[:2], prepare__balance={"kind": "oversample", "rows": 24},
        head__class_weights="inverse_frequency",
    )  # fmt: skip
    said = luthier("run", made, "--json")
    assert said.code in (0, 3), said.err
    rows = kept_rows(Path("runs/classify"))
    assert_report(said.json, "classify", sum(row["side"] == "test" for row in rows))
    assert said.json["proofs"]["split_certificate"]["holds"] and said.json["proofs"]["any_cut_same_gradient"]["holds"]
    found = luthier("prepare", made, "--json").json
    assert found["read"] == found["kept"] + sum(n for by in found["dropped"].values() for n in by.values())
    assert sum(found["split"].values()) == found["kept"] + sum(found["added"].values()) == len(rows)
    assert set(found["added"]) == {"oversample", "typos", "swaps"}
    assert Counter("parent" in row for row in rows if row["side"] != "train")[True] == 0


def test_a_test_set_and_a_model_that_change_are_read_again(workplace: Path, recipes: Recipes, model: Path) -> None:
    rows = "\n".join(f'{{"text": "nothing like it number {i}"}}' for i in range(3))
    (workplace / "exam.jsonl").write_text(rows + "\n", encoding="utf-8")
    steps = [{"kind": "whitespace"}, {"kind": "contamination", "against": ["exam.jsonl"]}, {"kind": "label_errors"}]
    made = recipes(workplace, n=60, prepare__steps=steps)
    first = luthier("prepare", made, "--json").json
    assert (first["kept"], first["dropped"]) == (60, {})
    assert "done before" in luthier("prepare", made).err
    row = kept_rows(Path("runs/classify"))[0]
    (workplace / "exam.jsonl").write_text(rows + f'\n{{"text": "{row["text"]}"}}\n', encoding="utf-8")
    second = luthier("prepare", made, "--json").json
    assert (second["kept"], second["dropped"]) == (59, {"contamination": {"nearly the same as a test row": 1}})
    (workplace / "exam.jsonl").unlink()
    missing = luthier("prepare", made, "--json")
    assert missing.code == 2 and "exam.jsonl" in missing.out


def test_meaning_and_other_words_come_from_models_that_the_recipe_names(workplace: Path, recipes: Recipes, model: Path) -> None:
    (workplace / "encoder").symlink_to(model)
    steps = [{"kind": "semantic_duplicates", "model": "./encoder", "threshold": 1.0}]
    made = recipes(workplace, n=60, prepare__steps=steps)
    with (workplace / "rows.csv").open("a", encoding="utf-8", newline="") as file:
        file.write((workplace / "rows.csv").read_text(encoding="utf-8").splitlines()[1].rpartition(",")[0] + ",again\r\n")
    found = luthier("prepare", made, "--json").json
    assert (found["kept"], found["dropped"]) == (60, {"semantic_duplicates": {"means nearly the same as another row": 1}})
    made = recipes(workplace, n=60, prepare__augment=[{**AUGMENT[2], "model": "encoder"}], name="other")
    said = luthier("prepare", made, "--json")
    # A random model says nothing that could be taken: that is told, with the reasons, and nothing is made of it.
    assert said.code == 2 and "made nothing of them" in said.out and "the model" in said.out


def test_a_bundle_says_which_files_were_meant_and_not_where_they_were(workplace: Path, recipes: Recipes) -> None:
    (workplace / "exam.jsonl").write_text('{"text": "nothing like it in any row"}\n', encoding="utf-8")
    made = recipes(workplace, prepare__steps=[{"kind": "whitespace"}, {"kind": "contamination", "against": ["exam.jsonl"]}])
    assert luthier("run", made).code in (0, 3)
    bundle = Path("runs/classify/bundle")
    exam = file_hash(workplace / "exam.jsonl")
    for path in (bundle / "bundle.json", bundle / "recipe.toml"):
        text = path.read_text(encoding="utf-8")
        assert str(workplace) not in text.replace(json.dumps(read_card(bundle).base), "") and exam in text, path
    recipe = tomllib.loads((bundle / "recipe.toml").read_text(encoding="utf-8"))
    assert recipe["data"]["source"] == "rows.csv" and recipe["data"]["sha256"] == {"rows.csv": file_hash(workplace / "rows.csv")}
    # With the files beside it, the recipe of a bundle prepares the same rows, and with others none.
    shutil.copy(bundle / "recipe.toml", workplace / "shipped.toml")
    first = kept_rows(Path("runs/classify"))
    assert luthier("prepare", Path("shipped.toml"), "--set", "name=again").code == 0
    assert kept_rows(Path("runs/again")) == first
    (workplace / "exam.jsonl").write_text('{"text": "another exam"}\n', encoding="utf-8")
    said = luthier("prepare", Path("shipped.toml"), "--set", "name=again")
    assert said.code == 2 and "not the test set that the recipe means" in said.err
