"""CSV and TSV: quotes, delimiters, headers, and rows that are broken."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.readers import Csv, Tsv


def _rows(kind: type[Csv] | type[Tsv], path: Path, content: str | bytes) -> list[Record | BadRow]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = RawFile(path, path.name)
    return list(kind.sniff(file, asked=False).read(file))


def _values(rows: list[Record | BadRow]) -> list[tuple[object, ...]]:
    return [tuple(row.values.values()) for row in rows if isinstance(row, Record)]


def _bad(rows: list[Record | BadRow]) -> list[str]:
    return [row.source for row in rows if isinstance(row, BadRow)]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=6), st.sampled_from([",", ";", "|", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_what_pythons_csv_module_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, end: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    path = tmp_path / "rows.csv"
    path.write_bytes(out.getvalue().encode())
    file = RawFile(path, path.name)
    assert _values(list(Csv(delimiter).read(file))) == rows


def test_a_quoted_cell_spans_lines_and_the_next_row_knows_its_line(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", 'text,label\r\n"one\r\ntwo, ""three""\r\n",x\r\nfour,y\r\n')
    assert rows == [Record({"text": 'one\ntwo, "three"\n', "label": "x"}, 2), Record({"text": "four", "label": "y"}, 5)]


def test_a_row_with_another_number_of_cells_is_bad_and_its_neighbours_are_not(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", "text,label\none,x\ntwo, three,y\nfour\nfive,z\n")
    assert _values(rows) == [("one", "x"), ("five", "z")]
    assert rows[1] == BadRow("a.csv:3", "the row has 3 cells where the header has 2", rows[1].fix)  # type: ignore[union-attr]
    assert rows[2] == BadRow("a.csv:4", "the row has 1 cell where the header has 2", rows[2].fix)  # type: ignore[union-attr]


def test_an_unclosed_quote_spoils_its_own_row_only(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", 'text,label\n"one,x\ntwo,y\n"three, four",z\nfive,w\n')
    assert _bad(rows) == ["a.csv:2"]
    assert _values(rows) == [("two", "y"), ("three, four", "z"), ("five", "w")]


def test_a_quote_that_is_never_closed_spoils_its_own_row_only(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", 'text,label\none,x\n"two,y\nthree,z\nfour,w')
    assert _bad(rows) == ["a.csv:3"]
    assert "never closed" in rows[1].problem  # type: ignore[union-attr]
    assert _values(rows) == [("one", "x"), ("three", "z"), ("four", "w")]


def test_text_behind_a_closing_quote_makes_a_bad_row(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", 'text,label\n"so-called" friend,x\nfriend,y\n')
    assert _bad(rows) == ["a.csv:2"]
    assert _values(rows) == [("friend", "y")]


def test_a_quote_inside_an_unquoted_cell_is_text(tmp_path: Path) -> None:
    assert _values(_rows(Csv, tmp_path / "a.csv", 'text,label\n5" pipe,x\n')) == [('5" pipe', "x")]


def test_a_cell_longer_than_pythons_limit_is_read(tmp_path: Path) -> None:
    long = "word " * 100_000
    assert _values(_rows(Csv, tmp_path / "a.csv", f'text,label\n"{long}",x\n{long},y\n')) == [(long, "x"), (long, "y")]


@pytest.mark.parametrize(
    ("delimiter", "said"), [(",", "CSV"), (";", "CSV with semicolons"), ("\t", "CSV with tabs"), ("|", "CSV with bars")]
)
def test_the_delimiter_is_found_though_others_stand_in_the_text(tmp_path: Path, delimiter: str, said: str) -> None:
    path = tmp_path / "a.csv"
    rows = _rows(Csv, path, f'text{delimiter}label\n"a, b; c | d"{delimiter}x\n"e,f;g"{delimiter}y\n')
    assert _values(rows) == [("a, b; c | d", "x"), ("e,f;g", "y")]
    assert Csv.sniff(RawFile(path, path.name), asked=False).said() == said


def test_the_delimiter_that_splits_rows_evenly_wins_where_the_header_holds_two(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", "text, as sent;label\nhello;x\nso, well;y\n")
    assert _values(rows) == [("hello", "x"), ("so, well", "y")]
    assert list(rows[0].values) == ["text, as sent", "label"]  # type: ignore[union-attr]


def test_a_spreadsheets_separator_line_is_obeyed(tmp_path: Path) -> None:
    assert _rows(Csv, tmp_path / "a.csv", "sep=;\ntext;label\na,b;x\n") == [Record({"text": "a,b", "label": "x"}, 3)]


def test_a_single_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert _values(_rows(Csv, tmp_path / "a.csv", "text\none\n\ntwo\n")) == [("one",), ("two",)]


def test_columns_without_a_name_are_numbered_and_names_lose_white_space(tmp_path: Path) -> None:
    assert _rows(Csv, tmp_path / "a.csv", ", text ,label\n0,a,x\n") == [Record({"column_1": "0", "text": "a", "label": "x"}, 2)]


def test_a_header_that_names_a_column_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="names text more than once") as caught:
        _rows(Csv, tmp_path / "a.csv", "text,label,text\na,x,b\n")
    assert caught.value.where == "a.csv:1"


def test_unicode_separators_inside_a_cell_end_no_row(tmp_path: Path) -> None:
    odd = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert _values(_rows(Csv, tmp_path / "a.csv", f"text,label\n{odd},x\n")) == [(odd, "x")]


def test_lines_that_end_in_carriage_returns_alone_are_lines(tmp_path: Path) -> None:
    rows = _rows(Csv, tmp_path / "a.csv", "text,label\rone,x\rtwo,y\r")
    assert rows == [Record({"text": "one", "label": "x"}, 2), Record({"text": "two", "label": "y"}, 3)]


def test_undecodable_bytes_and_nul_bytes_are_bad_rows_with_their_lines(tmp_path: Path) -> None:
    good = "schön,x\n".encode() * 3
    rows = _rows(Csv, tmp_path / "a.csv", b"text,label\n" + good + b"sch\xf6n,x\nno\0thing,y\n" + good)
    assert _bad(rows) == ["a.csv:5", "a.csv:6"]
    assert "0xf6 is not UTF-8" in rows[3].problem  # type: ignore[union-attr]
    assert "NUL" in rows[4].problem  # type: ignore[union-attr]
    assert len(_values(rows)) == 6


def test_quotes_of_a_tsv_are_text_where_they_do_not_close(tmp_path: Path) -> None:
    rows = _rows(Tsv, tmp_path / "a.tsv", 'label\ttext\nx\t"Hi" he said\ny\tplain\nz\t"\n')
    assert _values(rows) == [("x", '"Hi" he said'), ("y", "plain"), ("z", '"')]


def test_quotes_of_a_tsv_quote_where_all_of_them_close(tmp_path: Path) -> None:
    rows = _rows(Tsv, tmp_path / "a.tsv", 'label\ttext\nx\t"one\ttwo\nthree ""four"""\n"y"\tfive\n')
    assert _values(rows) == [("x", 'one\ttwo\nthree "four"'), ("y", "five")]
