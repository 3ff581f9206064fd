"""Labels in doubt: confident learning by hand, folds that keep what hangs together, and flipped labels found again."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from luthier.core.examples import AnyExample, Labelled, Text
from luthier.core.files import read_jsonl
from luthier.data.cleaning import doubt
from luthier.data.cleaning.doubt import Doubt, Judged, cross_validated, doubts
from luthier.data.kept.additions import going
from luthier.data.pipeline import clean
from luthier.data.steps import LabelErrors
from luthier.data.steps.label_errors import FILE, suspects_in
from luthier.data.tools import Tools

TOPICS = {
    "repair": ["crack", "glue", "bridge", "soundpost", "varnish", "broken", "scroll", "repair", "seam", "open"],
    "lesson": ["lesson", "teacher", "monday", "practise", "scales", "pupil", "book", "cancel", "hour", "beginner"],
    "rental": ["rent", "month", "deposit", "return", "contract", "size", "hire", "extend", "quarter", "loan"],
}


def rows_of(n: int, flipped: int = 0, seed: int = 0) -> tuple[list[AnyExample], dict[str, str]]:
    """Messages about three topics, some of them under another's label: the rows, and the right label of those."""
    draw = random.Random(seed)
    rows: list[AnyExample] = []
    right: dict[str, str] = {}
    for i in range(n):
        label = list(TOPICS)[i % 3]
        text = " ".join(draw.choices(TOPICS[label], k=9)) + f" {i}"
        given = label
        if i < flipped:
            given = draw.choice([one for one in TOPICS if one != label])
            right[f"r{i}"] = label
        rows.append(Labelled(f"r{i}", text, given, source=f"x.csv:{i}", extra={"who": f"g{i // 2}"}))
    return rows, right


def test_a_row_is_in_doubt_where_it_is_confidently_of_another_class() -> None:
    # The mean probability of the given class: 0.7 over rows 0-2 of class 0, 0.6 over rows 3-4 of class 1.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32)
    found = doubts(probabilities, np.array([0, 0, 0, 1, 1]))
    assert set(found) == {2}
    assert found[2] == Doubt(1, pytest.approx(0.6), pytest.approx(0.4))
    probabilities[4] = [0.75, 0.25]
    # Now class 1 takes 0.525, and row 4 reaches class 0's 0.7.
    assert doubts(probabilities, np.array([0, 0, 0, 1, 1])).keys() == {2, 4}


def test_of_several_confident_classes_the_likeliest_counts() -> None:
    probabilities = np.array([[0.5, 0.2, 0.3], [0.1, 0.2, 0.7], [0.45, 0.25, 0.3], [0.2, 0.3, 0.5]], dtype=np.float32)
    # Least: class 0 0.35 (rows 0, 3), class 1 0.25 (row 2), class 2 0.7 (row 1).
    found = doubts(probabilities, np.array([0, 2, 1, 0]))
    assert {i: one.suggested for i, one in found.items()} == {2: 0, 3: 1}


def test_a_class_that_nobody_was_given_is_suggested_to_nobody() -> None:
    assert doubts(np.array([[0.1, 0.9], [0.2, 0.8]], dtype=np.float32), np.array([0, 0])) == {}


def test_folds_keep_clusters_whole_and_share_out_labels() -> None:
    clusters = np.array([i // 3 * 3 for i in range(60)])
    judged = Judged([f"r{i}" for i in range(60)], ["a", "b"], np.array([i % 2 for i in range(60)]), clusters)
    folds = doubt._folds(judged, 5, 0)
    assert all(len({int(fold) for fold in folds[low : low + 3]}) == 1 for low in range(0, 60, 3))
    assert Counter(Counter(folds.tolist()).values()) == {12: 5}
    assert folds.tolist() != doubt._folds(judged, 5, 1).tolist()


def test_no_row_is_judged_by_a_model_that_saw_its_twin() -> None:
    # Each text stands there twice, and nothing but itself tells its label: who has seen the twin knows, who has not must guess.
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for _ in range(40)]
    texts = [word for word in words for _ in range(2)]
    given = np.array([i // 2 % 2 for i in range(80)])
    ids = [f"r{i}" for i in range(80)]

    def confidence(clusters: list[int]) -> float:
        with tempfile.TemporaryFile() as file:
            found = cross_validated(Judged(ids, ["a", "b"], given, np.array(clusters)), lambda: texts, 5, 0, file)
            return float(found[np.arange(80), given].mean())

    assert confidence(list(range(80))) > 0.7
    assert confidence([i // 2 * 2 for i in range(80)]) < 0.55


def test_flipped_labels_are_found_and_the_right_ones_suggested(tmp_path: Path) -> None:
    rows, right = rows_of(300, flipped=30)
    cleaned = clean(rows, [LabelErrors()], tools=Tools(home=tmp_path))
    assert [row.example for row in cleaned.kept] == rows
    listed = list(read_jsonl(tmp_path / FILE))
    found = {str(one["id"]): str(one["suggested"]) for one in listed}
    assert found.items() <= right.items() and len(found) >= 27
    margins = [one["p_suggested"] - one["p_given"] for one in listed]  # type: ignore[operator]
    assert margins == sorted(margins, reverse=True)
    first = listed[0]
    row = next(one for one in rows if one.id == first["id"])
    assert isinstance(row, Labelled)
    assert (first["source"], first["text"], first["label"]) == (row.source, row.text, row.label)
    assert set(first) == {"id", "source", "text", "label", "suggested", "p_suggested", "p_given"}


def test_the_list_depends_on_the_rows_and_the_seed_and_not_on_their_order(tmp_path: Path) -> None:
    rows, _ = rows_of(120, flipped=12)
    once, again, other = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    for folder, seed, some in ((once, 0, rows), (again, 0, rows), (other, 0, rows[::-1])):
        folder.mkdir()
        clean(some, [LabelErrors()], tools=Tools(home=folder, seed=seed))
    assert (once / FILE).read_bytes() == (again / FILE).read_bytes()
    assert suspects_in(once).keys() == suspects_in(other).keys()


def test_only_training_rows_in_doubt_are_dropped_and_only_when_asked(tmp_path: Path) -> None:
    rows, right = rows_of(150, flipped=20)
    clean(rows, [LabelErrors()], tools=Tools(home=tmp_path))
    train = rows[:10] + rows[60:]
    gone = going(lambda: train, [LabelErrors(action="drop")], None, 0, tmp_path)
    suspects = suspects_in(tmp_path)
    assert set(gone) == suspects.keys() & {f"r{i}" for i in range(10)} != suspects.keys()
    assert all(one[:2] == ("label_errors", "label in doubt") for one in gone.values())
    name = next(iter(gone))
    given = next(row.label for row in rows if row.id == name and isinstance(row, Labelled))
    assert gone[name][2] == suspects[name] and suspects[name].startswith(f"given {given}, {right[name]} is likelier (0.")
    assert going(lambda: train, [LabelErrors()], None, 0, tmp_path) == {}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [Text("t", "no label")],
        [Labelled("a", "x", None), Labelled("b", "y", None)],
        [Labelled(f"r{i}", "one label only", "x") for i in range(9)],
        [Labelled(f"r{i}", "!!!", "xy"[i % 2]) for i in range(20)],
        [Labelled(f"r{i}", "", "xy"[i % 2]) for i in range(20)],
        [Labelled(f"r{i}", f"bow {i}", "xy"[i % 2]) for i in range(4)],
    ],
)
def test_where_nothing_can_be_told_nothing_is_listed(rows: list[AnyExample], tmp_path: Path) -> None:
    assert len(clean(rows, [LabelErrors()], tools=Tools(home=tmp_path)).kept) == len(rows)
    assert list(read_jsonl(tmp_path / FILE)) == []


def test_rows_without_a_label_among_the_others_are_passed_over(tmp_path: Path) -> None:
    rows, right = rows_of(150, flipped=9)
    mixed = [one for row in rows for one in (Labelled(f"w{row.id}", "waits", None), row, Text(f"t{row.id}", "prose"))]
    clean(mixed, [LabelErrors()], tools=Tools(home=tmp_path))
    assert set(suspects_in(tmp_path)) <= set(right) and len(suspects_in(tmp_path)) >= 7


def test_rows_of_a_label_that_is_too_rare_are_not_judged(tmp_path: Path) -> None:
    rows, _ = rows_of(120)
    rare = [Labelled(f"x{i}", f"crack glue bridge soundpost varnish broken scroll {i}", "odd") for i in range(3)]
    clean([*rows, *rare], [LabelErrors(folds=4)], tools=Tools(home=tmp_path))
    assert suspects_in(tmp_path) == {}
    clean([*rows, *rare], [LabelErrors(folds=3)], tools=Tools(home=tmp_path))
    assert set(suspects_in(tmp_path)) == {"x0", "x1", "x2"}


def test_models_fitted_on_some_of_the_rows_judge_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubt, "MOST_FITTED", 150)
    monkeypatch.setattr(doubt, "MOST_CHARACTERS", 10)
    monkeypatch.setattr(doubt, "_AT_ONCE", 7)
    rows, right = rows_of(300, flipped=20)
    clean(rows, [LabelErrors()], tools=Tools(home=tmp_path))
    assert len(suspects_in(tmp_path).keys() & right.keys()) >= 15
    assert len(suspects_in(tmp_path).keys() - right.keys()) <= 5
