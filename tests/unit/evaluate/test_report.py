from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.made_up_answers import golds, losses, noisy, system

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, read_jsonl, write_text
from luthier.core.jsonvalue import Json
from luthier.core.proofs import Proof
from luthier.evaluate.answers import Answer, System, answers_hash, gold_hash
from luthier.evaluate.looks import count_look
from luthier.evaluate.report import Evaluation, RunFacts, evaluate, versions, write_evaluation
from luthier.evaluate.report_file import report_from_dict
from luthier.evaluate.table import print_report
from luthier.evaluate.verdict import Goal

TRUE = ["a", "b", "c"] * 40
FACTS = RunFacts(run="r", data_hash="h", seed=0, proofs={"stop_token_trained": Proof(True, "all 3")}, seconds={"prepare": 1.5})


def classified(right: float = 0.9, looks: int = 1, classical: float = 0.5, **goal: object) -> Evaluation:
    systems = [
        system("tuned", noisy(TRUE, right, 1)),
        system("base", noisy(TRUE, 0.3, 2)),
        system("majority", ["a"] * 120),
        system("classical", noisy(TRUE, classical, 3)),
    ]
    return evaluate(Goal(task="classify", **goal), golds(TRUE), systems, dataclasses.replace(FACTS, looks=looks))  # type: ignore[arg-type]


def test_the_report_is_exactly_the_contracts_json() -> None:
    report = classified().report.as_dict()
    assert list(report) == [
        "schema", "run", "goal", "verdict", "reasons", "systems", "comparisons", "proofs", "not_applicable", "looks", "data_hash",
        "versions", "seed", "seconds",
    ]  # fmt: skip
    systems, comparisons = report["systems"], report["comparisons"]
    assert isinstance(systems, dict)
    assert isinstance(comparisons, list)
    assert list(systems) == ["tuned", "base", "majority", "classical"]
    for found in systems.values():
        assert list(found) == ["macro_f1", "accuracy", "calibration_error", "brier"]
        assert all(list(one) == ["value", "low", "high", "n", "n_unjudged", "method"] for one in found.values())
    assert [one["b"] for one in comparisons] == ["base", "majority", "classical"]
    assert list(comparisons[0]) == ["a", "b", "metric", "difference", "low", "high", "p", "p_holm", "test", "n"]
    assert report["proofs"] == {"stop_token_trained": {"holds": True, "detail": "all 3"}}
    assert report["schema"] == 1
    json.dumps(report, allow_nan=False)


def test_differences_are_tuned_minus_the_other_and_holm_is_over_all_of_them() -> None:
    report = classified().report
    tuned = report.systems["tuned"]["macro_f1"].value
    for one in report.comparisons:
        other = report.systems[one.b]["macro_f1"].value
        assert tuned is not None
        assert other is not None
        assert one.difference == pytest.approx(tuned - other)
        assert one.p == pytest.approx(1 / 10_001)
        assert one.p_holm == pytest.approx(3 / 10_001)


def test_a_system_without_a_likelihood_has_null_losses_and_is_told_apart() -> None:
    gold = golds(["one two", "three four"] * 10)
    tuned = dataclasses.replace(losses("tuned", [2.0, 3.0] * 10, [2, 4] * 10), name="tuned")
    base = losses("base", [4.0, 5.0] * 10, [2, 4] * 10)
    majority = system("majority", ["one two"] * 20)
    found = evaluate(Goal(task="answer", metric="loss_nats"), gold, [tuned, base, majority], FACTS).report
    assert found.verdict == "ship"
    assert found.systems["tuned"]["loss_nats"].value == pytest.approx(50 / 60)
    assert found.systems["majority"]["loss_nats"].as_dict() == {
        "value": None, "low": None, "high": None, "n": 0, "n_unjudged": 20, "method": None,
    }  # fmt: skip
    assert found.systems["tuned"]["exact_match"].value is None
    assert (found.comparisons[1].difference, found.comparisons[1].p_holm) == (None, None)


def test_the_same_answers_in_another_order_give_the_same_report() -> None:
    gold = golds(TRUE)
    systems = [system("tuned", noisy(TRUE, 0.8, 1)), system("base", noisy(TRUE, 0.5, 2))]
    turned = [System(one.name, one.answers[::-1]) for one in systems]
    goal = Goal(task="classify")
    assert evaluate(goal, gold, systems, FACTS).report == evaluate(goal, gold[::-1], turned, FACTS).report


def test_abstaining_on_hard_rows_does_not_reach_a_bar() -> None:
    said = noisy(TRUE, 0.6, 1)
    sly = [text if text == true else None for text, true in zip(said, TRUE, strict=True)]
    goal = Goal(task="classify", metric="accuracy", at_least=0.8, beat=("base",))
    found = evaluate(goal, golds(TRUE), [system("tuned", sly), system("base", said)], FACTS).report
    assert found.systems["tuned"]["accuracy"].value == 1.0
    assert found.verdict == "hold"
    assert [reason.holds for reason in found.reasons] == [False, False, True]
    assert "interval" in found.reasons[0].evidence


def test_a_look_more_makes_the_claims_stricter_and_not_the_numbers() -> None:
    low = classified(0.5).report.systems["tuned"]["macro_f1"].low
    assert low is not None
    one, many = (classified(0.5, looks=looks, at_least=low - 0.005).report for looks in (1, 20))
    assert one.systems == many.systems
    assert one.comparisons == many.comparisons
    assert one.verdict == "ship"
    assert many.verdict == "hold"
    assert "99.8 % interval" in many.reasons[-1].evidence


def test_files_hold_each_row_and_what_is_too_bulky(tmp_path: Path) -> None:
    evaluation = classified()
    write_evaluation(evaluation, tmp_path)
    assert read_json(tmp_path / "report.json") == evaluation.report.as_dict()
    rows = list(read_jsonl(tmp_path / "scores.jsonl.gz"))
    assert len(rows) == 120
    said = rows[0]["systems"]
    assert isinstance(said, dict)
    assert (rows[0]["id"], rows[0]["gold"], rows[0]["group"], said["majority"]) == ("0000", "a", None, {"answer": "a", "macro_f1": 1.0})
    details = read_json(tmp_path / "details.json")
    assert isinstance(details, dict)
    majority = details["majority"]
    assert isinstance(majority, dict)
    assert majority["per_class"]["a"] == {"precision": pytest.approx(1 / 3), "recall": 1.0, "f1": 0.5, "support": 40, "n_said": 120}
    assert majority["confusions"] == [{"gold": "b", "said": "a", "n": 40}, {"gold": "c", "said": "a", "n": 40}]


def test_an_empty_test_set_and_a_missing_tuned_are_refused() -> None:
    with pytest.raises(LuthierError, match="it has no rows"):
        evaluate(Goal(task="classify"), (), [system("tuned", [])], FACTS)
    with pytest.raises(LuthierError, match="there is no tuned"):
        evaluate(Goal(task="classify"), golds("a"), [system("base", ["a"])], FACTS)


def screen(evaluation: Evaluation) -> str:
    text = io.StringIO()
    print_report(evaluation.report, Console(file=text, width=150))
    return text.getvalue()


def test_the_screen_says_the_verdict_first_and_then_every_number() -> None:
    evaluation = classified(0.4, classical=0.95)
    lines = screen(evaluation).splitlines()
    assert lines[0] in ("SHIP: every claim holds", "HOLD: not every claim holds")
    assert lines[0].lower().startswith(evaluation.report.verdict)
    assert "the classical baseline beats tuned" in lines[1]
    value = evaluation.report.systems["classical"]["accuracy"].value
    assert any(line.startswith("classical") and f"{value:.3f}" in line for line in lines)
    assert any(line.startswith("tuned − majority") for line in lines)
    assert any("the goal did not say: metric, beat" in line for line in lines)


def test_the_screen_warns_of_few_rows_silence_and_looks() -> None:
    gold = golds("ab" * 10)
    tuned = System("tuned", tuple(Answer(row.id, None if i == 0 else "[bold]a") for i, row in enumerate(gold)))
    text = screen(evaluate(Goal(task="classify"), gold, [tuned, system("base", "ab" * 10)], dataclasses.replace(FACTS, looks=3)))
    assert "few rows: 19" in text
    assert "tuned was not judged on 1 of 20 rows" in text
    assert "look 3 at this test set" in text


def test_the_screen_shows_the_goals_metric_and_two_more_and_names_the_rest() -> None:
    text = screen(evaluate(Goal(task="answer", metric="bleu"), golds(["one two"] * 9), [system("tuned", ["one"] * 9)], FACTS))
    heading = next(line for line in text.splitlines() if line.startswith("system"))
    assert heading.split() == ["system", "bleu", "exact_match", "chrf", "rows"]
    assert "in report.json too: loss_nats, rouge_l, bits_per_byte, length, repetition" in text


def test_what_a_goal_of_probabilities_is_judged_by_stands_in_the_scores() -> None:
    said = [System(name, (Answer("0000", "a", {"a": 0.75, "b": 0.25}),)) for name in ("tuned", "base")]
    for metric in ("brier", "calibration_error"):
        row = evaluate(Goal(task="classify", metric=metric), golds("b"), said, FACTS).scores()[0]
        assert isinstance(row["systems"], dict)
        told = row["systems"]["tuned"]
        assert isinstance(told, dict)
        assert told["probability"] == 0.75
        assert told.get("probabilities") == ({"a": 0.75, "b": 0.25} if metric == "brier" else None)


def test_less_of_a_score_that_is_better_low_wins_and_the_report_reads_back() -> None:
    gold = golds("ab" * 30)
    sure, unsure = ({label: p if label == "a" else 1 - p for label in "ab"} for p in (0.95, 0.6))
    flipped = [{"a": shares["b"], "b": shares["a"]} for shares in (sure, unsure)]
    systems = [
        System(name, tuple(Answer(row.id, row.text, right if row.text == "a" else wrong) for row in gold))
        for name, right, wrong in (("tuned", sure, flipped[0]), ("base", unsure, flipped[1]))
    ]
    report = evaluate(Goal(task="classify", metric="brier"), gold, systems, FACTS).report
    assert report.verdict == "ship"
    assert (report.comparisons[0].difference or 0) < 0
    again = report_from_dict(report.as_dict())
    assert again.as_dict() == report.as_dict()
    assert again.comparisons[0].gain == -(report.comparisons[0].difference or 0)


def test_looks_count_answers_that_differ(tmp_path: Path) -> None:
    gold, one, two = golds("ab"), system("tuned", "ab"), system("tuned", "aa")
    assert count_look(tmp_path, gold_hash(gold), answers_hash(one), "r1") == 1
    assert count_look(tmp_path, gold_hash(gold), answers_hash(one), "r1 again") == 1
    assert count_look(tmp_path, gold_hash(gold), answers_hash(two), "r2") == 2
    assert count_look(tmp_path, gold_hash(golds("ba")), answers_hash(two), "r2") == 1
    ledger: Json = read_json(tmp_path / "looks.json")
    assert isinstance(ledger, dict)
    assert list(ledger[gold_hash(gold)].values()) == ["r1", "r2"]


def test_a_broken_ledger_is_told_and_not_begun_anew(tmp_path: Path) -> None:
    write_text(tmp_path / "looks.json", "{")
    with pytest.raises(LuthierError, match="not JSON"):
        count_look(tmp_path, "g", "a", "r")
    write_text(tmp_path / "looks.json", "[1]")
    with pytest.raises(LuthierError, match="not a ledger"):
        count_look(tmp_path, "g", "a", "r")


def test_versions_name_what_a_result_depends_on() -> None:
    assert {"python", "luthier", "torch", "scikit-learn"} <= versions().keys()
