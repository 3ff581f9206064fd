"""The recipe that is written for a file somebody has: read back, it finds that file's rows."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.data.source import read, recognise
from luthier.stages.new import write_recipe
from luthier.stages.recipe import Recipe, load_recipe

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


def test_a_header_with_a_line_break_makes_a_recipe_that_can_be_read() -> None:
    _, recipe = made(table("a.csv", ["No", "Ticket\nowner", "Message", "Team", "Created\non"]))
    assert recipe.data.fields == {"text": "Message", "label": "Team"}


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
