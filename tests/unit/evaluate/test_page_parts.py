"""The parts of the page by hand-made rows: confidence, mistakes, the nearest rows, words and figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.made_runs import Made, write_run

from luthier.core.examples import Chat, Labelled, Pair, Text
from luthier.core.messages import Message
from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics.calibration_error import CalibrationError
from luthier.evaluate.metrics.macro_f1 import MacroF1
from luthier.evaluate.page import svg, words
from luthier.evaluate.page.confidence import Confidence, confidence_of
from luthier.evaluate.page.label_f1 import LabelF1
from luthier.evaluate.page.material import Material, asked, read_material, replied
from luthier.evaluate.page.mistakes import mistakes_of
from luthier.evaluate.page.nearest import nearest, searched
from luthier.evaluate.shares import wilson_interval

Rows = list[tuple[str, str | None, float | None]]
REPORT: dict[str, Any] = {
    "goal": {"task": "classify", "metric": "accuracy", "at_least": None, "beat": []}, "seed": 0, "systems": {"tuned": {}},
    "comparisons": [], "looks": 1, "proofs": {}, "reasons": [],
}  # fmt: skip


def scored(rows: Rows, groups: list[str | None] | None = None) -> Material:
    """Material of rows of (true label, answer, probability)."""
    scores = [
        {"id": f"{i:03}", "gold": gold, "group": groups[i] if groups else None, "systems": {"tuned": {"answer": said, "probability": sure}}}
        for i, (gold, said, sure) in enumerate(rows)
    ]
    return Material(REPORT, scores=scores)


def confidence(rows: Rows, groups: list[str | None] | None = None) -> Confidence:
    found = confidence_of(scored(rows, groups))
    assert found is not None
    return found


def test_a_bin_holds_the_rows_of_its_probability_with_the_share_that_is_right() -> None:
    rows: Rows = [("a", "a", 0.95)] * 6 + [("a", "b", 0.97)] * 2 + [("b", "b", 0.5), ("b", None, None)]
    found = confidence(rows)
    low, high = found.bins
    assert (round(low.low, 4), round(low.high, 4), low.sure.value, low.right.n, low.right.value) == (0.4667, 0.5333, 0.5, 1, 1.0)
    assert (high.right.n, high.right.value) == (8, 0.75)
    mean = (6 * 0.95 + 2 * 0.97) / 8
    assert high.sure.value == pytest.approx(mean) and high.sure.n == 8
    assert high.sure.low is not None and high.sure.high is not None
    assert high.low < high.sure.low < mean < high.sure.high < high.high
    # One row says nothing of others but that they are in the bin.
    assert low.sure.interval and (low.low, low.high) == pytest.approx((low.sure.low, low.sure.high), abs=0.002)
    assert (high.right.low, high.right.high) == wilson_interval(0.75, 8)
    assert (found.right.n, found.right.value) == (9, pytest.approx(7 / 9))
    assert found.gap.value == pytest.approx((6 * 0.95 + 2 * 0.97 + 0.5) / 9 - 7 / 9)


def test_the_bins_are_those_of_the_calibration_error() -> None:
    rows: Rows = [("a", "ab"[i % 3 == 0], 0.05 + 0.9 * i / 99) for i in range(100)]
    found = confidence(rows)
    error = sum(one.right.n * abs((one.sure.value or 0.0) - (one.right.value or 0.0)) for one in found.bins) / 100
    answers = [Answer(str(i), said, {said or "": sure or 0.0}) for i, (_, said, sure) in enumerate(rows)]
    measured = estimate(CalibrationError(), [Gold(str(i), gold) for i, (gold, _, _) in enumerate(rows)], answers).value
    assert error == pytest.approx(measured)


@pytest.mark.parametrize(
    ("sure", "says"), [(0.99, "It is too sure of itself."), (0.5, "It is less sure than it could be."), (0.8, "On the whole it is as sure")]
)
def test_words_on_confidence_follow_the_interval_of_the_gap(sure: float, says: str) -> None:
    assert confidence([("a", "ab"[i % 5 == 0], sure) for i in range(400)]).in_words.startswith(says)


def test_rows_of_one_group_count_as_one_draw() -> None:
    rows: Rows = [("a", "ab"[i % 40 < 8], 0.8) for i in range(400)]
    alone, together = confidence(rows), confidence(rows, [str(i // 8) for i in range(400)])
    assert (together.gap.high or 0) - (together.gap.low or 0) > 2 * ((alone.gap.high or 0) - (alone.gap.low or 0))


def test_without_probabilities_there_is_nothing_to_trust() -> None:
    assert confidence_of(scored([("a", "a", None)])) is None
    assert confidence_of(scored([])) is None


def test_labels_have_their_scores_and_the_worst_stands_first(tmp_path: Path) -> None:
    material = read_material(write_run(tmp_path / "run"))
    found = mistakes_of(material)
    gold, said = material.gold, material.system("tuned").answers
    assert found.n_wrong == sum(one.text != row.text for row, one in zip(gold, said, strict=True)) > 0
    values = [one.f1.value for one in found.labels]
    assert values == sorted(values, key=lambda value: value or 0.0)
    per_class = material.details["tuned"]["per_class"]
    for one in found.labels:
        recorded = per_class[one.label]
        shown = (one.f1.value, one.precision.value, one.recall.value)
        assert shown == pytest.approx((recorded["f1"], recorded["precision"], recorded["recall"]))
        assert (one.recall.n, one.precision.n) == (recorded["support"], recorded["n_said"])
        assert one.n_train == 100
    assert sum(one.n for one in found.confusions) == found.n_wrong
    assert found.matrix is not None
    labels, counts = found.matrix
    assert sum(map(sum, counts)) - sum(counts[i][i] for i in range(len(labels))) == found.n_wrong
    for one in found.confusions:
        assert counts[labels.index(one.gold)][labels.index(one.said)] == one.n
        assert one.share.value == pytest.approx(one.n / sum(counts[labels.index(one.gold)]))


def test_the_worst_rows_are_wrong_ones_and_the_surest_come_first() -> None:
    rows: Rows = [("a", "a", 1.0), ("a", "b", 0.6), ("a", "b", 0.9), ("a", None, None), ("b", "a", 0.7)]
    assert [one.id for one in mistakes_of(scored(rows)).worst] == ["002", "004", "001"]


@pytest.mark.parametrize(("metric", "order"), [("chrf", ["1", "2"]), ("loss_nats", ["0", "2", "1"])])
def test_the_worst_replies_have_the_worst_scores_and_perfect_ones_are_none(metric: str, order: list[str]) -> None:
    report = {**REPORT, "goal": {**REPORT["goal"], "task": "answer", "metric": metric}}
    values = {"chrf": [100.0, 3.0, 50.0], "loss_nats": [9.0, 0.5, 3.0]}[metric]
    said = [{"tuned": {"answer": "y", metric: one}} for one in values]
    scores = [{"id": str(i), "gold": "x", "group": None, "systems": one} for i, one in enumerate(said)]
    assert [one.id for one in mistakes_of(Material(report, scores=scores)).worst] == order


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
def test_the_labels_f1_average_to_macro_f1(pairs: list[tuple[str, str]]) -> None:
    gold = [Gold(str(i), true) for i, (true, _) in enumerate(pairs)]
    answers = [Answer(str(i), said) for i, (_, said) in enumerate(pairs)]
    seen = sorted({one for pair in pairs for one in pair})
    singles = [estimate(LabelF1(label), gold, answers).value for label in seen]
    assert all(value is not None for value in singles)
    assert sum(value or 0.0 for value in singles) / len(seen) == pytest.approx(estimate(MacroF1(tuple(seen)), gold, answers).value)
    worst = LabelF1("a").failure(gold)
    assert worst.shape == (len(gold), 2) and worst[:, 0].sum() == 0


def test_the_nearest_rows_share_the_rarest_words() -> None:
    said = [("the neck is broken", "repair"), ("the piano is loud", "noise"), ("the neck", "x")]
    training = [Labelled(f"t{i}", text, label) for i, (text, label) in enumerate(said)]
    (found,) = nearest(training, ["my neck is broken"])
    assert [one.id for one in found] == ["t0", "t2", "t1"]
    assert found[0].likeness > found[1].likeness > found[2].likeness > 0
    assert (found[0].text, found[0].reply) == ("the neck is broken", "repair")
    (same,) = nearest(training, ["the piano is loud"], k=1)
    assert (same[0].id, same[0].likeness) == ("t1", 1.0)
    assert nearest(training, ["zebra"]) == ((),)
    assert nearest([], ["zebra"]) == ((),) and nearest(training, []) == ()


def test_equally_near_rows_keep_their_order() -> None:
    training = [Labelled(f"t{i}", "one and the same", "a") for i in range(5)]
    (found,) = nearest(training, ["the same"])
    assert [one.id for one in found] == ["t0", "t1", "t2"]


def test_of_a_great_many_rows_every_so_manyth_is_searched() -> None:
    rows = [Labelled(str(i), "text", "a") for i in range(100_001)]
    assert [one.id for one in searched(rows)][:3] == ["0", "3", "6"] and len(searched(rows)) == 33_334
    assert searched(rows[:50_000]) == rows[:50_000]
    assert len(searched(rows[:50_001])) == 25_001


def test_what_is_asked_and_what_is_right_of_each_shape() -> None:
    said = (("system", "be brief"), ("user", "hi"), ("assistant", "ho"), ("user", "and?"), ("assistant", "no"))
    turns = tuple(Message(role, text) for role, text in said)
    assert (asked(Labelled("1", "text", "label")), replied(Labelled("1", "text", "label"))) == ("text", "label")
    assert (asked(Pair("1", "p", "c")), replied(Pair("1", "p", "c"))) == ("p", "c")
    assert (asked(Text("1", "text")), replied(Text("1", "text"))) == ("text", "")
    assert asked(Chat("1", turns)) == "system: be brief\nuser: hi\nassistant: ho\nuser: and?"
    assert replied(Chat("1", turns)) == "no"
    assert (asked(Chat("1", turns[:2])), replied(Chat("1", turns[:2]))) == ("system: be brief\nuser: hi", "")


def test_numbers_in_words() -> None:
    found = {"value": -0.12345, "low": -0.2, "high": 0.1, "n": 1234, "n_unjudged": 0, "method": "bca"}
    assert words.number_of(found).whole == "−0.123 (95\u00a0% interval −0.200 to 0.100), n\u00a0=\u00a01,234"
    assert words.number_of({**found, "value": 71.23, "low": 60.0, "high": 80.26}).whole.startswith("71.2 (95\u00a0% interval 60.0 to 80.3)")
    assert words.number_of({**found, "value": None, "low": None, "high": None, "n": 0}).whole == "not measured"
    assert words.number_of(None).as_text == "–"
    one = {"a": "x", "b": "y", "metric": "m", "difference": 0.1, "low": -0.1, "high": 0.3, "p": 0.5, "p_holm": 0.5, "test": "t", "n": 9}
    assert words.difference_of(one).whole == "+0.100 (95\u00a0% interval −0.100 to +0.300), n\u00a0=\u00a09"


def test_which_way_is_better_is_known_of_each_metric_and_of_no_other() -> None:
    assert [words.direction(name) for name in ("accuracy", "loss_nats", "length", "beauty")] == [1, -1, 0, 0]
    assert words.metric_about("beauty") == ""
    assert words.metric_about("loss_nats").count("lower is better") == 1
    assert "lower is better" not in words.metric_about("accuracy")


def test_a_figure_takes_its_colours_from_the_page_and_its_ids_are_its_own() -> None:
    def plot(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=svg.FIRST)
        axes.set_xlabel("$a$ & <b>")
        axes.set_yticks([0.5], ["日本"])

    one, two = (svg.draw(name, "Title <i>", "Text & more", 2.0, plot) for name in ("one", "two"))
    tree = etree.fromstring(one.alone.encode())
    assert "".join(tree.itertext()).count("$a$ & <b>") == 1
    assert not re.search(r"#[0-9a-f]{6}", one.inline)
    assert "var(--first)" in one.inline and "prefers-color-scheme:dark" in one.alone
    ids = [set(re.findall(r' id="([^"]+)"', figure.inline)) for figure in (one, two)]
    assert ids[0] and ids[0].isdisjoint(ids[1])
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', one.inline)) <= ids[0]
    assert one == svg.draw("one", "Title <i>", "Text & more", 2.0, plot)
    assert "<metadata" not in one.alone and "DejaVu" not in one.alone


def test_few_is_marked_with_words(tmp_path: Path) -> None:
    from luthier.stages.report import write_page

    page = write_page(write_run(tmp_path / "run", Made(n_test=99))).read_text(encoding="utf-8")
    assert '<data value="99">99</data> (few)' in page
