"""A learning curve in words and as a page: numbers as they are, nothing promised that is not told, other people's words made harmless."""

from __future__ import annotations

from dataclasses import replace

from tests.pages import addresses, parsed, words

from luthier.evaluate.learning import Advice, Contrast
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.metrics.loss import Loss
from luthier.evaluate.page.curve_page import CurveShown, curve_page

POINTS = tuple(Contrast(0.5 + 0.1 * j, 0.02, 30.0, 200) for j in range(5))
TOLD = Advice("<b>refund</b>", 250, 200, 0.02, 0.01, 0.03)
SILENT = Advice("other", 40, 20, 0.01, -0.02, 0.04, "the interval does not exclude zero")
FEW = Advice("rare", 3, 2, None, None, None, "there is nothing to measure it by")
WHOLE = Advice(None, 800, 500, 0.04, 0.03, 0.05)
CURVE = CurveShown("a run <i>", Accuracy(), (50, 100, 200, 400, 800), 3, 200, POINTS, POINTS[0], (WHOLE, SILENT, TOLD, FEW), 1)


def test_what_is_told_stands_in_points_with_its_interval() -> None:
    assert CURVE.sentence(TOLD) == "200 more rows of “<b>refund</b>”: +2.0 ± 1.0 points of its F1."
    assert CURVE.sentence(CURVE.advice[0]) == "500 more rows: +4.0 ± 1.0 points of accuracy."
    said = CURVE.sentence(SILENT)
    assert said == "20 more rows of “other”: can't tell (the interval does not exclude zero: -2.0 to +4.0 points of its F1)."
    assert CURVE.sentence(FEW) == "2 more rows of “rare”: can't tell (there is nothing to measure it by)."


def test_the_words_are_the_sizes_the_whole_and_only_labels_of_which_something_can_be_told() -> None:
    lines = CURVE.words()
    assert lines[0] == "50 rows: accuracy 0.500 (0.459 to 0.541)" and len(lines) == 5 + 3
    assert lines[5].startswith("500 more rows: +4.0") and lines[6].startswith("200 more rows of “<b>")
    assert lines[7] == "Of the other 2 labels: can't tell."
    silent = replace(CURVE, advice=(CURVE.advice[0], SILENT))
    assert silent.words()[-1] == "Of 1 label: can't tell."


def test_a_metric_without_bounds_is_told_as_it_is() -> None:
    loss = replace(CURVE, metric=Loss(), advice=(Advice(None, 800, 500, 0.04, 0.03, 0.05),))
    assert loss.sentence(loss.advice[0]) == "500 more rows: +0.040 ± 0.010 of loss_nats."


def test_json_has_every_number_and_says_what_is_advice() -> None:
    found = CURVE.as_dict()
    assert found["sizes"] == [50, 100, 200, 400, 800] and found["metric"] == "accuracy" and found["looks"] == 1
    assert [one["told"] for one in found["advice"]] == [True, False, True, False]  # type: ignore[union-attr,index,call-overload]
    near_one = replace(CURVE, points=(*POINTS[:4], Contrast(0.99, 0.1, 5.0, 9)))
    assert near_one.as_dict()["points"][4]["high"] == 1.0  # type: ignore[index,call-overload]
    assert replace(CURVE, points=(None, *POINTS[1:])).as_dict()["points"][0] is None  # type: ignore[index]


def test_the_page_is_valid_closed_in_itself_and_harmless() -> None:
    page = curve_page(CURVE)
    parsed(page)
    assert "<b>refund" not in page and "<i>" not in page
    assert [one for one in addresses(page) if not one.startswith("#")] == []
    text = words(page)
    assert "500 more rows: +4.0 ± 1.0 points of accuracy." in text and "one look at the test rows" in text
    assert page == curve_page(CURVE)
    assert "Rows of which label?" not in curve_page(replace(CURVE, advice=CURVE.advice[:1]))
