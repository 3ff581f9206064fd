"""The report page as a whole: valid, closed in itself, safe, the same bytes, and true to the report."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.made_runs import Made, write_replies, write_run
from tests.pages import addresses, numbers, parsed, words

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json, write_jsonl, write_text
from luthier.core.runs import Run
from luthier.evaluate.report import Proof
from luthier.evaluate.verdict import Goal
from luthier.stages.report import write_page
from luthier.train.journal import read_entries

HOSTILE = (
    "<script>alert(1)</script><img src=http://example.org/x.png onerror=alert(1)>", "\u202eright to left\u2066 and \x00 nothing\x1b[31m",
    "שלום עולם", "long" * 400, "no character \ufffe none", "{{ 7 * 7 }} {% raw %}", "</style></svg>]]>&amp;<!--", "$x_1$ ^{2}",
)  # fmt: skip
SECTIONS = ("verdict", "next", "better", "learnt", "wrong", "confidence", "rows", "proven")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a classifier with its page."""
    made = write_run(tmp_path_factory.mktemp("runs") / "made")
    write_page(made)
    return made


def page_of(run: Run) -> str:
    """The page that a run has now."""
    return write_page(run).read_text(encoding="utf-8")


def test_the_page_is_valid_html_with_every_section_and_one_main_heading(run: Run) -> None:
    document = parsed(page_of(run))
    assert [one.get("id") for one in document.iter("h2")] == list(SECTIONS)
    assert len(list(document.iter("h1"))) == len(list(document.iter("main"))) == 1
    assert document.get("lang") == "en"
    ids = [one.get("id") for one in document.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    named = {name for one in document.iter() for name in (one.get("aria-labelledby") or "").split()}
    assert named and named <= set(ids)
    assert {one.get("href")[1:] for one in document.iter("a")} <= set(ids)


def test_every_table_has_a_caption_and_every_figure_words_and_every_heading_cell_a_scope(run: Run) -> None:
    document = parsed(page_of(run))
    tables, figures = list(document.iter("table")), list(document.iter("figure"))
    assert len(tables) >= 7 and all(one.find("caption") is not None for one in tables)
    assert all(cell.get("scope") in ("col", "row") for table in tables for cell in table.iter("th"))
    assert len(figures) == 5
    for one in figures:
        (svg,) = (child for child in one if child.tag.endswith("svg"))
        assert svg.get("role") == "img"
        assert [child.text for child in svg if child.tag.endswith(("title", "desc")) and child.text]
        assert "".join(one.find("figcaption").itertext()).strip()


def test_nothing_is_loaded_from_anywhere(run: Run) -> None:
    page = page_of(run)
    assert addresses(page)
    assert [one for one in addresses(page) if not one.startswith("#")] == []
    assert re.search(r"<(script|link|img|iframe|object|embed|form|base)\b", page) is None
    assert "default-src 'none'" in page
    for figure in (run.evaluation / "figures").glob("*.svg"):
        found = [one for one in addresses(figure.read_text()) if not one.startswith("#")]
        assert found == []


def test_the_same_files_give_the_same_bytes_and_so_does_a_copy_elsewhere(run: Run, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in [write_page(run), *sorted((run.evaluation / "figures").iterdir())]}
    shutil.copytree(run.folder, tmp_path / "other")
    copy = Run(tmp_path / "other")
    second = {path.name: path.read_bytes() for path in [write_page(copy), *sorted((copy.evaluation / "figures").iterdir())]}
    assert first == second
    assert set(first) == {"report.html", "learning.svg", "systems.svg", "confusions.svg", "reliability.svg", "data.svg"}


@pytest.mark.parametrize(
    ("took", "trained", "said"),
    [
        (60.0, 0.1, ""), (60.4, 0.1, "They took 60 s, which is longer than they are meant to: 60 s, or 10% of the "),
        (99.0, 16.4, ""), (101.0, 16.4, "They took 101 s, which is longer than they are meant to: 60 s, or 10% of the 1,000 s of training"),
    ],
)
def test_proofs_that_took_longer_than_they_may_are_told(took: float, trained: float, said: str, tmp_path: Path) -> None:
    """The journal has 60 steps and one validation, each of so many seconds."""
    run = write_run(tmp_path / "run", Made(validation=((60, 0.5),)))
    write_jsonl(run.metrics, [{**entry, "seconds": trained} for entry in read_entries(run.metrics)])
    report: Any = read_json(run.report)
    write_json(run.report, {**report, "seconds": {"prove": took, "tune": 1.0}})
    page = words(write_page(run).read_text(encoding="utf-8"))
    assert said in page and ("They took" in page) == bool(said)


def test_seconds_are_the_one_thing_of_a_report_that_the_page_leaves_out(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "other")
    other = Run(tmp_path / "other")
    before = page_of(other)
    report: Any = read_json(other.report)
    write_json(other.report, {**report, "seconds": {"tune": 12345.6}})
    assert page_of(other) == before
    write_json(other.report, {**report, "seed": 77})
    assert page_of(other) != before


def test_every_number_of_the_report_stands_on_the_page(run: Run) -> None:
    report: Any = read_json(run.report)
    page = page_of(run)
    shown = numbers(page)
    measured = [one for found in report["systems"].values() for one in found.values() if one["value"] is not None]
    assert len(measured) >= 8
    for one in measured:
        assert {one["value"], one["low"], one["high"], float(one["n"])} <= shown
    assert len(report["comparisons"]) == 3
    for one in report["comparisons"]:
        assert {one["difference"], one["low"], one["high"], one["p"], one["p_holm"]} <= shown
    text = words(page)
    for reason in report["reasons"]:
        assert reason["claim"] in text and reason["evidence"] in text
    assert all(name.replace("_", " ") in text and one["detail"] in text for name, one in report["proofs"].items())
    assert all(why in text for why in report["not_applicable"].values())


def test_what_is_shown_is_the_number_behind_it_rounded(run: Run) -> None:
    pairs = re.findall(r'<data value="([^"]+)">([^<]+)</data>', page_of(run))
    assert len(pairs) > 50
    for exact, shown in pairs:
        if shown == "&lt;0.0001":
            assert float(exact) < 1e-4
            continue
        digits = len(shown.partition(".")[2])
        assert abs(float(exact) - float(unescape(shown).replace("−", "-").replace(",", ""))) <= 0.5 * 10.0**-digits + 1e-12


def test_each_test_metric_has_its_interval_and_its_n(run: Run) -> None:
    document = parsed(page_of(run))
    (table,) = (one for one in document.iter("table") if "Metrics by system" in "".join(one.find("caption").itertext()))
    cells = [" ".join("".join(cell.itertext()).split()) for cell in table.iter("td")]
    assert len(cells) >= 16
    assert all(re.fullmatch(r"[\d.,]+ ?[\d.,]+ to [\d.,]+, n = [\d,]+( \(few\))?|not measured", cell) for cell in cells), cells


def hostile_run(folder: Path) -> Run:
    """A run whose rows and labels want to be markup."""
    labels = ("<b>bold</b>", "x\x07\u202ey", "$a_b$")
    return write_run(folder, Made(labels=labels, words=HOSTILE, right={"tuned": 0.0, "base": 0.0}, n_test=10))


def test_rows_that_want_to_be_markup_are_only_text(tmp_path: Path) -> None:
    run = hostile_run(tmp_path / "made")
    page = page_of(run)
    document = parsed(page)
    assert {one.tag for one in document.iter() if isinstance(one.tag, str)}.isdisjoint({"script", "img", "b"})
    text = words(page)
    assert "<script>alert(1)</script>" in text and "{{ 7 * 7 }}" in text and "</style></svg>]]>&amp;<!--" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]", page)
    assert "\u2400" in text and "\u241b[31m" in text and "\ufffd" in text
    assert "(1,600 characters)" in text
    assert "long" * 170 in text and "long" * 200 not in text


def test_figures_are_svg_that_a_strict_reader_accepts_whatever_the_labels(tmp_path: Path) -> None:
    from lxml import etree

    run = hostile_run(tmp_path / "made")
    write_page(run)
    figures = sorted((run.evaluation / "figures").glob("*.svg"))
    assert figures
    for path in figures:
        tree = etree.fromstring(path.read_bytes())
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    drawn = (run.evaluation / "figures" / "confusions.svg").read_text()
    assert "$a_b$" in drawn and "&lt;b&gt;bold&lt;/b&gt;" in drawn


def without(run: Run, folder: Path, *names: str) -> Run:
    shutil.copytree(run.folder, folder)
    for name in names:
        (folder / name).unlink()
    return Run(folder)


OPTIONAL = (
    "metrics.jsonl", "plan.json", "recipe.toml", "data/kept.jsonl.gz", "data/dropped.jsonl.gz", "data/cleaning.json",
    "evaluation/details.json", "evaluation/scores.jsonl.gz",
)  # fmt: skip


@pytest.mark.parametrize("absent", [*OPTIONAL, "all of them"])
def test_a_page_is_made_of_whatever_files_there_are(absent: str, run: Run, tmp_path: Path) -> None:
    page = page_of(without(run, tmp_path / "less", *([absent] if absent in OPTIONAL else OPTIONAL)))
    document = parsed(page)
    assert [one.get("id") for one in document.iter("h2")] == list(SECTIONS)
    assert "Ship" in words(page)


def test_a_run_without_a_report_is_refused_and_so_is_one_of_another_time(run: Run, tmp_path: Path) -> None:
    lost = without(run, tmp_path / "lost", "evaluation/report.json")
    with pytest.raises(LuthierError, match="it has no report"):
        write_page(lost)
    report: Any = read_json(run.report)
    write_json(lost.report, {**report, "schema": 2})
    with pytest.raises(LuthierError, match="schema is 2"):
        write_page(lost)


def test_a_figure_that_is_no_longer_drawn_leaves_no_file(run: Run, tmp_path: Path) -> None:
    other = without(run, tmp_path / "other")
    write_page(other)
    (other.folder / "metrics.jsonl").unlink()
    write_page(other)
    assert not (other.evaluation / "figures" / "learning.svg").exists()
    assert (other.evaluation / "figures" / "systems.svg").exists()


def first_screen(page: str) -> str:
    """The words up to the second section."""
    return words(page[: page.index('id="next"')])


def test_the_verdict_stands_first_and_in_words(run: Run, tmp_path: Path) -> None:
    assert "Ship: every claim holds" in first_screen(page_of(run))
    held = first_screen(page_of(write_run(tmp_path / "held", goal=Goal(task="classify", metric="accuracy", at_least=0.99))))
    assert "Hold: not every claim holds" in held and "accuracy is at least 0.99 does not hold" in held
    assert "This is the first look at these test rows." in held


def test_the_first_screen_says_that_the_classical_baseline_is_ahead(tmp_path: Path) -> None:
    made = Made(right={"tuned": 0.7, "base": 0.3, "majority": 0.34, "classical": 0.97})
    page = page_of(write_run(tmp_path / "made", made, Goal(task="classify", metric="accuracy", beat=("base",))))
    assert "Ship: every claim holds, but the classical baseline beats tuned" in first_screen(page)
    assert "! Note: the classical baseline beats tuned : tuned − classical = -0." in first_screen(page)
    assert "Consider the classical model instead" in words(page)


def test_words_on_differences_know_which_way_is_better(tmp_path: Path) -> None:
    made = Made(right={"tuned": 0.7, "base": 0.3, "majority": 0.68, "classical": 0.97})
    text = words(page_of(write_run(tmp_path / "made", made, Goal(task="classify", metric="brier", beat=("base",)))))
    assert "By brier: tuned is better than base by −" in text
    assert "no difference from majority is shown (" in text and "tuned is worse than classical by +" in text


@pytest.mark.parametrize(("shared", "said"), [((0, 0), "It holds."), ((0, 1), "Violated."), ((2, 0), "Violated.")])
def test_the_certificate_is_said_in_words(shared: tuple[int, int], said: str, tmp_path: Path) -> None:
    text = words(page_of(write_run(tmp_path / "made", Made(certificate=shared))))
    assert f"The split’s certificate {said} " in text


def test_a_certificate_that_held_and_no_longer_does_is_said_to_be_violated_and_what_to_do_next(tmp_path: Path) -> None:
    """The record of cleaning is from before somebody touched the rows; the proof joined them again afterwards."""
    proofs = {"split_certificate": Proof(False, "3 near-duplicates do")}
    text = words(page_of(write_run(tmp_path / "made", Made(n_test=600, proofs=proofs))))
    assert "The split’s certificate Violated, though it held when the rows were split: 3 near-duplicates do." in text
    assert "The test leaks: do not believe the scores Rows changed after they were split: 3 near-duplicates do." in text
    assert "Try something stronger" not in text and "It holds." not in text


def test_proofs_that_hold_are_counted_and_those_that_fail_are_marked(tmp_path: Path) -> None:
    proofs = {"one": Proof(True, "first"), "two": Proof(False, "second"), "three": Proof(True, "third")}
    text = words(page_of(write_run(tmp_path / "made", Made(proofs=proofs))))
    assert "2 of 3 proofs hold; 1 does not apply, with reasons." in text
    assert "one ✓ holds first" in text and "two ✗ fails second" in text
    assert "stop token trained not applicable a classifier writes no reply" in text


def test_looks_are_said(tmp_path: Path) -> None:
    page = words(page_of(write_run(tmp_path / "made", Made(looks=7))))
    assert "This is look 7 at these test rows: the claims are held to p < 0.00714" in page
    assert "Get fresh test rows" in page


def test_words_on_differences_are_held_to_the_bar_of_the_look_as_the_verdict_is(tmp_path: Path) -> None:
    for looks, said in ((1, "tuned is better than base by"), (6, "no difference from base is shown")):
        made = Made(n_test=60, looks=looks, right={"tuned": 0.72, "base": 0.5, "classical": 0.4})
        run = write_run(tmp_path / str(looks), made, Goal(task="classify", metric="accuracy", beat=("base",)))
        report: Any = read_json(run.report)
        assert 0.05 / 6 < next(one["p_holm"] for one in report["comparisons"] if one["b"] == "base") < 0.05
        assert f"By accuracy: {said}" in words(page_of(run))


def test_the_page_of_a_bad_run_tells_a_newcomer_what_to_do(tmp_path: Path) -> None:
    bad = Made(
        n_train=60, n_test=45, right={"tuned": 0.5, "base": 0.4, "majority": 0.34, "classical": 0.9}, sure=0.97, certificate=(2, 3),
        proofs={"split_certificate": Proof(False, "2 and 3"), "merged_equals_adapter": Proof(False, "they differ by 0.3")},
        validation=((0, 1.1), (10, 0.9), (20, 0.8), (30, 0.95), (40, 1.05)),
    )  # fmt: skip
    page = page_of(write_run(tmp_path / "bad", bad))
    document = parsed(page)
    (steps,) = (one for one in document.iter("ol") if one.get("class") == "advice")
    titles = ["".join(one.itertext()) for one in steps.iter("h3")]
    assert titles[:5] == [
        "The test leaks: do not believe the scores", "A proof fails: do not use this model", "Consider the classical model instead",
        "Add training rows before anything else", "Train for less long: it overfits from step 20 on",
    ]  # fmt: skip
    text = words(page)
    assert "It overfits from step 20 on" in text[text.index("Did it learn?") :]
    assert "✗ fails" in text or "fails they differ by 0.3" in text
    assert text.count("Do:") == len(titles)
    assert "Violated. " in text


def test_replies_have_scores_of_their_own_and_no_confidence(tmp_path: Path) -> None:
    run = write_replies(tmp_path / "replies")
    page = page_of(run)
    parsed(page)
    text = words(page)
    assert "Not applicable: the task answer has open answers" in text
    assert "tuned said it is none chrf of this row" in text
    assert "how much is" in text and "likeness 1.00; its reply:" in text
    assert "There are no labels to confuse" in text
    assert {path.stem for path in (run.evaluation / "figures").iterdir()} == {"learning", "systems", "row-scores", "data"}


def test_with_many_labels_the_confusions_are_a_list_and_every_label_is_in_the_table(tmp_path: Path) -> None:
    labels = [f"intent {i:02}" for i in range(77)]
    page = page_of(write_run(tmp_path / "many", Made(labels=labels, n_train=770, n_test=308, right={"tuned": 0.6, "base": 0.1})))
    document = parsed(page)
    (table,) = (one for one in document.iter("table") if "Labels, the lowest F1 first" in "".join(one.find("caption").itertext()))
    rows = ["".join(row[0].itertext()) for row in table.find("tbody")]
    assert sorted(rows) == labels
    assert re.search(r">intent \d\d → intent \d\d<", page)


def scored(run: Run) -> Iterator[dict[str, Any]]:
    with gzip.open(run.scores, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def test_the_worst_errors_are_the_surest_ones_each_with_its_nearest_training_rows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "made")
    rows = list(scored(run))
    wrong = [row["id"] for row in rows if row["systems"]["tuned"]["answer"] != row["gold"]]
    assert len(wrong) > 10
    page = page_of(run)
    shown = re.findall(r'id="error-\d+">\d+\. ([^<]+)<', page)
    assert len(shown) == 10
    assert words(page).count("likeness 0.") >= 30
    assert f"{len(wrong)} of 150 test rows got a wrong label" in words(page)


def test_the_page_needs_no_file_outside_the_run(run: Run, tmp_path: Path) -> None:
    alone = without(run, tmp_path / "alone")
    write_text(tmp_path / "looks.json", "{")
    assert page_of(alone) == page_of(run)


def test_a_number_without_rows_is_said_not_to_be_measured(run: Run, tmp_path: Path) -> None:
    other = without(run, tmp_path / "other")
    report: Any = read_json(other.report)
    report["systems"]["base"]["accuracy"] = {"value": None, "low": None, "high": None, "n": 0, "n_unjudged": 150, "method": None}
    write_json(other.report, report)
    page = page_of(other)
    parsed(page)
    assert "not measured" in words(page)


def test_a_system_and_a_metric_that_nobody_has_heard_of_are_shown_all_the_same(run: Run, tmp_path: Path) -> None:
    other = without(run, tmp_path / "other")
    report: Any = read_json(other.report)
    new = {"value": 0.1234567, "low": 0.1, "high": 0.2, "n": 150, "n_unjudged": 0, "method": "bca"}
    report["systems"]["retrieval"] = {"helpfulness": new, **report["systems"]["base"]}
    report["proofs"]["exported_equals_trained"] = {"holds": True, "detail": "to the last bit"}
    write_json(other.report, report)
    page = page_of(other)
    parsed(page)
    assert 0.1234567 in numbers(page)
    assert all(name in words(page) for name in ("retrieval", "helpfulness", "exported equals trained"))
