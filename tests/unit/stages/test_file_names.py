"""Files whose names are no text: their rows are prepared like any others, and told by a spelling of the name that can be read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.made_models import ended, started

from luthier.core.files import read_jsonl
from luthier.data.pipeline import Prepare
from luthier.data.source.reading import Data
from luthier.stages.prepare import prepare

NAME = os.fsdecode(b"rows \xff.jsonl")
SAID = r"rows \udcff.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "rows"
    made.mkdir()
    rows = "".join(f'{{"text": "a message that is number {i} of them, {i * i}", "label": "{"ab"[i % 2]}"}}\n' for i in range(60))
    try:
        (made / NAME).write_text(rows, encoding="utf-8")
    except (OSError, UnicodeError):  # such names are not possible everywhere
        pytest.skip("this file system has no such names")
    return made


def test_rows_of_a_file_whose_name_is_no_text_are_prepared_with_their_places(folder: Path, tmp_path: Path) -> None:
    found = prepare(Data(source=str(folder)), Prepare(), 0, "labelled", tmp_path / "run")
    assert found.read == 60
    places = {str(one["source"]) for one in read_jsonl(tmp_path / "run/data/kept.jsonl.gz")}
    assert places <= {f"rows/{SAID}:{i}" for i in range(1, 61)} and len(places) == found.kept


def test_what_is_wrong_in_such_a_file_is_told_with_its_place(folder: Path) -> None:
    with (folder / NAME).open("a", encoding="utf-8") as file:
        file.write("{\n")
    (folder.parent / "r.toml").write_text('name = "r"\n[goal]\ntask = "classify"\n[data]\nsource = "rows"\n', encoding="utf-8")
    said = ended(started("prepare", "r.toml", "--json", folder=folder.parent, PYTHONIOENCODING="utf-8:strict"))
    assert said.code == 2 and "Traceback" not in said.err
    (error,) = said.json["errors"]
    assert f"{SAID}:61" in error["where"]
