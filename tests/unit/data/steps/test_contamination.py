"""Rows that give a test away: which are dropped, and what is said about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.files import file_hash, write_jsonl
from luthier.core.messages import Message
from luthier.data.decisions import Dropped, Kept, ready
from luthier.data.pipeline import clean, tidied
from luthier.data.steps import Contamination
from luthier.data.tools import NO_TOOLS

QUESTION = "Which of the four strings of a violin is tuned first when the oboe gives the note to the orchestra"
ANSWER = "The A string, for the oboe plays that note, and the player goes on in fifths from there to D and G and E."


@pytest.fixture
def judge(tmp_path: Path) -> Contamination:
    rows = [
        {"prompt": QUESTION + "?", "completion": ANSWER},
        {"prompt": "How many strings has a viola da gamba?", "completion": "Six or seven."},
        {"prompt": "What is rosin?", "completion": "Hardened resin."},
    ]
    write_jsonl(tmp_path / "test.jsonl", rows)
    return Contamination(against=(str(tmp_path / "test.jsonl"),))


def judged(step: Contamination, row: AnyExample) -> Kept | Dropped:
    found = ready(step, NO_TOOLS).apply(row)  # type: ignore[union-attr]
    assert isinstance(found, Kept | Dropped)
    return found


@pytest.mark.parametrize("row", [
    Text("r", f"Long prose before it. {QUESTION.upper()} -- and prose behind it, of any length."),
    Text("r", "Something else. " + " ".join(QUESTION.split()[:13]) + " entirely."),
    Pair("r", "Say it.", "Well: " + " ".join(ANSWER.split()[3:17])),
    Chat("r", (Message("user", "Hm?"), Message("assistant", QUESTION.replace("of the", "of - the")))),
])  # fmt: skip
def test_a_run_of_thirteen_words_gives_a_test_row_away_and_the_row_is_named(judge: Contamination, row: AnyExample) -> None:
    found = judged(judge, row)
    assert isinstance(found, Dropped) and found.reason == "shares a run of words with a test row"
    assert found.detail.startswith("with test.jsonl:1: ") and len(found.detail.split(": ", 1)[1].split()) == 13


@pytest.mark.parametrize("row", [
    Text("r", "Something else. " + " ".join(QUESTION.split()[:12]) + " entirely."),
    Text("r", "What is rosin made of, and who sells the dark kind?"),
    Chat("r", (Message("system", QUESTION), Message("user", "Hello there"), Message("assistant", "Hello"))),
    Labelled("r", "", "x"),
])  # fmt: skip
def test_less_than_a_run_stays(judge: Contamination, row: AnyExample) -> None:
    assert judged(judge, row) == Kept()


def test_a_short_question_is_met_as_a_whole_wherever_it_stands(judge: Contamination) -> None:
    found = judged(judge, Text("r", "He asked: how many strings has a viola da gamba? Nobody knew."))
    assert found == Dropped("shares a run of words with a test row", "with test.jsonl:2: how many strings has a viola da gamba")
    assert judged(judge, Text("r", "He asked: how many strings has the viola da gamba? Nobody knew.")) == Kept()


def test_a_very_short_question_is_met_by_a_row_that_asks_nearly_the_same(judge: Contamination) -> None:
    found = judged(judge, Pair("r", "what is ROSIN", "I could not say, though I have used it all my life."))
    assert found == Dropped("nearly the same as a test row", "asks nearly the same as test.jsonl:3, similarity 0.90")


def test_the_length_of_a_run_and_the_threshold_are_options(judge: Contamination, tmp_path: Path) -> None:
    twelve = Text("r", "Something else. " + " ".join(QUESTION.split()[:12]) + " entirely.")
    assert isinstance(judged(Contamination(against=judge.against, n_words=12), twelve), Dropped)
    near = Pair("r", "so what is ROSIN", "I could not say.")
    assert judged(judge, near) == Kept()
    assert isinstance(judged(Contamination(against=judge.against, threshold=0.5), near), Dropped)


def test_rows_are_judged_in_the_pipeline_and_the_accounts_name_the_step(judge: Contamination) -> None:
    rows = [Text("1", "all new"), Text("2", QUESTION), Text("3", "new as well")]
    cleaned = clean(rows, [judge])
    assert [row.example.id for row in cleaned.kept] == ["1", "3"]
    assert [(row.example.id, row.step) for row in cleaned.dropped] == [("2", "contamination")]


def test_a_row_that_waits_for_its_answer_is_answered_though_the_test_sets_are_gone() -> None:
    row = Text("r", QUESTION)
    assert tidied(row, [Contamination(against=("/nowhere/at/all.jsonl",))]) == row


def test_test_sets_that_cannot_be_read_are_all_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"text": "fine"}\n{"text": \n', encoding="utf-8")
    step = Contamination(against=("gone.jsonl", str(tmp_path / "broken.jsonl")))
    with pytest.raises(LuthierError) as caught:
        ready(step, NO_TOOLS)
    assert len(caught.value.errors) == 2
    assert "broken.jsonl:2" in str(caught.value) and "gone.jsonl" in str(caught.value)


def test_paths_are_taken_from_the_folder_of_the_recipe(tmp_path: Path) -> None:
    step = Contamination(against=("test.jsonl", "../more", "/else/where.csv")).rooted(tmp_path / "a")
    assert step.files() == (str(tmp_path / "a/test.jsonl"), str(tmp_path / "more"), "/else/where.csv")
    assert [path for path, *_ in Contamination(against=()).complaints(frozenset())] == ["against"]
    assert [path for path, *_ in Contamination(against=("a", " ")).complaints(frozenset())] == ["against"]


def test_what_is_shipped_names_and_hashes_the_test_sets_and_not_their_places(judge: Contamination, tmp_path: Path) -> None:
    folder = tmp_path / "exams"
    folder.mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        write_jsonl(folder / name, [{"text": f"{QUESTION} in {name}"}])
    step = Contamination(against=(*judge.against, str(folder)), n_words=12)
    shipped = step.shipped()
    assert shipped.against == ("test.jsonl", "exams") and shipped.n_words == 12
    assert shipped.sha256[0] == file_hash(tmp_path / "test.jsonl") and len(shipped.sha256[1]) == 64
    assert str(tmp_path) not in repr(shipped)
    # Beside the test sets, wherever that is, it is the same step; beside others it is refused.
    row = Text("r", f"Something else. {QUESTION} entirely.")
    assert judged(shipped.rooted(tmp_path), row) == judged(step, row)
    write_jsonl(folder / "b.jsonl", [{"text": "another exam altogether, with other questions"}])
    write_jsonl(tmp_path / "test.jsonl", [{"text": "another test altogether, with other questions"}])
    with pytest.raises(LuthierError, match="not the test set that the recipe means") as caught:
        judged(shipped.rooted(tmp_path), row)
    assert [one.where for one in caught.value.errors] == [str(tmp_path / "test.jsonl"), str(folder)]
    assert isinstance(judged(step, row), Dropped), "nobody said which were meant, and they are taken as they are"


def test_a_folder_of_test_sets_is_told_by_its_names_and_contents(tmp_path: Path) -> None:
    def hashed(**files: str) -> str:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "exams"
        folder.mkdir(parents=True)
        for name, text in files.items():
            write_jsonl(folder / f"{name}.jsonl", [{"text": text}])
        return Contamination(against=(str(folder),)).shipped().sha256[0]

    assert hashed(a="one two", b="three four") == hashed(b="three four", a="one two")
    assert len({hashed(a="one two", b="three four"), hashed(a="three four", b="one two"), hashed(a="one two"), hashed(c="one two")}) == 4


def test_there_is_a_hash_for_each_test_set_or_none() -> None:
    said = [*Contamination(against=("a.jsonl", "b.jsonl"), sha256=("0" * 64,)).complaints(frozenset())]
    assert [where for where, *_ in said] == ["sha256"]
    assert not [*Contamination(against=("a.jsonl",), sha256=("0" * 64,)).complaints(frozenset())]
