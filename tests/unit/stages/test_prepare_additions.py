"""What prepare does to training rows once sides are known, on files: accounts, laws over repeated runs, and the certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.data.steps.test_label_errors import rows_of
from tests.unit.stages.test_prepare import data, messages, row, run

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled
from luthier.core.files import read_json, read_jsonl
from luthier.core.loading import loads
from luthier.data.augment import LetterCase, Paraphrase, Swaps, Templates, Typos
from luthier.data.augment.balance import Oversample, Undersample
from luthier.data.execution.workers import Local
from luthier.data.kept.prepared import read_rows
from luthier.data.pipeline import DEFAULT_STEPS, Prepare
from luthier.data.steps import Contamination, LabelErrors
from luthier.data.tools import Tools
from luthier.stages.prepare import Making, prepare
from luthier.stages.recipe import Recipe
from luthier.stages.texts import added_lines, prepared_text
from luthier.stages.tune import objective_of

AUGMENT = (
    Typos(share=0.5),
    LetterCase(share=0.5),
    Swaps(words=(("bow", "stick"), ("peg", "pin")), share=0.5),
    Templates(patterns=("Hello, {text} Bye!",), share=0.5),
)
FILES = ("kept.jsonl.gz", "dropped.jsonl.gz", "split.json", "cleaning.json")


def records(folder: Path) -> list[dict[str, Any]]:
    return [dict(one) for one in read_jsonl(folder / "run" / "data" / "kept.jsonl.gz")]


def test_made_rows_stand_beside_their_parents_in_training_and_the_accounts_agree(tmp_path: Path) -> None:
    found = run(tmp_path, messages(160), steps=Prepare(DEFAULT_STEPS, None, AUGMENT), group="customer").as_dict()
    kept = records(tmp_path)
    made = [one for one in kept if "parent" in one]
    assert found["added"] == dict(Counter(one["id"].split("+")[1] for one in made)) and len(found["added"]) == 4
    assert found["read"] == 160 == found["kept"] + sum(n for by in found["dropped"].values() for n in by.values())
    assert sum(found["split"].values()) == found["kept"] + sum(found["added"].values()) == len(kept)
    assert found["split"]["train"] == 128 + len(made) and found["split"]["test"] == found["split"]["validation"] == 16
    assert all(one["side"] == "train" for one in made)
    side_of = {one["id"]: one["side"] for one in kept}
    assert all(side_of[one["parent"]] == "train" for one in made)
    assert all(one["changed"] == [] for one in made) and found["changed"] == {}
    assert found["certificate"]["near_duplicates_shared"] == found["certificate"]["groups_shared"] == 0
    assert {name: one["made"] for name, one in found["augmentation"].items()} == found["added"]
    assert found["augmentation"]["swaps"]["not_made"].keys() == {"nothing in it to change"}
    assert all(one["not_made"] == {} for name, one in found["augmentation"].items() if name != "swaps")
    examples = {example.id: example for example, _ in read_rows(tmp_path / "run" / "data")}
    assert {examples[one["id"]].parent for one in made} == {one["parent"] for one in made}


def test_a_second_run_of_the_same_changes_no_byte_and_rows_that_are_added_move_none(tmp_path: Path) -> None:
    rows, steps = messages(160), Prepare(DEFAULT_STEPS, Undersample(rows=40), AUGMENT)
    home = tmp_path / "run" / "data"
    run(tmp_path, rows[:140], steps=steps)
    before = {name: (home / name).read_bytes() for name in FILES}
    old = {one["id"]: one for one in records(tmp_path)}
    run(tmp_path, rows[:140], steps=steps)
    assert before == {name: (home / name).read_bytes() for name in FILES}
    run(tmp_path, rows, steps=steps)
    new = {one["id"]: one for one in records(tmp_path)}
    stayed = old.keys() & new.keys()
    assert len(stayed) > 0.7 * len(old)
    assert all({**old[name], "source": ""} == {**new[name], "source": ""} for name in stayed)
    sides = read_json(home / "split.json")
    assert isinstance(sides, dict) and not any("+" in name for part in ("sides", "absent") for name in sides[part])


def test_rows_that_undersampling_drops_keep_their_side_and_are_accounted_for(tmp_path: Path) -> None:
    rows = [one for one in messages(240) if one["intent"] == "repair" or int(one["id"][1:]) % 8 == 0]
    found = run(tmp_path, rows, steps=Prepare(DEFAULT_STEPS, Undersample()))
    kept = records(tmp_path)
    counts = Counter((one["label"], one["side"]) for one in kept)
    assert counts["repair", "train"] == counts["question", "train"]
    assert counts["repair", "test"] > counts["question", "test"]
    n_gone = found.dropped["undersample"]["more rows of its label than asked for"]
    assert found.read == found.kept + n_gone == 150 and sum(found.split.values()) == found.kept
    recorded = read_json(tmp_path / "run" / "data" / "split.json")
    assert isinstance(recorded, dict)
    assert Counter(recorded["absent"].values()) == {"train": n_gone}
    assert recorded["sides"].keys() == {one["id"] for one in kept}


def test_oversampling_evens_out_training_and_leaves_the_other_sides_alone(tmp_path: Path) -> None:
    rows = [one for one in messages(240) if one["intent"] == "repair" or int(one["id"][1:]) % 8 == 0]
    found = run(tmp_path, rows, steps=Prepare(DEFAULT_STEPS, Oversample()))
    kept = records(tmp_path)
    counts = Counter((one["label"], one["side"]) for one in kept)
    assert counts["repair", "train"] == counts["question", "train"] == 96
    assert found.added == {"oversample": 72} and found.kept == 150
    assert all("parent" not in one for one in kept if one["side"] != "train")
    assert found.certificate.holds


def test_labels_in_doubt_are_taken_from_training_only(tmp_path: Path) -> None:
    made, right = rows_of(240, flipped=40)
    rows = [row(one.id, one.text, str(one.label)) for one in made if isinstance(one, Labelled)]
    found = run(tmp_path, rows, steps=Prepare((LabelErrors(action="drop"),)))
    suspects = {str(one["id"]) for one in read_jsonl(tmp_path / "run" / "data" / "label_errors.jsonl")}
    left = {one["id"]: one["side"] for one in records(tmp_path)}
    assert suspects <= right.keys() and len(suspects) >= 30
    assert {left.get(name) for name in suspects} == {None, "validation", "test"}
    assert {one["id"] for one in rows} - left.keys() == {name for name in suspects if name not in left}
    n_gone = sum(name not in left for name in suspects)
    assert found.dropped == {"label_errors": {"label in doubt": n_gone}} and found.split["test"] == 24
    assert any(f"{len(suspects)} rows have labels in doubt" in said and "label_errors.jsonl" in said for said in found.warnings)


def test_contaminated_rows_go_and_the_test_row_is_named(tmp_path: Path) -> None:
    rows = messages(100)
    (tmp_path / "exam.jsonl").write_text(f'{{"text": "{rows[7]["message"].upper()}"}}\n', encoding="utf-8")
    found = run(tmp_path, rows, steps=Prepare((*DEFAULT_STEPS, Contamination(against=(str(tmp_path / "exam.jsonl"),)))))
    (gone,) = read_jsonl(tmp_path / "run" / "data" / "dropped.jsonl.gz")
    assert gone["id"] == "m7" and "exam.jsonl:1" in str(gone["detail"])
    assert found.dropped == {"contamination": {"shares a run of words with a test row": 1}}


def test_other_words_come_from_the_model_that_the_stage_loads(tmp_path: Path) -> None:
    asked: list[str] = []

    def rephraser(name: str) -> Any:
        asked.append(name)
        return lambda prompts, temperature, seed: [" ".join(reversed(one.rpartition("\n\n")[2].split())) for one in prompts]

    steps = Prepare(DEFAULT_STEPS, None, (Paraphrase(model="some/model", share=1.0),))
    tools = Tools(rephrase=rephraser)
    found = prepare(data(tmp_path, messages(700)), steps, 0, "labelled", tmp_path / "run", tools=tools, making=Making(engine=Local(2)))
    assert set(asked) == {"some/model"}
    assert found.added["paraphrase"] > 300 and found.certificate.holds
    account: Any = found.augmentation["paraphrase"]
    assert account["made"] + sum(account["not_made"].values()) == 560


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        (Prepare(balance=Undersample()), '"undersample" would drop nothing'),
        (Prepare(balance=Oversample(rows=3)), '"oversample" would add nothing'),
        (Prepare(augment=(Swaps(words=(("flute", "oboe"),)),)), "made nothing of them"),
    ],
)
def test_what_would_do_nothing_is_an_error_and_the_rows_of_an_earlier_run_stay(steps: Prepare, wrong: str, tmp_path: Path) -> None:
    balanced = messages(100)
    run(tmp_path, balanced)
    before = (tmp_path / "run" / "data" / "kept.jsonl.gz").read_bytes()
    with pytest.raises(LuthierError, match=wrong):
        run(tmp_path, balanced, steps=steps)
    assert (tmp_path / "run" / "data" / "kept.jsonl.gz").read_bytes() == before


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ('[prepare]\nbalance = { kind = "undersample" }', "balance"),
        ('[head]\nclass_weights = "inverse_frequency"', "class_weights"),
    ],
)
def test_balance_without_labels_is_refused_before_anything_is_read(section: str, wrong: str) -> None:
    text = f'name = "x"\n[goal]\ntask = "classify"\n[data]\nsource = "x.csv"\n{section}\n'
    assert loads(Recipe, text).goal.task == "classify"
    with pytest.raises(LuthierError, match="has no effect on the task chat") as caught:
        loads(Recipe, text.replace("classify", "chat"))
    assert wrong in caught.value.where


@pytest.mark.parametrize("weighting", ["inverse_frequency", "effective_number"])
def test_class_weights_reach_the_objective_and_equal_classes_need_none(weighting: str, tmp_path: Path) -> None:
    text = f'name = "x"\n[goal]\ntask = "classify"\n[data]\nsource = "x.csv"\n[head]\nclass_weights = "{weighting}"\n'
    recipe = loads(Recipe, text)
    rows: Sequence[Any] = [example for example, _ in _prepared(tmp_path)]
    objective: Any = objective_of(recipe, rows, 64)
    assert objective.labels == ("question", "repair") and objective.weights[0] > 1 > objective.weights[1]
    with pytest.raises(LuthierError, match="would do nothing"):
        objective_of(recipe, [one for one in rows if one.label == "repair"][:3] + [one for one in rows if one.label == "question"][:3], 64)


def _prepared(folder: Path) -> list[Any]:
    run(folder, [one for one in messages(60) if one["intent"] == "repair" or int(one["id"][1:]) % 4 == 0])
    return list(read_rows(folder / "run" / "data"))


def test_a_person_is_told_what_was_made_and_what_was_not(tmp_path: Path) -> None:
    found = run(tmp_path, messages(160), steps=Prepare(DEFAULT_STEPS, None, (*AUGMENT[:1], Templates(patterns=("{text}!",), share=1.0))))
    said = prepared_text(found.as_dict(), tmp_path / "run").splitlines()
    assert f"  added by typos: {found.added['typos']}" in said and "  added by templates: 128" in said
    assert not any("not made" in line for line in said)
    tried = {"typos": {"made": 1, "not_made": {"nothing in it to change": 1200}}}
    assert added_lines({"typos": 1}, tried) == ["  added by typos: 1", "  not made by typos: 1,200  nothing in it to change"]
