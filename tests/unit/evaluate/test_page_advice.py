"""Each rule of advice speaks where it should, and is silent where it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.made_runs import Made, write_replies, write_run

from luthier.core.examples import Labelled
from luthier.core.files import read_json, write_json
from luthier.core.proofs import WHAT_TO_DO
from luthier.evaluate.page import advice
from luthier.evaluate.page.advice import RULES, Advice, Findings, Rule, advise
from luthier.evaluate.page.confidence import confidence_of
from luthier.evaluate.page.curves import curves_of
from luthier.evaluate.page.material import Material, read_material
from luthier.evaluate.page.mistakes import Confusion, LabelScore, Mistakes, WorstRow, mistakes_of
from luthier.evaluate.page.nearest import Neighbour
from luthier.evaluate.page.words import Number
from luthier.evaluate.report import Proof
from luthier.evaluate.verdict import Goal

GOOD = Made(n_test=600, sure=0.9)
NONE = Number(None, None, None, 0, 3)


def findings(folder: Path, made: Made = GOOD, goal: Goal | None = None) -> Findings:
    return of(read_material(write_run(folder, made, goal)))


def of(material: Material) -> Findings:
    return Findings(material, curves_of(material.journal), mistakes_of(material), confidence_of(material))


def mistakes(pairs: dict[tuple[str, str], int], n_wrong: int, n_labels: int = 4, worst: tuple[WorstRow, ...] = ()) -> Mistakes:
    confusions = tuple(Confusion(gold, said, n, NONE) for (gold, said), n in pairs.items())
    labels = tuple(LabelScore(f"l{i}", NONE, NONE, NONE, 50) for i in range(n_labels))
    return Mistakes(100, n_wrong, labels, confusions, len(confusions), None, worst, ())


def with_mistakes(found: Findings, one: Mistakes) -> Findings:
    return Findings(found.material, found.curves, one, found.confidence)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return findings(tmp_path_factory.mktemp("runs") / "good")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_run_is_left_in_peace(rule: Rule, good: Findings) -> None:
    assert rule(good) is None


def test_a_good_run_is_to_be_used(good: Findings) -> None:
    (only,) = advise(good)
    assert only.title == "Use it" and "luthier predict made FILE" in only.do


def test_a_run_that_holds_for_no_reason_of_ours_is_told_to_try_more(tmp_path: Path) -> None:
    found = findings(tmp_path / "run", Made(n_test=600), Goal(task="classify", metric="accuracy", at_least=0.99))
    assert [one.title for one in advise(found)] == ["Try something stronger"]


BAD: dict[str, tuple[Made, Goal | None, str]] = {
    "leak": (Made(certificate=(2, 0)), None, "Shared by two sides of the split: 2 groups of rows."),
    "broken_proof": (Made(proofs={"resumed_equals_straight": Proof(False, "at 3")}), None, "resumed equals straight: at 3"),
    "classical_is_ahead": (Made(right={"tuned": 0.5, "base": 0.4, "classical": 0.9}), None, "tuned − classical is −0."),
    "few_training_rows": (Made(n_train=199), None, "199 training rows, fewer than 200"),
    "learns_nothing": (Made(validation=((0, 1.1), (20, 1.095), (40, 1.09))), None, "hardly fell"),
    "overfitting": (
        Made(validation=((0, 1.1), (20, 0.8), (40, 0.9), (60, 1.0))), None,
        "to 1.000 nats (95\u00a0% interval 0.959 to 1.041) at step 60, on 30 rows",
    ),
    "underfitting": (Made(validation=((0, 1.1), (20, 0.9), (40, 0.7), (60, 0.5))), None, "the last quarter of the steps brought 25%"),
    "rare_labels": (Made(labels=[f"l{i}" for i in range(40)], n_train=300, n_test=400), None, "l20 (7)"),
    "not_shown_yet": (Made(n_test=100), Goal(task="classify", metric="accuracy", at_least=0.85), "rows would show it four times in five"),
    "wide_interval": (Made(n_test=30), None, "on 30 test rows"),
    "few_test_rows": (Made(n_test=99, right={"tuned": 0.99, "base": 0.2, "classical": 0.5}), None, "There are 99 test rows"),
    "too_sure": (Made(sure=0.99), None, "mean probability of 0.990"),
    "much_dropped": (Made(dropped=250), None, "250 of 730 rows were dropped, most of them (250) by length: empty text"),
    "worn_test": (Made(looks=5), None, "look 5 at the same test rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_rule_speaks_where_it_should_and_says_what_to_do(name: str, tmp_path: Path) -> None:
    made, goal, said = BAD[name]
    found = findings(tmp_path / "run", made, goal)
    rule: Rule = getattr(advice, name)
    one = rule(found)
    assert isinstance(one, Advice)
    assert said in one.because and one.title and one.do.endswith(".")
    assert one in advise(found)


def test_every_rule_has_a_test_that_makes_it_speak() -> None:
    assert {rule.__name__ for rule in RULES} == {*BAD, "one_pair", "doubtful_labels", "silent"}


def test_a_broken_proof_is_told_with_the_one_thing_to_do_about_it(tmp_path: Path) -> None:
    detail = f"abc when they were set aside, def now. What to do: {WHAT_TO_DO['test_untouched']}"
    one = advice.broken_proof(findings(tmp_path / "run", Made(proofs={"test_untouched": Proof(False, detail)})))
    assert one is not None
    assert one.because == "test untouched: abc when they were set aside, def now."
    assert one.do.startswith("Put data/kept.jsonl.gz back as it was, or") and "fresh folder" not in one.do


def test_nearly_equal_rows_on_two_sides_leak_as_groups_do(tmp_path: Path) -> None:
    one = advice.leak(findings(tmp_path / "run", Made(certificate=(0, 1))))
    assert one is not None and "two sides of the split: 1 nearly equal row." in one.because


def test_the_certificate_has_a_rule_of_its_own(tmp_path: Path) -> None:
    found = findings(tmp_path / "run", Made(proofs={"split_certificate": Proof(False, "shared")}))
    assert advice.broken_proof(found) is None


def test_a_classical_model_that_is_behind_is_not_mentioned(tmp_path: Path) -> None:
    assert advice.classical_is_ahead(findings(tmp_path / "one")) is None
    without = findings(tmp_path / "two", Made(right={"tuned": 0.5, "base": 0.4}))
    assert advice.classical_is_ahead(without) is None


def test_a_lower_loss_is_better_when_it_is_compared(tmp_path: Path) -> None:
    found = findings(tmp_path / "run")
    turned = {"a": "tuned", "b": "classical", "metric": "loss_nats", "low": -0.3, "high": 0.3, "p": 0.0, "p_holm": 0.0, "n": 9}
    goal = {**found.material.report["goal"], "metric": "loss_nats"}
    for difference, speaks in ((-0.2, False), (0.2, True)):
        report = {**found.material.report, "goal": goal, "comparisons": [{**turned, "difference": difference}]}
        one = advice.classical_is_ahead(of(Material(report)))
        assert (one is not None) is speaks


@pytest.mark.parametrize(("there", "back", "n_wrong", "speaks"), [(6, 5, 20, True), (5, 5, 20, False), (11, 0, 20, True), (3, 1, 4, False)])
def test_two_labels_are_named_where_most_errors_lie_between_them(there: int, back: int, n_wrong: int, speaks: bool, good: Findings) -> None:
    found = with_mistakes(good, mistakes({("x", "y"): there, ("y", "x"): back, ("x", "z"): 1}, n_wrong))
    one = advice.one_pair(found)
    assert (one is not None) is speaks
    if one is not None:
        assert one.title == "Look at “x” and “y”" and f"{there + back} of the {n_wrong} errors" in one.because


def test_with_two_labels_there_is_no_pair_to_name(good: Findings) -> None:
    assert advice.one_pair(with_mistakes(good, mistakes({("x", "y"): 20}, 20, n_labels=2))) is None


@pytest.mark.parametrize(("likeness", "label", "speaks"), [(0.95, "other", True), (0.95, "mine", False), (0.85, "other", False)])
def test_a_row_that_a_training_row_contradicts_is_doubted(likeness: float, label: str, speaks: bool, good: Findings) -> None:
    near = Neighbour("t1", "rows.csv:9", "text", label, likeness)
    worst = (WorstRow("w1", "rows.csv:5", "text", "mine", "other", 0.0, 0.9, (), (near,)),)
    one = advice.doubtful_labels(with_mistakes(good, mistakes({}, 1, worst=worst)))
    assert (one is not None) is speaks
    if one is not None:
        assert "rows.csv:5 and rows.csv:9" in one.because


def test_rows_without_an_answer_are_mentioned(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    report: Any = read_json(run.report)
    report["systems"]["tuned"]["accuracy"] |= {"n": 140, "n_unjudged": 10}
    write_json(run.report, report)
    one = advice.silent(of(read_material(run)))
    assert one is not None and "10 of 150 test rows" in one.because


def test_advice_on_rows_that_show_it_is_the_verdicts_own(tmp_path: Path) -> None:
    found = findings(tmp_path / "run", Made(n_test=100, looks=3), Goal(task="classify", metric="accuracy", at_least=0.85))
    one = advice.not_shown_yet(found)
    (reason,) = (reason for reason in found.material.report["reasons"] if reason["claim"].startswith("accuracy"))
    assert one is not None and reason["evidence"].removeprefix("not shown yet: ") in one.because
    assert advice.wide_interval(found) is None and advice.few_test_rows(found) is None


def test_training_rows_are_counted_from_the_rows_where_the_record_is_lost(good: Findings) -> None:
    for n, speaks in ((5, True), (199, True), (200, False)):
        rows = {"train": [Labelled(str(i), "text", "a") for i in range(n)]}
        assert (advice.few_training_rows(of(Material(good.material.report, rows=rows))) is not None) is speaks
    assert advice.few_training_rows(of(Material(good.material.report))) is None


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "Set [head] label_smoothing to 0.1, train for fewer epochs, or choose the bar"),
        ("[head]\nlabel_smoothing = 0.05\n", "Set [head] label_smoothing to 0.1, train for fewer epochs, or choose the bar"),
        ("[head]\nlabel_smoothing = 0.1\n", "The recipe has label_smoothing = 0.1 already, and much more costs accuracy. Train for fewer"),
        ("[head]\nlabel_smoothing = 0.2\n", "The recipe has label_smoothing = 0.2 already, and much more costs accuracy. Train for fewer"),
    ],
)
def test_what_the_recipe_has_already_is_not_advised(head: str, said: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Made(sure=0.99))
    run.recipe.write_text(run.recipe.read_text(encoding="utf-8") + head, encoding="utf-8")
    one = advice.too_sure(of(read_material(run)))
    assert one is not None and one.do.startswith(said)


def test_rules_that_are_about_labels_are_silent_about_replies(tmp_path: Path) -> None:
    found = of(read_material(write_replies(tmp_path / "run")))
    assert [rule.__name__ for rule in RULES if rule(found) is not None] == []
