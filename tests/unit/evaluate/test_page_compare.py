"""Runs side by side: every metric that the scores give again, paired, and the rows and options on which they part."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.made_runs import Made, write_replies, write_run
from tests.pages import addresses, parsed, words

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json, write_text
from luthier.core.runs import Run
from luthier.evaluate.compare import holm
from luthier.evaluate.page.compare_page import compare_page
from luthier.evaluate.page.material import Material, read_material
from luthier.evaluate.page.runs_compared import RunsCompared, compared
from luthier.evaluate.verdict import Goal
from luthier.stages.compare import compare_runs, page_path, write_comparison

BRIER = Goal(task="classify", metric="brier", beat=("base",))


def two(folder: Path, goal: Goal | None = None, right: float = 0.6) -> dict[str, Material]:
    """A good run and a worse one, on the same rows."""
    worse = Made(right={"tuned": right, "base": 0.3, "classical": 0.5})
    runs = {"good": write_run(folder / "good", None, goal), "worse": write_run(folder / "worse", worse, goal)}
    return {name: read_material(run) for name, run in runs.items()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Material], RunsCompared]:
    runs = two(tmp_path_factory.mktemp("runs"))
    return runs, compared(runs)


def test_values_are_the_reports_and_differences_are_theirs(pair: tuple[dict[str, Material], RunsCompared]) -> None:
    runs, found = pair
    assert list(found.estimates) == ["run:good", "run:worse"]
    assert list(found.estimates["run:good"]) == ["accuracy", "macro_f1", "calibration_error"]
    for name, material in runs.items():
        for metric, one in found.estimates[f"run:{name}"].items():
            assert one.value == pytest.approx(material.report["systems"]["tuned"][metric]["value"])
    assert [one.metric for one in (*found.comparisons, *found.others)] == ["accuracy", "macro_f1", "calibration_error"]
    for one in (*found.comparisons, *found.others):
        values = [found.estimates[name][one.metric].value or 0.0 for name in (one.a, one.b)]
        assert one.difference == pytest.approx(values[0] - values[1])
    for family in (found.comparisons, found.others, [one for _, one in found.labels]):
        assert [one.p_holm for one in family] == list(holm([one.p for one in family]))


def test_a_metric_that_the_scores_do_not_hold_is_left_out_with_the_reason(pair: tuple[dict[str, Material], RunsCompared]) -> None:
    assert pair[1].left_out == {"brier": "the recorded scores do not hold all that it takes"}


def test_a_metric_that_decides_is_there_because_its_probabilities_are_recorded(tmp_path: Path) -> None:
    runs = two(tmp_path, BRIER)
    found = compared(runs)
    assert found.metric == "brier" and found.left_out == {}
    for name, material in runs.items():
        assert found.estimates[f"run:{name}"]["brier"].value == pytest.approx(material.report["systems"]["tuned"]["brier"]["value"])
    text = words(compare_page(found, runs))
    assert "run:good is better than run:worse by brier" in text
    for row in found.parted:
        for run, said, _ in row.said:
            assert f"{run} said {said} ({'right' if said == row.gold else 'wrong'})" in text[text.index(row.source) :]


def test_a_metric_that_only_one_run_has_recorded_is_left_out(tmp_path: Path) -> None:
    runs = {"one": write_run(tmp_path / "one"), "two": write_run(tmp_path / "two", None, BRIER)}
    found = compared({name: read_material(run) for name, run in runs.items()})
    assert found.metric == "accuracy" and list(found.left_out) == ["brier"]


def test_rows_on_which_runs_part_are_all_of_them_and_no_others(pair: tuple[dict[str, Material], RunsCompared]) -> None:
    runs, found = pair
    said = [material.system("tuned").answers for material in runs.values()]
    differ = {a.id for a, b in zip(*said, strict=True) if a.text != b.text}
    assert found.n_parted == len(differ) > 25
    assert {one.id for one in found.parted} <= differ
    for one in found.parted:
        scores = [score for _, _, score in one.said]
        assert sorted(scores, key=lambda score: score or 0.0) == [0.0, 1.0]
        assert one.text and one.source.startswith("rows.csv:")


def test_each_label_is_compared_and_the_largest_difference_stands_first(pair: tuple[dict[str, Material], RunsCompared]) -> None:
    runs, found = pair
    assert {label for label, _ in found.labels} == {"repair", "rental", "lesson"}
    sizes = [abs(one.difference or 0.0) for _, one in found.labels]
    assert sizes == sorted(sizes, reverse=True)
    for label, one in found.labels:
        values = [material.details["tuned"]["per_class"][label]["f1"] for material in runs.values()]
        assert one.difference == pytest.approx(values[0] - values[1])


def test_a_label_that_no_row_has_and_one_run_says_is_not_compared_by_itself(pair: tuple[dict[str, Material], RunsCompared]) -> None:
    """Of a label that is neither true nor said there is no F1, and so no difference."""
    runs = dict(pair[0])
    scores = [dict(row) for row in runs["worse"].scores]
    scores[3] = {**scores[3], "systems": {**scores[3]["systems"], "tuned": {**scores[3]["systems"]["tuned"], "answer": "ghost"}}}
    found = compared({**runs, "worse": replace(runs["worse"], scores=scores)})
    assert {label for label, _ in found.labels} == {"repair", "rental", "lesson"}
    json.dumps(found.as_dict(), allow_nan=False)


def test_options_that_differ_are_named_and_no_others(tmp_path: Path) -> None:
    runs = {name: write_run(tmp_path / name) for name in ("one", "two")}
    write_text(runs["two"].recipe, 'name = "other"\nseed = 0\n\n[goal]\ntask = "classify"\n\n[train]\nepochs = 5.0\npatience = 2\n')
    found = compared({name: read_material(run) for name, run in runs.items()})
    assert found.recipes == (("train.epochs", ("3.0", "5.0")), ("train.patience", ("–", "2")))
    assert (found.n_parted, found.comparisons[0].difference) == (0, 0.0)
    text = words(compare_page(found, {name: read_material(run) for name, run in runs.items()}))
    assert "No difference between run:one and run:two is shown in accuracy" in text and "On no row." in text


def test_the_page_is_valid_closed_in_itself_and_the_same_each_time(tmp_path: Path) -> None:
    runs = {**two(tmp_path), "third": read_material(write_run(tmp_path / "third", Made(right={"tuned": 0.75, "base": 0.2})))}
    found = compared(runs)
    assert len(found.comparisons) == 3 and len(found.labels) == 9
    page = compare_page(found, runs)
    document = parsed(page)
    assert page == compare_page(compared(runs), runs)
    assert [one for one in addresses(page) if not one.startswith("#")] == []
    assert [one.get("id") for one in document.iter("h2")] == ["summary", "values", "differences", "recipes", "parted"]
    assert all(one.find("caption") is not None for one in document.iter("table"))
    text = words(page)
    for one in (*found.comparisons, *found.others):
        assert f"{one.a} − {one.b}" in text
        assert one.difference is None or f'<data value="{one.difference}">' in page


def test_replies_are_compared_by_their_scores(tmp_path: Path) -> None:
    runs = {name: read_material(write_replies(tmp_path / name)) for name in ("one", "two")}
    found = compared(runs)
    assert found.metric == "chrf" and found.labels == () and found.left_out == {}
    assert {"exact_match", "loss_nats", "bits_per_byte", "bleu"} <= set(found.estimates["run:one"])
    parsed(compare_page(found, runs))


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    good = read_material(write_run(tmp_path / "good"))
    with pytest.raises(LuthierError, match="different rows"):
        compared({"good": good, "other": read_material(write_run(tmp_path / "other", Made(n_test=90)))})
    report: Any = {**good.report, "goal": {**good.report["goal"], "task": "answer"}}
    with pytest.raises(LuthierError, match="different tasks"):
        compared({"good": good, "turned": Material(report, scores=good.scores)})
    for names in (["good"], ["good", "good"], []):
        with pytest.raises(LuthierError, match="two or more"):
            compare_runs(names, tmp_path)


def test_json_holds_every_difference_and_no_rows(tmp_path: Path) -> None:
    two(tmp_path)
    found = compare_runs(["good", "worse"], tmp_path).as_dict()
    text = json.dumps(found, allow_nan=False)
    assert list(found)[:4] == ["schema", "metric", "systems", "comparisons"]
    assert "rows.csv" not in text
    assert isinstance(found["labels"], list) and len(found["labels"]) == 3


def test_hostile_names_and_rows_are_only_text(tmp_path: Path) -> None:
    labels = ("<script>", "b", "c")
    for name, right in (("one", 0.9), ("two", 0.2)):
        made = Made(labels=labels, words=["<img src=x>"] * 5, right={"tuned": right, "base": 0.2})
        write_run(tmp_path / name, made)
    runs = {"<b>one</b>": read_material(Run(tmp_path / "one")), "two & three": read_material(Run(tmp_path / "two"))}
    page = compare_page(compared(runs), runs)
    assert {one.tag for one in parsed(page).iter() if isinstance(one.tag, str)}.isdisjoint({"script", "img", "b"})
    assert "<img src=x>" in words(page)


def test_the_page_goes_beside_the_runs_under_a_name_that_a_folder_can_hold(tmp_path: Path) -> None:
    assert page_path(["a", "b"], tmp_path) == tmp_path / "compare-a-b.html"
    assert page_path(["x/a", "y/b"], tmp_path) == tmp_path / "compare-a-b.html"
    long = page_path(["a" * 90, "b" * 90], tmp_path).name
    assert len(long) <= 120 and long != page_path(["a" * 90, "c" * 90], tmp_path).name
    two(tmp_path)
    found = compare_runs(["good", "worse"], tmp_path)
    write_comparison(found, tmp_path / "elsewhere" / "page.html")
    assert "run:good" in (tmp_path / "elsewhere" / "page.html").read_text(encoding="utf-8")
    assert re.search(r"run:good − run:worse +\+0\.\d{3} \(", found.as_text())


def test_runs_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    for place, right in (("one", 0.9), ("two", 0.5)):
        write_run(tmp_path / place / "same", Made(right={"tuned": right, "base": 0.3}))
    names = [str(tmp_path / place / "same") for place in ("one", "two")]
    found = compare_runs(names, tmp_path)
    assert list(found.runs) == names


def test_a_report_that_is_not_there_is_missed(tmp_path: Path) -> None:
    report: Any = read_json(write_run(tmp_path / "good").report)
    write_json(write_run(tmp_path / "lost").report, {**report, "schema": 3})
    with pytest.raises(LuthierError, match="schema is 3"):
        compare_runs(["good", "lost"], tmp_path)
