"""A tuned model at work: predict over files, interrupted and not, and chat."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.e2e.conftest import Given, Recipes
from tests.made_models import LABELS, Calls, listing, luthier, made_words, messages_of, read_csv, write_rows

from luthier.stages.answers_file import AnswersFile


@pytest.fixture
def classifier(given: Given, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run called `classify`, in the present folder."""
    assert given.after("tune").code == 0
    monkeypatch.chdir(given.folder)
    return given.folder


def test_csv_goes_in_and_the_same_columns_come_out_with_answer_score_and_abstain(classifier: Path) -> None:
    write_rows(Path("new.csv"), [{**row, "day": f"007,{i}\n"} for i, row in enumerate(messages_of(30, seed=9))])
    said = luthier("predict", "classify", "new.csv", "-o", "out.csv", "--json")
    assert (said.code, said.json["n_rows"], said.json["n_abstained"]) == (0, 30, 0)
    given, found = read_csv(Path("new.csv")), read_csv(Path("out.csv"))
    assert list(found[0]) == ["message", "intent", "day", "answer", "score", "abstain"]
    assert [{name: row[name] for name in given[0]} for row in found] == given
    assert {row["answer"] for row in found} <= set(LABELS)
    assert all(1 / 3 - 1e-6 <= float(row["score"]) <= 1 and row["abstain"] == "false" for row in found)
    assert "out.csv.partial.jsonl" not in listing(classifier)


def test_rows_need_no_label_and_other_forms_give_the_same_answers(classifier: Path) -> None:
    rows = [{"message": row["message"]} for row in messages_of(20, seed=3)]
    write_rows(Path("new.csv"), rows)
    write_rows(Path("new.jsonl"), rows)
    for name, out in (("new.csv", "a.csv"), ("new.jsonl", "b.jsonl"), ("new.jsonl", "c.json"), ("new.csv", "d.tsv")):
        assert luthier("predict", "classify", name, "-o", out).code == 0
    answers = [row["answer"] for row in read_csv(Path("a.csv"))]
    lines = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    assert [row["answer"] for row in lines] == answers == [row["answer"] for row in json.loads(Path("c.json").read_text())]
    assert list(lines[0]) == ["message", "answer", "score", "abstain"]
    assert [line.split("\t")[1] for line in Path("d.tsv").read_text().splitlines()[1:]] == answers


def test_answers_do_not_hang_on_the_rows_beside_them(classifier: Path) -> None:
    rows = [{"message": row["message"]} for row in messages_of(12, seed=4)]
    for name, part in (("all", rows), ("half", rows[6:])):
        write_rows(Path(f"{name}.jsonl"), part)
        assert luthier("predict", "classify", f"{name}.jsonl", "-o", f"{name}-out.jsonl").code == 0
    whole, half = ([json.loads(line) for line in Path(f"{name}-out.jsonl").read_text().splitlines()] for name in ("all", "half"))
    for a, b in zip(whole[6:], half, strict=True):
        assert a["answer"] == b["answer"]
        assert a["score"] == pytest.approx(b["score"], abs=2e-6)


def test_what_scores_below_the_bar_abstains(classifier: Path) -> None:
    write_rows(Path("new.csv"), messages_of(20, seed=5))
    assert luthier("predict", "classify", "new.csv", "-o", "plain.csv").code == 0
    scores = sorted(float(row["score"]) for row in read_csv(Path("plain.csv")))
    bar = (scores[9] + scores[10]) / 2
    said = luthier("predict", "classify", "new.csv", "-o", "out.csv", "--abstain-below", bar, "--json")
    found = read_csv(Path("out.csv"))
    assert [row["abstain"] == "true" for row in found] == [float(row["score"]) < bar for row in found]
    assert said.json["n_abstained"] == sum(score < bar for score in scores)


def test_a_file_is_never_written_over_and_rows_that_cannot_be_asked_are_refused(classifier: Path) -> None:
    write_rows(Path("new.csv"), messages_of(5))
    Path("out.csv").write_text("mine")
    Path("other.csv").write_text("title\nx\n")
    before = listing(classifier)
    for arguments, where in (
        (("new.csv", "-o", "out.csv"), "out.csv"), (("other.csv", "-o", "x.csv"), "other.csv:2"), (("new.csv", "-o", "x.xlsx"), "x.xlsx"),
        (("missing.csv", "-o", "x.csv"), "missing.csv"),
    ):  # fmt: skip
        said = luthier("predict", "classify", *arguments, "--json")
        assert said.code == 2
        assert where in said.json["errors"][0]["where"]
    assert listing(classifier) == before


def test_a_column_called_answer_is_kept_under_another_name(classifier: Path) -> None:
    write_rows(Path("new.csv"), [{**row, "answer": "42", "given_answer": "43"} for row in messages_of(3)])
    assert luthier("predict", "classify", "new.csv", "-o", "out.csv").code == 0
    (first, *_) = read_csv(Path("out.csv"))
    assert first["answer"] in LABELS
    assert (first["given_given_answer"], first["given_answer"]) == ("42", "43")


@pytest.mark.slow
def test_an_interrupted_prediction_goes_on_to_the_same_file(classifier: Path, calls: Calls) -> None:
    write_rows(Path("new.csv"), messages_of(600, seed=6))
    assert luthier("predict", "classify", "new.csv", "-o", "straight.csv").code == 0
    partial = Path("out.csv.partial.jsonl")
    arguments = ("predict", "classify", "new.csv", "-o", "out.csv", "--json")
    for event, number, code in ((1, 15, 130), (2, 2, 130), (2, 9, -9), (4, 9, -9)):
        said = calls.said(classifier, *arguments, event=event, number=number)
        assert said.code == code, said
        assert not Path("out.csv").exists()
    lines = partial.read_text().splitlines()
    assert len(lines) == 601, "all rows were answered, and the file was not yet in its place"
    marked = lines[3].replace('"answer":', '"answer":"was here","was":')
    partial.write_text("\n".join([*lines[:3], marked, *lines[4:300], lines[300][:20]]))
    assert calls.said(classifier, *arguments).code == 0
    found, wanted = (Path(name).read_text().replace(",was\n", "\n").splitlines() for name in ("out.csv", "straight.csv"))
    assert "was here" in found[3], "it began anew instead of going on"
    assert [row["answer"] for row in read_csv(Path("out.csv")) if row["answer"] != "was here"] == [
        row["answer"] for i, row in enumerate(read_csv(Path("straight.csv"))) if i != 2
    ]
    assert len(found) == len(wanted) == 601
    assert not partial.exists()


@pytest.mark.slow
def test_rows_answered_by_another_training_are_not_gone_on_from(classifier: Path, calls: Calls) -> None:
    write_rows(Path("new.csv"), messages_of(9, seed=6))
    assert luthier("predict", "classify", "new.csv", "-o", "first.jsonl").code == 0
    assert calls.said(classifier, "predict", "classify", "new.csv", "-o", "out.jsonl", event=4, number=9).code == -9
    assert len(Path("out.jsonl.partial.jsonl").read_text().splitlines()) == 10
    assert luthier("tune", "classify.toml", "--set", "train.epochs=4", "--set", "train.learning_rate=0.05").code == 0
    for out in ("out.jsonl", "again.jsonl"):
        assert luthier("predict", "classify", "new.csv", "-o", out).code == 0
    assert Path("out.jsonl").read_text() == Path("again.jsonl").read_text() != Path("first.jsonl").read_text()


@pytest.mark.parametrize("task", ["answer", "chat"])
def test_open_questions_get_open_answers(task: str, workplace: Path, recipes: Recipes) -> None:
    assert luthier("tune", recipes(workplace, task)).code == 0
    draw = random.Random(5)
    if task == "answer":
        rows: list[dict[str, object]] = [{"prompt": made_words(draw, 3)} for _ in range(6)]
    else:
        rows = [{"messages": [{"role": "user", "content": made_words(draw, 3)}]} for _ in range(6)]
    write_rows(Path("new.jsonl"), rows)
    assert luthier("predict", task, "new.jsonl", "-o", "out.jsonl").code == 0
    found = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    assert all(isinstance(row["answer"], str) and row["score"] is None and row["abstain"] is False for row in found)
    refused = luthier("predict", task, "new.jsonl", "-o", "x.jsonl", "--abstain-below", "0.5", "--json")
    assert (refused.code, refused.json["errors"][0]["where"]) == (2, "--abstain-below")


def test_a_model_of_text_has_nothing_to_answer(workplace: Path, recipes: Recipes) -> None:
    assert luthier("tune", recipes(workplace, "pretrain")).code == 0
    write_rows(Path("new.csv"), messages_of(3))
    assert luthier("predict", "pretrain", "new.csv", "-o", "x.csv").code == 2


def test_chat_answers_each_line_until_the_input_ends(workplace: Path, recipes: Recipes, model: Path) -> None:
    assert luthier("tune", recipes(workplace, "chat")).code == 0
    once = luthier("chat", "chat", stdin="ba ko mi\n\n/new\nba ko mi\n/quit\nnot read\n")
    assert once.code == 0
    first, second = once.out[: len(once.out) // 2], once.out[len(once.out) // 2 :]
    assert first == second and first.endswith("\n")
    assert luthier("chat", model, "--temperature", "1", "--seed", "3", stdin="ru te\n").code == 0


def test_options_that_change_nothing_are_refused_in_chat(classifier: Path, model: Path) -> None:
    for arguments, wheres in (
        ((model, "--seed", "3"), ["--seed"]), ((model, "--temperature", "0", "--seed", "3"), ["--seed"]),
        (("classify", "--temperature", "0.5", "--seed", "3"), ["--temperature", "--seed"]),
    ):  # fmt: skip
        said = luthier("chat", *arguments, stdin="ru te\n")
        assert said.code == 2, said
        assert [line.split(":")[0] for line in said.err.splitlines() if line.startswith("--")] == wheres


def test_what_a_model_cannot_read_is_told_with_the_answer(classifier: Path, model: Path) -> None:
    long = "ba ko mi ru te lo " * 200
    write_rows(Path("new.csv"), [{"message": "mend it"}, {"message": long}])
    said = luthier("predict", "classify", "new.csv", "-o", "out.csv", "--json").json
    assert said["n_cut"] == 1
    assert said["n_tokens_cut"] > 100
    assert "too long and cut: 1 (by" in luthier("predict", "classify", "new.csv", "-o", "again.csv").err
    for name in ("classify", model):
        spoken = luthier("chat", name, stdin=f"ru te\n{long}\n")
        assert spoken.err.count("! too long for the model:") == 1


def test_a_classifier_answers_each_line_with_its_labels(classifier: Path) -> None:
    said = luthier("chat", "classify", stdin="mend the broken neck\nhire it\n")
    assert said.code == 0
    lines = said.out.splitlines()
    assert len(lines) == 2
    assert {word for word in lines[0].split() if word[0].isalpha()} == set(LABELS)


def test_rows_to_answer_are_tidied_as_the_training_rows_were(classifier: Path) -> None:
    said = []
    for name, text in (("plain", "the café is red & warm"), ("dirty", "<p>the cafÃ© is   red &amp; warm</p>")):
        write_rows(Path(f"{name}.csv"), [{"message": text}])
        assert luthier("predict", "classify", f"{name}.csv", "-o", f"{name}.jsonl").code == 0
        said.append(json.loads(Path(f"{name}.jsonl").read_text(encoding="utf-8")))
    assert said[0]["score"] == said[1]["score"]
    assert "<p>" in said[1]["message"], "the row itself comes back as it was given"


def test_rows_to_answer_are_not_said_to_be_left_out_by_a_setting_that_only_training_rows_have(classifier: Path) -> None:
    Path("new.csv").write_text("message\nfine\na,b\n")
    said = luthier("predict", "classify", "new.csv", "-o", "out.csv", "--json")
    assert said.code == 2
    (error,) = said.json["errors"]
    assert error["where"] == "new.csv:3"
    assert "bad_rows" not in error["fix"]


def test_a_folder_of_rows_that_has_changed_is_answered_anew_and_the_answers_stand_elsewhere(classifier: Path) -> None:
    Path("new").mkdir()
    write_rows(Path("new/a.csv"), messages_of(4))
    inside = luthier("predict", "classify", "new", "-o", "new/out.csv", "--json")
    assert (inside.code, inside.json["errors"][0]["where"]) == (2, "new/out.csv")
    first = AnswersFile.begin(Path("out.jsonl"), Path("new"), Path("runs/classify/bundle"))
    first.add([{"answer": "was here"}], [0])
    assert AnswersFile.begin(Path("out.jsonl"), Path("new"), Path("runs/classify/bundle")).n_done == 1
    write_rows(Path("new/a.csv"), messages_of(4, seed=1))
    assert AnswersFile.begin(Path("out.jsonl"), Path("new"), Path("runs/classify/bundle")).n_done == 0
