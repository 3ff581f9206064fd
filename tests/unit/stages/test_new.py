"""The recipe that is written for a file somebody has: read back, it finds that file's rows."""

from __future__ import annotations

import csv
import json
from itertools import islice
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.data.sides.kinds import ByColumn
from luthier.data.source.reading import BadRow, read, recognise
from luthier.evaluate.metrics import TUNED
from luthier.stages import new
from luthier.stages.new import write_recipe
from luthier.stages.recipe import SHAPE_OF_TASK, Recipe, load_recipe

TEAMS = ("Billing", "Delivery", "Technical")


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(name: str, header: list[str], n: int = 30) -> Path:
    """A table of tickets: number, customer, text, team, day."""
    with open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([header] if header else [])
        writer.writerows([i, f"C{i % 20}", f"My parcel number {i} has not come yet.", TEAMS[i % 3], "2026-01-02"] for i in range(n))
    return Path(name)


def made(data: Path) -> tuple[str, Recipe]:
    """What is said of a file, and the recipe that is written for it."""
    written = write_recipe("mine", data)
    return written.said, load_recipe(written.path)


def test_columns_whose_names_tell_nothing_are_guessed_from_their_values_and_said_to_be() -> None:
    said, recipe = made(table("a.csv", ["No", "Who", "Ticket text", "Squad", "Created"]))
    assert recipe.data.fields == {"text": "Ticket text", "label": "Squad"}
    assert "guessed" in said and 'the task is "classify"' in said
    assert "guessed" in Path("mine.toml").read_text()
    assert len(list(read(recipe.data, recognise(recipe.data, "labelled")))) == 30


def test_a_table_without_a_header_is_refused_as_such_and_nothing_is_written() -> None:
    with pytest.raises(LuthierError, match="the first line seems to be a row already"):
        made(table("a.csv", []))
    assert not Path("mine.toml").exists()


def test_a_column_of_customers_ties_rows_however_its_name_is_spelled() -> None:
    _, recipe = made(table("a.csv", ["No", "Customer ID", "Message", "Team", "Created"]))
    assert recipe.data.group == "Customer ID"


def parted(name: str, sides: list[str]) -> Path:
    """A table of texts with labels, a column that says their sides, and one that says something else of each."""
    with open(name, "w", encoding="utf-8", newline="") as file:
        rows = [[f"My parcel number {i} has not come yet.", TEAMS[i % 3], side, f"test {i % 2}"] for i, side in enumerate(sides)]
        csv.writer(file).writerows([["text", "label", "part", "kind"], *rows])
    return Path(name)


def test_a_column_that_says_which_rows_are_the_test_is_kept_to() -> None:
    said, recipe = made(parted("a.csv", ["Train"] * 20 + ["dev"] * 5 + ["TEST"] * 5))
    assert recipe.data.split == ByColumn(column="part")
    assert '"part" says which rows are for training' in said


def test_a_test_that_stands_behind_all_rows_that_are_looked_at_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new, "MOST_LOOKED_AT", 10)
    _, recipe = made(parted("a.csv", ["train"] * 25 + ["test"] * 5))
    assert recipe.data.split == ByColumn(column="part")
    Path("mine.toml").unlink()
    _, recipe = made(parted("a.csv", ["train"] * 25 + ["other"] + ["test"] * 4))
    assert not isinstance(recipe.data.split, ByColumn)


def test_groups_do_not_thin_out_rows_that_a_column_parts() -> None:
    with open("a.csv", "w", encoding="utf-8", newline="") as file:
        rows = [[f"My parcel number {i} is late.", TEAMS[i % 3], "test" if i > 20 else "train", f"C{i % 9}"] for i in range(30)]
        csv.writer(file).writerows([["text", "label", "part", "customer_id"], *rows])
    _, recipe = made(Path("a.csv"))
    assert recipe.data.group is None
    assert '# group = "customer_id"' in Path("mine.toml").read_text()


@pytest.mark.parametrize(
    "sides", [["train"] * 30, ["train"] * 20 + ["other"] + ["test"] * 9, ["train", "", "test"] * 10, ["dev", "test"] * 15]
)
def test_a_column_that_parts_no_row_or_not_all_of_them_is_left_alone(sides: list[str]) -> None:
    said, recipe = made(parted("a.csv", sides))
    assert not isinstance(recipe.data.split, ByColumn) and "for training" not in said


def test_a_header_with_a_line_break_makes_a_recipe_that_can_be_read() -> None:
    _, recipe = made(table("a.csv", ["No", "Ticket\nowner", "Message", "Team", "Created\non"]))
    assert recipe.data.fields == {"text": "Message", "label": "Team"}


@pytest.mark.parametrize("odd", ["\x7f", "\x01", "\x1b[31m", '"', "\\", "\u2028", "\xa0", "#", "'''"])
def test_names_that_toml_has_to_spell_make_a_recipe_that_can_be_read(odd: str) -> None:
    name = f"a{odd}b.csv"
    _, recipe = made(table(name, ["No", f"Own{odd}er", f"Mess{odd}age", "Team", "Created"]))
    assert isinstance(recipe.data.source, str) and Path(recipe.data.source).name == name
    assert f"Mess{odd}age" in recipe.data.fields.values()
    assert len(list(read(recipe.data, recognise(recipe.data)))) == 30


def test_a_file_whose_name_is_no_text_is_refused_since_no_recipe_can_name_it() -> None:
    data = table("a\udcff.csv", ["No", "Owner", "Message", "Team", "Created"])
    with pytest.raises(LuthierError, match="its name is no text"):
        write_recipe("mine", data)
    assert not Path("mine.toml").exists()


def test_a_file_whose_name_begins_with_a_tilde_is_found_again() -> None:
    _, recipe = made(table("~rows.csv", ["No", "Owner", "Message", "Team", "Created"]))
    assert recipe.data.source == str(Path("~rows.csv").resolve())


def test_a_single_text_of_many_lines_is_read_line_by_line() -> None:
    Path("notes.txt").write_text("".join(f"Note number {i} is about the bridge.\n" for i in range(30)))
    _, recipe = made(Path("notes.txt"))
    assert recipe.data.format == "text"
    assert len(list(read(recipe.data, recognise(recipe.data, "text")))) == 30


def test_objects_are_not_taken_for_texts_and_the_texts_in_them_are_found() -> None:
    rows = ",".join(f'{{"body": {{"text": "My parcel number {i} is late."}}, "meta": {{"tag": "{TEAMS[i % 3]}"}}}}' for i in range(12))
    Path("a.json").write_text(f'{{"data": [{rows}]}}')
    _, recipe = made(Path("a.json"))
    assert recipe.data.fields == {"text": "body.text", "label": "meta.tag"}


TURNS = [{"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}]
KINDS: dict[str, tuple[object, str]] = {
    "a.jsonl": ([{"text": f"row {n}", "label": TEAMS[n % 3]} for n in range(12)], "classify"),
    "b.jsonl": ([{"question": f"row {n}", "answer": "yes"} for n in range(12)], "answer"),
    "c.jsonl": ([{"messages": TURNS, "n": n} for n in range(12)], "chat"),
    "d.jsonl": ([{"prompt": f"row {n}", "chosen": "a", "rejected": "b"} for n in range(12)], "prefer"),
    "e.jsonl": ([{"prompt": f"row {n}", "completion": "a", "label": True} for n in range(12)], "prefer"),
    "f.jsonl": ([{"tokens": ["a", "b"], "ner_tags": ["O", "B-X"], "n": n} for n in range(12)], "tag"),
    "g.jsonl": ([{"text": f"row {n}", "score": n / 8} for n in range(12)], "regress"),
    "h.jsonl": ([{"context": "a b", "question": f"row {n}", "answers": {"text": ["b"], "answer_start": [2]}} for n in range(12)], "answer"),
    "i.jsonl": ([{"translation": {"de": f"Zeile {n}", "en": f"row {n}"}} for n in range(12)], "answer"),
    "j.jsonl": ([{"text": f"row {n}"} for n in range(12)], "pretrain"),
    "k.json": ({"text": [f"row {n}" for n in range(12)], "label": [TEAMS[n % 3] for n in range(12)]}, "classify"),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_recipe_of_each_kind_of_rows_is_loaded_and_finds_them(name: str) -> None:
    rows, task = KINDS[name]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in (rows if isinstance(rows, list) else [rows])))
    said, recipe = made(Path(name))
    assert recipe.goal.task == task and f'the task is "{task}"' in said
    assert ("cannot be tuned yet" in said) == (task not in TUNED)
    found = recognise(recipe.data, SHAPE_OF_TASK[recipe.goal.task])
    assert len(list(read(recipe.data, found))) == 12


def test_a_file_with_its_translation_beside_it_makes_one_source_of_both() -> None:
    for language, word in (("de", "Zeile"), ("en", "row")):
        Path(f"train.{language}").write_text("".join(f"{word} {n}\n" for n in range(12)))
    said, recipe = made(Path("train.de"))
    assert [Path(one).name for one in recipe.data.source] == ["train.de", "train.en"]
    assert recipe.data.fields == {"prompt": "de", "completion": "en"} and "translations" in said
    assert len(list(read(recipe.data, recognise(recipe.data, "pair")))) == 12


def test_one_long_text_with_paragraphs_is_read_in_parts() -> None:
    Path("book.txt").write_text("\n\n".join(f"Paragraph {n}. " + "It goes on and on. " * 20 for n in range(90)))
    _, recipe = made(Path("book.txt"))
    assert recipe.data.format == "paragraphs"
    assert len(list(read(recipe.data, recognise(recipe.data, "text")))) > 10


def test_files_of_a_folder_that_are_no_rows_are_left_out_and_named() -> None:
    Path("set").mkdir()
    table("set/rows.csv", ["No", "Who", "Message", "Team", "Created"])
    Path("set/labels.json").write_text(json.dumps(TEAMS))
    said, recipe = made(Path("set"))
    assert "left out: labels.json" in said
    assert next(read(recipe.data, recognise(recipe.data))).source == "rows.csv:2"


def test_a_folder_of_several_kinds_of_rows_is_refused_with_the_kinds() -> None:
    Path("set").mkdir()
    Path("set/a.jsonl").write_text(json.dumps({"instruction": "a", "input": "", "output": "b"}))
    Path("set/b.jsonl").write_text(json.dumps({"messages": TURNS}))
    with pytest.raises(LuthierError, match=r"several kinds \(alpaca: a.jsonl; openai chat: b.jsonl\)"):
        made(Path("set"))


@pytest.mark.parametrize("name", [
    "alpaca_part/alpaca_part.json.gz", "banking77", "dolly", "gsm8k", "hh_rlhf", "llamafactory_demo/c4_demo.jsonl.gz",
    "llamafactory_demo/dpo_en_demo.json", "llamafactory_demo/glaive_toolcall_en_demo.json", "llamafactory_demo/kto_en_demo.json",
    "llamafactory_demo/wiki_demo.txt.gz", "medquad", "multi30k", "openbookqa", "readability_html/pages.tar.gz", "scitldr", "sgd",
    "sms_spam",
    "sst2/dev.tsv", "t0_mix", "trec_qc", "webnlg", "wikitext2/tinyshakespeare.txt.gz", "xquad", "peps", "presidio_pii",
])  # fmt: skip
def test_real_files_make_recipes_that_find_their_rows(shared: Path, name: str) -> None:
    _, recipe = made(shared / "data" / name)
    found = recognise(recipe.data, SHAPE_OF_TASK[recipe.goal.task])
    rows = list(islice(read(recipe.data, found), 300))
    assert len(rows) > 25
    assert not [row for row in rows if isinstance(row, BadRow)]

def test_a_few_rows_that_cannot_be_used_are_left_out_aloud_and_the_recipe_runs() -> None:
    path = table("a.csv", ["No", "Customer ID", "Message", "Team", "Created"])
    with open(path, "a", encoding="utf-8") as file:
        file.write("30,C1,My parcel is late.,,2026-01-02\n")
    said, recipe = made(path)
    assert "! Left out" in said and "1 of 31 rows, such as a.csv:32" in said
    assert recipe.data.bad_rows == "drop"
    assert "1 of 31 rows, such as a.csv:32" in Path("mine.toml").read_text(encoding="utf-8")


def test_many_rows_that_cannot_be_used_are_not_left_out() -> None:
    path = table("a.csv", ["No", "Customer ID", "Message", "Team", "Created"])
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(f"{i},C1,My parcel {i} is late.,,2026-01-02\n" for i in range(30, 36))
    said, recipe = made(path)
    assert "Left out" not in said and recipe.data.bad_rows == "error"


def test_where_all_rows_can_be_used_none_is_said_to_be_left_out() -> None:
    said, recipe = made(table("a.csv", ["No", "Customer ID", "Message", "Team", "Created"]))
    assert "Left out" not in said and recipe.data.bad_rows == "error"
    assert "bad_rows" not in Path("mine.toml").read_text(encoding="utf-8")
