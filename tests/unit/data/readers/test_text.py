"""Plain text and Parquet."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import polars
import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled, Text
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.readers import Parquet, PlainText
from luthier.data.source.reading import Data, read, recognise


def _sniffed(path: Path, content: str, asked: bool) -> list[Record | BadRow]:
    path.write_text(content, encoding="utf-8")
    file = RawFile(path, path.name)
    return list(PlainText.sniff(file, asked).read(file))


def test_a_text_file_is_one_document_with_its_paragraphs(tmp_path: Path) -> None:
    assert _sniffed(tmp_path / "a.txt", "one\ntwo\n\nthree\n", asked=False) == [Record({"text": "one\ntwo\n\nthree"}, 1)]
    assert _sniffed(tmp_path / "a.txt", "one\ntwo\n\nthree\n", asked=True) == [Record({"text": "one\ntwo\n\nthree"}, 1)]


def test_lines_without_blanks_between_are_documents_only_where_the_recipe_says_text(tmp_path: Path) -> None:
    assert _sniffed(tmp_path / "a.txt", "one\ntwo\n\n\n", asked=False) == [Record({"text": "one\ntwo\n\n"}, 1)]
    assert _sniffed(tmp_path / "a.txt", "one\ntwo\n\n\n", asked=True) == [Record({"text": "one"}, 1), Record({"text": "two"}, 2)]


def test_lines_that_begin_with_fasttext_labels_are_labelled_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"__label__{name} tune the {name}\n" for name in ("lute", "viol", "harp", "bass")))
    rows = list(read(Data(str(path)), recognise(Data(str(path)))))
    assert [(row.text, row.label, row.source, dict(row.extra)) for row in rows if isinstance(row, Labelled)] == [
        (f"tune the {name}", name, f"a.txt:{n}", {}) for n, name in enumerate(("lute", "viol", "harp", "bass"), 1)
    ]


def test_lines_that_begin_with_repeating_types_are_labelled_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("NUM:date When was it made ?\nHUM:ind Who made it ?\n" * 3)
    rows = list(read(Data(str(path)), recognise(Data(str(path)))))
    assert [(row.text, row.label) for row in rows[:2] if isinstance(row, Labelled)] == [
        ("When was it made ?", "NUM:date"), ("Who made it ?", "HUM:ind"),
    ]  # fmt: skip
    assert len({row.id for row in rows if isinstance(row, Labelled)}) == 6


@pytest.mark.parametrize("lines", ["ROMEO: But soft!\n", "12:30 lunch\n12:31 coffee\n12:32 tea\n12:33 nap\n", "http://a.b see here\n"])
def test_speakers_times_and_addresses_are_no_labels(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(lines * (1 if "12" in lines else 6))
    rows = list(read(Data(str(path)), recognise(Data(str(path)))))
    assert [type(row) for row in rows] == [Text]


def test_a_document_with_an_undecodable_line_is_a_bad_row_and_no_example(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("schön\n".encode() * 3 + b"\xff\n")
    file = RawFile(path, path.name)
    assert [(type(row), row.source) for row in PlainText("file").read(file) if isinstance(row, BadRow)] == [(BadRow, "a.txt:4")]
    assert len(list(PlainText("file").read(file))) == 1


def test_parquet_values_become_what_json_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    day = datetime.date(2024, 2, 29)
    columns = {"d": [day], "n": [float("nan")], "l": [[{"a": [1, 2]}]], "m": [decimal.Decimal("1.50")], "b": [b"\x00\xff"], "z": [None]}
    polars.DataFrame(columns).write_parquet(path)
    assert list(Parquet().read(RawFile(path, path.name))) == [
        Record({"d": "2024-02-29", "n": None, "l": [{"a": [1, 2]}], "m": 1.5, "b": "AP8=", "z": None}, 1)
    ]


def test_parquet_rows_keep_their_order_over_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    polars.DataFrame({"n": range(3_500)}).write_parquet(path, row_group_size=700)
    rows = list(Parquet().read(RawFile(path, path.name)))
    assert [(row.values["n"], row.line) for row in rows if isinstance(row, Record)] == [(n, n + 1) for n in range(3_500)]


def test_a_file_that_is_no_parquet_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("text,label\na,b\n")
    with pytest.raises(LuthierError, match="not a Parquet file"):
        recognise(Data(str(path)))
