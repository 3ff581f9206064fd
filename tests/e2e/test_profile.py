"""The profile of the data through the command line: in the run, and by check beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.conftest import Recipes
from tests.made_models import luthier, messages_of, write_rows
from tests.pages import addresses, parsed, words

PAGE = Path("runs/classify/data/profile.html")
TASKS = ["classify", "answer", "chat", "pretrain"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of each test's own."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("task", TASKS)
def test_prepare_leaves_a_profile_for_programs_and_for_people(task: str, workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, task)
    prepared = luthier("prepare", made, "--json").json
    home = Path("runs") / task / "data"
    found = json.loads((home / "profile.json").read_text())
    assert found["rows"] == prepared["split"] and found["looked_at"]["rows"] == sum(prepared["split"].values())
    page = (home / "profile.html").read_text(encoding="utf-8")
    parsed(page)
    assert [one for one in addresses(page) if not one.startswith("#")] == []
    assert f"{prepared['read']:,} rows were read" in words(page) and prepared["recognised"].split(",")[0] in words(page)
    assert found["tokens"]["overall"]["bytes_per_token"] > 0 and found["tokens"]["lost"] == {}
    assert str(home / "profile.html") in luthier("prepare", made).out


def test_the_page_of_check_is_the_page_of_prepare_and_lies_outside_of_the_run(workplace: Path, recipes: Recipes, cache: Path) -> None:
    made = recipes(workplace)
    checked = luthier("check", made, "--json").json
    path = Path(checked["page"])
    assert path.parent == cache / "profiles" and path.name.startswith("classify-") and not Path("runs").exists()
    assert path.stat().st_mode & 0o077 == 0, "it quotes rows, which are nobody else's business"
    assert luthier("prepare", made).code == 0
    assert path.read_bytes() == PAGE.read_bytes()
    assert checked["profile"] == json.loads(PAGE.with_name("profile.json").read_text())
    told = luthier("check", made, "--page", "here/rows.html")
    assert told.code == 0 and "here/rows.html" in told.out and Path("here/rows.html").read_bytes() == PAGE.read_bytes()


def test_check_says_first_whether_anything_stands_in_the_way_and_what_to_do(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    rows = messages_of(400)
    write_rows(Path("rows.csv"), rows)
    assert luthier("check", made).out.startswith("Ready to tune: nothing was found that stands in the way.\n")
    rows[5]["message"] += " \ufffd\ufffd"
    rows += [{**row, "message": row["message"].upper()} for row in rows[:3]]
    write_rows(Path("rows.csv"), rows)
    said = luthier("check", made, "--set", "prepare.steps=[]")
    found = luthier("check", made, "--set", "prepare.steps=[]", "--json").json
    lines = said.out.splitlines()
    assert found["power"][0].startswith("81 test rows") and found["power"][0] in lines
    kinds = [one["kind"] for one in found["troubles"]]
    assert {"wrong_characters", "copies"} <= set(kinds)
    assert lines[0] == f"Ready to tune, with {len(kinds) + len(found['warnings'])} things to look at first."
    for one in found["troubles"]:
        assert f"! {one['title']}. {one['do']}" in lines[:20]
    assert 'Add { kind = "exact_duplicates" } to [prepare] steps.' in said.out
    assert luthier("prepare", made, "--set", "prepare.steps=[]").code == 0
    page = words(PAGE.read_text(encoding="utf-8"))
    assert all(one["title"] in page and one["do"] in page for one in found["troubles"])


def test_only_what_shapes_the_profile_makes_it_anew(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    assert luthier("prepare", made).code == 0
    before = PAGE.read_bytes()
    assert luthier("prepare", made, "--set", "train.epochs=9").err.count("done before") == 2
    shorter = luthier("prepare", made, "--set", "train.max_tokens=3")
    assert [line for line in shorter.err.splitlines() if "done before" in line] == ["prepare: done before, for the same inputs"]
    assert "60 rows are longer than the model reads" in words(PAGE.read_text(encoding="utf-8"))
    assert luthier("prepare", made).code == 0
    assert PAGE.read_bytes() == before


def test_rows_can_be_looked_at_before_there_is_a_model(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    assert luthier("prepare", made, "--set", "model.base=./nowhere").code == 0
    assert "Not known: there is no model here." in words(PAGE.read_text(encoding="utf-8"))
    assert json.loads(PAGE.with_name("profile.json").read_text())["tokens"] == {"unknown_because": "there is no model here"}


def test_a_cache_that_cannot_be_written_is_done_without(workplace: Path, recipes: Recipes, cache: Path) -> None:
    made = recipes(workplace)
    cache.write_text("a file where the folder should be")
    found = luthier("check", made, "--json")
    assert found.code == 0 and found.json["page"] is None
