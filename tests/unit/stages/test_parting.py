"""Prepare with every kind of split: what is an error, what is dropped, what another run's sides bring along, and what is remembered."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.stages.test_prepare import Row, data, messages, row, run, sides

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, read_jsonl, write_json
from luthier.core.loading import load, loads
from luthier.data.kept import versions
from luthier.data.kept.erased import Erased, keyed_hash
from luthier.data.kept.parting import NO_MOMENT, NO_SIDE
from luthier.data.pipeline import Prepare
from luthier.data.sides.split import SIDES, ByColumn, Folds, RandomSplit, Split, TimeSplit
from luthier.data.steps import Whitespace
from luthier.stages.prepare import Beside, Prepared, prepare
from luthier.stages.recipe import Recipe

BY_DAY = TimeSplit(column="day")
RECIPE = 'name = "x"\n[goal]\ntask = "classify"\n[data]\nsource = "rows.csv"\n'


def dated(n: int) -> list[Row]:
    parts = ("train", "train", "dev", "test")
    return [{**one, "day": f"2026-{1 + i // 28:02}-{1 + i % 28:02}", "part": parts[i % 4]} for i, one in enumerate(messages(n))]


def taken(folder: Path, rows: list[Row], name: str = "second", **options: object) -> Prepared:
    """A run beside the first one, `run`, which takes over its sides."""
    beside = Beside(folder / "run" / "data")
    return prepare(data(folder, rows, split_from="run", **options), Prepare(), 0, "labelled", folder / name, beside)


def sides_in(folder: Path, name: str) -> dict[str, str]:
    return {str(one["id"]): str(one["side"]) for one in read_jsonl(folder / name / "data" / "kept.jsonl.gz")}


def test_by_time_the_newest_rows_are_the_test_and_later_ones_too(tmp_path: Path) -> None:
    rows = dated(120)
    result = run(tmp_path, random.Random(0).sample(rows[:100], 100), split=BY_DAY)
    assert result.split == {"train": 80, "validation": 10, "test": 10} and result.certificate.holds
    assert {name for name, side in sides(tmp_path).items() if side == "test"} == {f"m{i}" for i in range(90, 100)}
    boundaries = read_json(tmp_path / "run/data/split.json")["boundaries"]  # type: ignore[index,call-overload]
    run(tmp_path, rows, split=BY_DAY)
    assert {name for name, side in sides(tmp_path).items() if side == "test"} == {f"m{i}" for i in range(90, 120)}
    assert read_json(tmp_path / "run/data/split.json")["boundaries"] == boundaries  # type: ignore[index,call-overload]


def test_by_column_the_column_is_obeyed(tmp_path: Path) -> None:
    result = run(tmp_path, dated(80), split=ByColumn(column="part"))
    assert result.split == {"train": 40, "validation": 20, "test": 20}
    assert all(sides(tmp_path)[f"m{i}"] == ("train", "train", "validation", "test")[i % 4] for i in range(80))


@pytest.mark.parametrize(("split", "column", "reason"), [(BY_DAY, "day", NO_MOMENT), (ByColumn(column="part"), "part", NO_SIDE)])
def test_rows_without_a_side_are_an_error_or_dropped_as_bad_rows_are(
    tmp_path: Path, split: TimeSplit | ByColumn, column: str, reason: str
) -> None:
    rows = dated(80)
    rows[3][column], rows[7][column] = "", "soon"
    with pytest.raises(LuthierError) as caught:
        run(tmp_path, rows, split=split)
    assert [error.where for error in caught.value.errors] == ["rows.csv:5", "rows.csv:9"]
    assert "the value is missing" in caught.value.errors[0].problem and "'soon'" in caught.value.errors[1].problem
    assert not (tmp_path / "run").exists()
    result = run(tmp_path, rows, split=split, bad_rows="drop")
    assert result.dropped == {"split": {reason: 2}} and result.read == result.kept + 2 == 80


def test_near_duplicates_over_a_cut_are_counted_and_said(tmp_path: Path) -> None:
    rows = dated(80)
    rows += [{**rows[i], "id": f"again {i}", "message": rows[i]["message"] + "!", "day": "2026-12-31"} for i in range(8)]
    result = run(tmp_path, rows, split=BY_DAY, steps=Prepare(steps=(Whitespace(),)))
    assert result.certificate.holds
    assert result.dropped == {"split": {"belongs to two sides": 8}}
    assert any("8 rows were dropped since they belong to two sides" in said for said in result.warnings)
    assert all(sides(tmp_path)[f"again {i}"] == "test" for i in range(8))


def test_a_column_that_is_not_there_is_an_error_that_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="split.column") as caught:
        run(tmp_path, dated(40), split=TimeSplit(column="date"))
    assert "day" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Split(), BY_DAY, 'parted by shares, and this recipe parts them by the column "day" (time)'),
        (Folds(5, 1), Folds(5, 2), "parted by fold 1 of 5, and this recipe parts them by fold 2 of 5"),
        (BY_DAY, ByColumn(column="part"), 'by the column "day" (time), and this recipe parts them by the column "part" (column)'),
    ],
)
def test_a_record_of_another_promise_is_refused(tmp_path: Path, first: Split, second: Split, said: str) -> None:
    run(tmp_path, dated(60), split=first)
    before = (tmp_path / "run/data/kept.jsonl.gz").read_bytes()
    with pytest.raises(LuthierError, match="give the run another name") as caught:
        run(tmp_path, dated(60), split=second)
    assert said in str(caught.value)
    assert (tmp_path / "run/data/kept.jsonl.gz").read_bytes() == before


def test_other_shares_and_draws_are_said_as_before(tmp_path: Path) -> None:
    run(tmp_path, messages(60))
    before = sides(tmp_path)
    assert any("kind was stratified, is random" in one for one in run(tmp_path, messages(60), split=RandomSplit()).warnings)
    assert sides(tmp_path) == before


def test_a_record_from_before_there_were_kinds_is_of_shares(tmp_path: Path) -> None:
    run(tmp_path, messages(60))
    path = tmp_path / "run/data/split.json"
    record = read_json(path)
    del record["settings"]["kind"]  # type: ignore[index,call-overload]
    write_json(path, record)
    assert not any("kind" in one for one in run(tmp_path, messages(60)).warnings)


def test_the_sides_of_another_run_are_taken_over_with_its_settings(tmp_path: Path) -> None:
    rows = messages(140)
    run(tmp_path, rows[:100], seed=3, split=Split(0.5, 0.2, 0.3))
    first = sides(tmp_path)
    result = taken(tmp_path, rows[20:])
    second = sides_in(tmp_path, "second")
    assert {name: second[name] for name in second if name in first} == {name: first[name] for name in second if name in first}
    settings = read_json(tmp_path / "second/data/split.json")["settings"]  # type: ignore[index,call-overload]
    assert (settings["seed"], settings["test"], result.certificate.threshold) == (3, 0.3, 0.8)
    # New rows fall as they would have fallen there.
    run(tmp_path, rows, seed=3, split=Split(0.5, 0.2, 0.3))
    assert {name: sides(tmp_path)[name] for name in second} == second
    known = versions.history(tmp_path / "second/data")
    assert known[0]["parent"] == {"sha256": versions.history(tmp_path / "run/data")[0]["sha256"], "run": "run"}
    assert taken(tmp_path, rows[20:]).split == result.split and len(versions.history(tmp_path / "second/data")) == 1


def test_a_row_that_the_other_run_lacks_may_still_be_tied_to_two_sides(tmp_path: Path) -> None:
    rows = messages(100)
    run(tmp_path, rows, group="customer")
    placed = sides(tmp_path)
    at_test, at_train = (next(one for one in rows if placed[one["id"]] == side) for side in ("test", "train"))
    torn = row("torn", at_test["message"] + "??", at_test["intent"], at_train["customer"])
    result = prepare(
        data(tmp_path, [*rows, torn], split_from="run", group="customer"), Prepare(steps=(Whitespace(),)), 0, "labelled",
        tmp_path / "second", Beside(tmp_path / "run" / "data"),
    )  # fmt: skip
    assert result.dropped == {"split": {"belongs to two sides": 1}}


def test_a_run_that_knows_none_of_the_rows_or_other_sides_of_them_is_refused(tmp_path: Path) -> None:
    rows = messages(100)
    run(tmp_path, rows)
    strangers = [{**one, "id": f"other {one['id']}"} for one in rows]
    with pytest.raises(LuthierError, match="none of the 100 rows here is known in run"):
        taken(tmp_path, strangers)
    prepare(data(tmp_path, rows), Prepare(), 5, "labelled", tmp_path / "second")
    with pytest.raises(LuthierError, match="stand on other sides than in run"):
        taken(tmp_path, rows)


def test_a_row_whose_label_was_mended_stays_where_it_stood(tmp_path: Path) -> None:
    """Without an id column a row is named by its content, so that one with another label has another name."""
    rows = [{name: value for name, value in one.items() if name != "id"} for one in messages(100)]
    run(tmp_path, rows)
    before = {one["text"]: one["side"] for one in read_jsonl(tmp_path / "run/data/kept.jsonl.gz")}
    mended = [{**one, "intent": "repair" if one["intent"] == "question" and i % 4 == 0 else one["intent"]} for i, one in enumerate(rows)]
    result = run(tmp_path, mended)
    assert {one["text"]: one["side"] for one in read_jsonl(tmp_path / "run/data/kept.jsonl.gz")} == before
    newest = versions.history(tmp_path / "run/data")[-1]
    assert newest["diff"] == {
        "added": 0, "removed": 0, "changed": 25, "labels_moved": 25, "sides_moved": 0, "labels": {"question → repair": 25}
    }  # fmt: skip
    assert result.certificate.holds


def test_versions_follow_the_rows_and_not_the_runs_of_the_command(tmp_path: Path) -> None:
    rows = messages(90)
    for some in (rows[:80], rows[:80], rows[:80][::-1], rows):
        run(tmp_path, some)
    known = versions.history(tmp_path / "run/data")
    assert [one["number"] for one in known] == [1, 2]
    assert known[1]["diff"]["added"] == 10 and known[1]["diff"]["removed"] == 0  # type: ignore[index,call-overload]


def test_what_was_erased_does_not_come_back_and_stays_in_the_accounts(tmp_path: Path) -> None:
    rows = messages(80)
    for one in rows[::8]:
        one["customer"] = "ann"
    key = b"k" * 32
    beside = Beside(None, Erased(frozenset({("customer", keyed_hash(key, "customer", "ann")), ("id", keyed_hash(key, "id", "m1"))}), key))
    result = prepare(data(tmp_path, rows), Prepare(), 0, "labelled", tmp_path / "run", beside)
    assert (result.read, result.kept, result.dropped) == (80, 69, {"erase": {"erased on request": 11}})
    gone = list(read_jsonl(tmp_path / "run/data/dropped.jsonl.gz"))
    assert {one["source"] for one in gone} == {f"rows.csv:{i + 2}" for i in range(0, 80, 8)} | {"rows.csv:3"}
    assert all(set(one) == {"id", "side", "source", "step", "reason", "detail", "kept_id"} and one["id"] is None for one in gone)
    assert not {"m0", "m1", "m8"} & set(sides(tmp_path))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('split_from = "a"\n[data.split]\ntest = 0.2\ntrain = 0.7\n', "split: has no effect with split_from"),
        ('[data.split]\nkind = "time"\n', "split.column: is missing"),
        ('[data.split]\nkind = "folds"\nfold = 6\n', "split.fold: is 6 of 5"),
        ('[data.split]\nkind = "folds"\ntest = 0.2\n', 'split.test: does nothing with kind = "folds"'),
        ('[data.split]\nkind = "column"\ncolumn = "part"\nseed = 1\n', "split.seed"),
        ('fields = { label = "intent" }\n[data.split]\nkind = "time"\ncolumn = "intent"\n', "split.column: is a column that the"),
        ('[data.split]\nkind = "group"\n', "split.kind"),
    ],
)
def test_options_without_effect_are_errors(lines: str, said: str) -> None:
    with pytest.raises(LuthierError) as caught:
        loads(Recipe, RECIPE + lines)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    ["", "[data.split]\ntest = 0.2\ntrain = 0.7\n", '[data.split]\nkind = "random"\n', '[data.split]\nkind = "time"\ncolumn = "day"\n',
     '[data.split]\nkind = "column"\ncolumn = "part"\nsides = { held = "test" }\n', '[data.split]\nkind = "folds"\nfold = 2\nfolds = 4\n',
     'split_from = "other"\n'],
)  # fmt: skip
def test_a_resolved_recipe_reads_back_as_the_same(lines: str, tmp_path: Path) -> None:
    from luthier.core.loading import dump

    recipe = loads(Recipe, RECIPE + lines)
    assert loads(Recipe, dump(recipe)) == recipe
    (tmp_path / "again.toml").write_text(dump(recipe), encoding="utf-8")
    assert load(Recipe, tmp_path / "again.toml", ["seed=2"]) == replace(recipe, seed=2)


def test_each_fold_is_a_run_of_its_own_and_together_they_test_all_rows(tmp_path: Path) -> None:
    rows, tested = messages(100), Counter[str]()
    for fold in (1, 2, 3):
        home = tmp_path / str(fold)
        home.mkdir()
        result = run(home, rows, split=Folds(3, fold))
        assert result.certificate.holds and set(result.split) == set(SIDES) and min(result.split.values()) >= 8
        tested.update(name for name, side in sides(home).items() if side == "test")
    assert tested == Counter(one["id"] for one in rows)
