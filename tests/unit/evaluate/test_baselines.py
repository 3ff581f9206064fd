from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from luthier.core.draws import permutation
from luthier.core.errors import LuthierError
from luthier.evaluate.baselines import AnyBaseline, Known, LogisticTfidf, Majority, NearestPrompt, Question, baselines_of
from luthier.evaluate.baselines.baseline import WORD
from luthier.evaluate.baselines.nearest import nearest
from luthier.evaluate.baselines.prompted import LabelNats, Reading, best_reading, read_labels
from luthier.evaluate.metrics import metric_named

STRINGS = [Known(f"my {x} string snapped", "strings") for x in ("first", "thin", "gut", "second", "new", "old")]
BOWS = [Known(f"the bow needs {x} hair", "bows") for x in ("new", "fresh", "white", "black", "more")]


@pytest.mark.parametrize("baseline", [Majority(), LogisticTfidf(), NearestPrompt()], ids=lambda one: type(one).__name__)
def test_every_baseline_answers_every_question_alike_each_time(baseline: AnyBaseline) -> None:
    questions = [Question("q1", "a string broke"), Question("q2", ""), Question("q3", "the BOW hair")]
    found = baseline.answer(STRINGS + BOWS, STRINGS[:2] + BOWS[:2], questions)
    assert found == baseline.answer(STRINGS + BOWS, STRINGS[:2] + BOWS[:2], questions)
    assert [answer.id for answer in found.answers] == ["q1", "q2", "q3"]
    assert all(answer.text in ("strings", "bows") for answer in found.answers)
    assert found.name == baseline.name
    assert found.about
    for answer in found.answers:
        if answer.probabilities is not None:
            assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_each_baseline_of_the_table_is_used_by_a_task() -> None:
    used = {type(one) for task in ("classify", "answer", "chat") for one in baselines_of(task)}  # type: ignore[arg-type]
    assert used == set(get_args(AnyBaseline))
    assert baselines_of("pretrain") == ()


@pytest.mark.parametrize("baseline", [Majority(), LogisticTfidf(), NearestPrompt()], ids=lambda one: type(one).__name__)
def test_a_baseline_without_training_rows_says_so(baseline: AnyBaseline) -> None:
    with pytest.raises(LuthierError, match="training rows"):
        baseline.answer([], [], [Question("q", "x")])


def test_the_majority_is_the_commonest_label_and_the_first_of_equals() -> None:
    found = Majority().answer(BOWS + STRINGS, [], [Question("q", "?")]).answers[0]
    assert (found.text, found.probabilities) == ("strings", {"bows": 5 / 11, "strings": 6 / 11})
    tie = [Known("x", "b"), Known("y", "a")]
    assert Majority(probabilities=False).answer(tie, [], [Question("q", "?")]).answers[0].text == "a"


def test_the_classical_baseline_learns_and_reads_parts_of_words() -> None:
    questions = [Question("q1", "snappedd strng"), Question("q2", "hairs on bows")]
    for validation in ([], STRINGS[:2] + BOWS[:2]):
        found = LogisticTfidf("macro_f1").answer(STRINGS + BOWS, validation, questions)
        assert [answer.text for answer in found.answers] == ["strings", "bows"]


def test_c_is_chosen_on_the_validation_rows() -> None:
    """So strong a penalty that every row gets the commoner label, or a weak one: validation sees the difference."""
    rows = [Known(f"please mend the {x} string", "strings") for x in ("old", "new", "red", "thin", "first", "last", "long", "fine")]
    rows += [Known(f"please mend the {x} bow", "bows") for x in ("old", "new")]
    questions = [Question("q", "the bow")]
    for grid, c in (((1e-6, 10.0), "10"), ((20.0, 10.0), "10"), ((1e-6,), "1e-06")):
        found = LogisticTfidf("accuracy", grid=grid).answer(rows, rows, questions)
        assert f"C = {c} " in found.about
        assert found.answers[0].text == ("bows" if c == "10" else "strings")


def test_one_label_or_no_text_cannot_be_learnt_from() -> None:
    with pytest.raises(LuthierError, match="all of them have the label 'bows'"):
        LogisticTfidf().answer(BOWS, [], [Question("q", "x")])
    with pytest.raises(LuthierError, match="none of them has any text"):
        LogisticTfidf().answer([Known(" ", "a"), Known("", "b")], [], [Question("q", "x")])


def test_a_validation_label_that_was_never_trained_is_a_miss() -> None:
    found = LogisticTfidf("macro_f1").answer(STRINGS + BOWS, [Known("a pick", "picks"), *BOWS], [Question("q", "bow hair")])
    assert found.answers[0].text == "bows"


def test_the_nearest_prompt_gives_its_own_reply() -> None:
    training = [Known("how do I tune a cello", "with pegs"), Known("how do I clean a flute", "with a rod"), Known("cello tune how", "no")]
    found = NearestPrompt().answer(training, [], [Question("a", "clean my flute please"), Question("b", "how do I tune a cello")])
    assert [answer.text for answer in found.answers] == ["with a rod", "with pegs"]


def labels(empty: list[float] | None = None) -> LabelNats:
    return LabelNats(("yes", "no"), np.array([1, 4]), None if empty is None else np.array(empty))


def test_readings_by_hand() -> None:
    rows, validation = np.array([[-3.0, -8.0]]), np.array([[-1.0, -8.0], [-3.0, -4.0]])
    nats = labels([-2.0, -2.0])
    assert nats.scores(rows, validation, Reading(False, "none")).tolist() == [[-3, -8]]
    assert nats.scores(rows, validation, Reading(True, "none")).tolist() == [[-3, -2]]
    assert nats.scores(rows, validation, Reading(False, "validation")).tolist() == [[-1, -2]]
    assert nats.scores(rows, validation, Reading(True, "validation")).tolist() == [[-1, -0.5]]
    assert nats.scores(rows, validation, Reading(True, "empty")).tolist() == [[-1, -1.5]]


def test_a_model_that_always_prefers_one_label_is_read_without_that_preference() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(2, size=80)
    rows = np.stack([np.where(true == 0, 1.0, 0.0), np.where(true == 1, 1.0, 0.0) - 9.0], axis=1) + rng.normal(0, 0.1, size=(80, 2))
    gold = [("yes", "no")[i] for i in true]
    said, about = read_labels(labels(), rows[:40], gold[:40], rows[40:], [str(i) for i in range(40)], metric_named("accuracy"))
    assert [answer.text for answer in said] == gold[40:]
    assert about.startswith("summed over tokens, label prior from the validation rows removed (validation accuracy 1.000")
    assert all(sum((answer.probabilities or {}).values()) == pytest.approx(1) for answer in said)


def test_the_plainest_reading_is_taken_where_nothing_can_choose_or_all_are_equal() -> None:
    rows = np.array([[0.0, -50.0], [-50.0, 0.0]])
    _, equal = read_labels(labels([0.0, 0.0]), rows, ["yes", "no"], rows, ["a", "b"], metric_named("accuracy"))
    assert equal.startswith("summed over tokens, no prior correction")
    said, blind = read_labels(labels(), np.empty((0, 2)), [], rows, ["a", "b"], metric_named("accuracy"))
    assert "no validation rows" in blind
    assert [answer.text for answer in said] == ["yes", "no"]


def test_the_classical_baseline_is_no_straw_man_on_intents(shared: Path) -> None:
    """Twenty intents of banking77; the whole set reaches 0.90 in the same way."""
    with open(shared / "data" / "banking77" / "train.csv", encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    names = sorted({label for _, label in rows})[:20]
    rows = [row for row in rows if row[1] in names]
    rows = [rows[i] for i in permutation(len(rows), "split")]
    known = [Known(*row) for row in rows]
    n = len(rows) // 5
    found = LogisticTfidf().answer(known[2 * n :], known[n : 2 * n], [Question(str(i), row.prompt) for i, row in enumerate(known[:n])])
    assert np.mean([answer.text == row.reply for answer, row in zip(found.answers, known[:n], strict=True)]) > 0.88


def test_the_nearest_rows_come_nearest_first_and_equals_in_their_order() -> None:
    texts = ["tune my cello", "clean the flute", "my cello is out of tune", "tune my cello", "nothing alike"]
    assert nearest(texts, ["tune my cello"], 3) == [[0, 3, 2]]
    assert nearest(texts, ["zebra", "flute"], 2) == [[0, 1], [1, 0]]
    assert nearest(texts, ["flute"], 99) == [[1, 0, 2, 3, 4]]
    assert nearest([], ["flute"], 4) == [[]]
    assert nearest(["", " "], ["flute", "?"], 1) == [[0], [0]]


def test_the_nearest_rows_are_those_of_a_whole_table_of_cosines() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=5)) for _ in range(400)]
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD).fit(texts)
    table = (vectors.transform(texts[:300]) @ vectors.transform(texts).T).todense().round(12)
    wanted = [sorted(range(400), key=lambda i: (-row[i], i))[:7] for row in table.tolist()]
    assert nearest(texts, texts[:300], 7) == wanted


def test_a_reading_is_chosen_by_the_least_of_a_score_that_is_better_low() -> None:
    """The plain reading is right and sure, and best by Brier's score; by its greatest value the worst would be taken."""
    rows = np.array([[0.0, -20.0], [-20.0, 0.0], [0.0, -20.0], [0.0, -20.0]])
    gold = ["yes", "no", "yes", "yes"]
    nats = LabelNats(("yes", "no"), np.array([1, 1]), np.array([5.0, -30.0]))
    for name in ("brier", "accuracy"):
        reading, value = best_reading(nats, rows, gold, metric_named(name))
        assert (reading, value) == (Reading(False, "none"), pytest.approx(0.0 if name == "brier" else 1.0, abs=1e-6))


def test_c_is_chosen_by_the_least_of_a_score_that_is_better_low() -> None:
    rows = [Known(f"please mend the {x} string", "strings") for x in ("old", "new", "red", "thin", "first", "last", "long", "fine")]
    rows += [Known(f"please mend the {x} bow", "bows") for x in ("old", "new")]
    found = LogisticTfidf("brier", grid=(1e-6, 10.0)).answer(rows, rows, [Question("q", "the bow")])
    assert "C = 10 " in found.about
