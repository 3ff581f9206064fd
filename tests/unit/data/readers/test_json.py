"""JSON and JSONL: streaming, places of what is broken, and the shapes a document may have."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.data.files import encoding
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.readers import Json, Jsonl

VALUE = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)
ROW_LISTS = st.lists(st.dictionaries(st.text(max_size=5), VALUE, max_size=4), max_size=5)


def _rows(kind: type[Json] | type[Jsonl], path: Path, content: str) -> list[Record | BadRow]:
    path.write_text(content, encoding="utf-8")
    file = RawFile(path, path.name)
    return list(kind.sniff(file, asked=False).read(file))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROW_LISTS, st.sampled_from([{}, {"indent": 2}, {"ensure_ascii": False}]), st.sampled_from([1, 3, 17]))
def test_a_list_is_read_alike_however_its_bytes_are_cut(tmp_path: Path, rows: list, options: dict, n_bytes: int) -> None:
    text = json.dumps(rows, **options)
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "CHUNK_BYTES", n_bytes)
        found = list(Json().read(RawFile(path, path.name)))
    assert [row.values for row in found if isinstance(row, Record)] == rows
    assert len(found) == len(rows)


def test_the_one_list_of_objects_in_an_object_holds_the_rows(tmp_path: Path) -> None:
    text = '{"version": 1.1, "tags": ["a", "b"],\n "data": [\n  {"x": 1},\n  {"x": 2}\n], "more": {"data": [{"x": 3}]}}'
    assert _rows(Json, tmp_path / "a.json", text) == [Record({"x": 1}, 3), Record({"x": 2}, 4)]


def test_two_lists_of_objects_are_an_error_that_names_both(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match='"train" and "test"'):
        _rows(Json, tmp_path / "a.json", '{"train": [{"x": 1}], "test": [{"x": 2}]}')


@pytest.mark.parametrize(("text", "rows"), [
    ('{"x": {"0": "a", "1": "b"}, "y": {"0": 1, "1": 2}}', [{"x": "a", "y": 1}, {"x": "b", "y": 2}]),
    ('{"x": ["a", "b"], "y": [1, 2]}', [{"x": "a", "y": 1}, {"x": "b", "y": 2}]),
    ('{"r1": {"x": 1}, "r2": {"x": 2}}', [{"id": "r1", "x": 1}, {"id": "r2", "x": 2}]),
    ('{"r1": {"id": 5, "x": 1}, "r2": {"id": 6, "x": 2}}', [{"id": 5, "x": 1}, {"id": 6, "x": 2}]),
    ('{"x": ["a", "b"], "y": [1]}', [{"x": ["a", "b"], "y": [1]}]),
    ('{"x": ["a", "b"]}', [{"x": ["a", "b"]}]),
    ('{"r1": {"x": 1}, "r2": {"y": 2}}', [{"r1": {"x": 1}, "r2": {"y": 2}}]),
    ('{"x": 1, "y": {"z": 2}}', [{"x": 1, "y": {"z": 2}}]),
])  # fmt: skip
def test_an_object_without_a_list_of_objects_is_a_table_or_one_row(tmp_path: Path, text: str, rows: list) -> None:
    assert [row.values for row in _rows(Json, tmp_path / "a.json", text) if isinstance(row, Record)] == rows


@pytest.mark.parametrize("text", ["{}", '{"x": []}'])
def test_an_object_of_nothing_holds_no_rows_that_mean_anything(tmp_path: Path, text: str) -> None:
    assert len(_rows(Json, tmp_path / "a.json", text)) == (0 if text == "{}" else 1)


def test_squads_nesting_becomes_one_row_a_question(tmp_path: Path) -> None:
    text = json.dumps({"version": "1.1", "data": [{"title": "T", "paragraphs": [
        {"context": "a b", "qas": [{"id": "1", "question": "?", "answers": []}, "no question"]}, {"context": "c", "qas": 3},
    ]}]})  # fmt: skip
    rows = _rows(Json, tmp_path / "a.json", text)
    assert [row.values for row in rows if isinstance(row, Record)] == [
        {"title": "T", "context": "a b", "id": "1", "question": "?", "answers": []}
    ]
    assert [row.problem.partition(" of this article")[0] for row in rows if isinstance(row, BadRow)] == [
        "question 2 of paragraph 1", 'paragraph 2',
    ]  # fmt: skip


@pytest.mark.parametrize(("depth", "is_fit"), [(100, True), (101, False), (10_000, False)])
def test_json_that_nests_too_deeply_is_told_with_its_place(tmp_path: Path, depth: int, is_fit: bool) -> None:
    deep = f'{{"x": {"[" * (depth - 1)}{"]" * (depth - 1)}}}'
    good = '{"x": 1}'
    rows = _rows(Jsonl, tmp_path / "a.jsonl", f"{good}\n{deep}\n{good}\n")
    assert [row.source for row in rows if isinstance(row, BadRow)] == ([] if is_fit else ["a.jsonl:2"])
    assert len(rows) == 3
    try:
        found = [row.source for row in _rows(Json, tmp_path / "a.json", f"[{good},\n{deep},\n{good}]") if isinstance(row, BadRow)]
    except LuthierError as error:
        found = [error.where]
    assert found == ([] if is_fit else ["a.json:2"])


def test_a_number_of_thousands_of_digits_is_told_with_its_place(tmp_path: Path) -> None:
    huge = f'{{"x": {"1" * 5_000}}}'
    assert [row.source for row in _rows(Jsonl, tmp_path / "a.jsonl", f'{{"x": 1}}\n{huge}') if isinstance(row, BadRow)] == ["a.jsonl:2"]
    with pytest.raises(LuthierError, match="thousands of digits") as caught:
        _rows(Json, tmp_path / "a.json", f'[{{"x": 1}},\n{huge}]')
    assert caught.value.where == "a.json:2"


def test_a_json_file_with_an_object_a_line_is_read_line_by_line(tmp_path: Path) -> None:
    assert _rows(Json, tmp_path / "a.json", '{"x": 1}\n{"x": 2}\n') == [Record({"x": 1}, 1), Record({"x": 2}, 2)]


def test_an_entry_that_is_no_object_is_a_bad_row(tmp_path: Path) -> None:
    rows = _rows(Json, tmp_path / "a.json", '[{"x": 1},\n"two",\n12,\n{"x": 3}]')
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["a.json:2", "a.json:3"]
    assert [row.values for row in rows if isinstance(row, Record)] == [{"x": 1}, {"x": 3}]


BROKEN = [
    '[\n{"x": 1},\n{"x": 2,,}\n]', '[\n{"x": 1},\n{"x" 2}\n]', '[\n{"x": 1},\n{"x": "2]', '[\n{"x": 1},\n', '[\n{"x": 1}\n\n] []',
    '[\n{"x": 1},\n\t{"x": tru}\n]', '[\n{"x": 1}\n\n{"x": 2}]', '[\n{"x": 1},\n{"x": "a\nb"}]',
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("n_bytes", [1, 5, 1 << 18])
def test_a_syntax_error_ends_the_reading_with_its_line_and_never_loses_rows_in_silence(tmp_path: Path, text: str, n_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "CHUNK_BYTES", n_bytes)
        with pytest.raises(LuthierError) as caught:
            _rows(Json, tmp_path / "a.json", text)
    assert caught.value.where == ("a.json:4" if text in (BROKEN[4], BROKEN[6]) else "a.json:3")


def test_a_syntax_error_is_found_without_reading_the_rest_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"x": 1}, {"x": tru},' + '{"x": "long"},' * 500_000)
    reading = Json().read(RawFile(path, path.name))
    assert next(reading) == Record({"x": 1}, 1)
    tracemalloc.start()
    with pytest.raises(LuthierError, match="expecting value"):
        next(reading)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 < path.stat().st_size / 3


def test_line_17_of_a_jsonl_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    lines = [f'{{"x": {n}}}' for n in range(1, 31)]
    lines[16] = '{"x": 17'
    rows = _rows(Jsonl, tmp_path / "train.jsonl", "\n".join(lines))
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["train.jsonl:17"]
    assert rows[16].problem == "the line is not JSON: expecting ',' delimiter at column 9"  # type: ignore[union-attr]
    assert [row.line for row in rows if isinstance(row, Record)] == [*range(1, 17), *range(18, 31)]


@pytest.mark.parametrize(
    ("line", "word"), [("[1]", "a list"), ("3", "a number"), ('"a"', "a text"), ("null", "null"), ("true", "true or false")]
)
def test_a_jsonl_line_that_is_no_object_says_what_it_is(tmp_path: Path, line: str, word: str) -> None:
    rows = _rows(Jsonl, tmp_path / "a.jsonl", line)
    assert rows == [BadRow("a.jsonl:1", f"the line holds {word}, not an object")]


def test_a_jsonl_line_that_nests_too_deeply_is_a_bad_row(tmp_path: Path) -> None:
    rows = _rows(Jsonl, tmp_path / "a.jsonl", '{"x": ' + "[" * 100_000 + "\n" + '{"x": 1}')
    assert [type(row) for row in rows] == [BadRow, Record]


def test_blank_lines_count_but_are_no_rows(tmp_path: Path) -> None:
    assert _rows(Jsonl, tmp_path / "a.jsonl", '\n{"x": 1}\r\n  \n\n{"x": 2}\n\n') == [Record({"x": 1}, 2), Record({"x": 2}, 5)]


@pytest.mark.parametrize("kind", [Json, Jsonl])
def test_nan_is_a_missing_value(tmp_path: Path, kind: type[Json] | type[Jsonl]) -> None:
    rows = _rows(kind, tmp_path / "a.json", '[{"x": NaN}]' if kind is Json else '{"x": NaN}')
    assert rows == [Record({"x": None}, 1)]


def test_unicode_line_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    assert _rows(Jsonl, tmp_path / "a.jsonl", '{"x": "a\u2028b\x85c"}\n') == [Record({"x": "a\u2028b\x85c"}, 1)]


def test_a_number_that_two_pieces_of_the_file_share_is_one_entry(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "CHUNK_BYTES", 2)
        rows = _rows(Json, tmp_path / "a.json", '[12345,\n{"x": 1}]')
    assert rows == [BadRow("a.json:1", "this entry of the list is a number, not an object"), Record({"x": 1}, 2)]


@pytest.mark.parametrize("n_bytes", [1, 2, 1 << 18])
def test_undecodable_bytes_stop_a_json_document_with_their_line(tmp_path: Path, n_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "CHUNK_BYTES", n_bytes)
    path = tmp_path / "a.json"
    path.write_bytes(b'[\n{"x": "a"},\n{"x": "\xff"}]')
    with pytest.raises(LuthierError, match="0xff is not UTF-8") as caught:
        list(Json().read(RawFile(path, path.name)))
    assert caught.value.where == "a.json:3"
