"""Laws that every reader and every layout keeps; a new entry of either table must say here how a file of its kind is written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import polars
import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import SHAPES, from_record, to_record
from luthier.core.jsonvalue import dump
from luthier.data.files.record import RawFile, Record
from luthier.data.readers import AnyReader, Conll, Csv, Json, Jsonl, Paragraphs, Parallel, Parquet, PlainText, Tsv
from luthier.data.shapes import LAYOUTS, AnyLayout, settle
from luthier.data.shapes.columns import Sample
from luthier.data.shapes.written import as_record, with_spelling
from luthier.data.source.reading import BadRow, Data, read, recognise
from luthier.data.source.survey import READERS, suffix_of
from luthier.data.source.writing import write_records

ROWS = ({"text": "Die Brücke knarrt.", "label": "a"}, {"text": "new strings, please", "label": "b"}, {"text": "日本の弓 ok", "label": "a"})


def _cells(delimiter: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(ROWS[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ROWS)
        path.write_bytes(out.getvalue().encode())

    return write


# Each reader with a way to write ROWS, and the place on which each row then starts.
WRITTEN: Mapping[type, tuple[Callable[[Path], object], list[int]]] = {
    Csv: (_cells(","), [2, 3, 4]),
    Tsv: (_cells("\t"), [2, 3, 4]),
    Json: (lambda path: path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8"), [2, 6, 10]),
    Jsonl: (lambda path: path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8"), [1, 2, 3]),
    Parquet: (lambda path: polars.DataFrame(list(ROWS)).write_parquet(path), [1, 2, 3]),
    Conll: (lambda path: path.write_text("Die O\nBrücke B-PART\n\nEin O\nBogen B-PART\n", encoding="utf-8"), [1, 4]),
    PlainText: (lambda path: path.write_text("__label__a Die Brücke knarrt.\n" * 4, encoding="utf-8"), [1, 2, 3, 4]),
}
# Two readers are asked for by what stands beside a file or by the recipe, and not by an ending; their tests are in their unit's.
WITHOUT_ENDING = (Parallel, Paragraphs)
READER_KINDS = tuple(kind for kind in get_args(AnyReader) if kind not in WITHOUT_ENDING)


def test_every_reader_is_tested_here_or_has_no_ending_of_its_own() -> None:
    assert set(WRITTEN) == set(READER_KINDS)
    assert [kind.suffixes for kind in WITHOUT_ENDING] == [(), ()]


def _written(kind: type[AnyReader], folder: Path) -> Path:
    path = folder / f"rows{kind.suffixes[0]}"
    WRITTEN[kind][0](path)
    return path


@pytest.mark.parametrize("kind", READER_KINDS)
def test_every_row_comes_back_with_the_place_on_which_it_starts(kind: type[AnyReader], tmp_path: Path) -> None:
    path = _written(kind, tmp_path)
    file = RawFile(path, path.name)
    rows = list(kind.sniff(file, asked=False).read(file))
    assert all(isinstance(row, Record) for row in rows)
    assert [row.line for row in rows if isinstance(row, Record)] == WRITTEN[kind][1]
    if kind not in (PlainText, Conll):
        assert [row.values for row in rows if isinstance(row, Record)] == list(ROWS)


@pytest.mark.parametrize("kind", READER_KINDS)
def test_a_packed_file_reads_as_the_file_itself(kind: type[AnyReader], tmp_path: Path) -> None:
    path = _written(kind, tmp_path)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    plain = [to_record(row) for row in _read(path)]
    assert [{**to_record(row), "source": ""} for row in _read(packed)] == [{**row, "source": ""} for row in plain]
    assert len(plain) == len(WRITTEN[kind][1])


@pytest.mark.parametrize("kind", [kind for kind in READER_KINDS if kind is not Parquet])
def test_a_byte_order_mark_changes_nothing(kind: type[AnyReader], tmp_path: Path) -> None:
    path = _written(kind, tmp_path)
    plain = [to_record(row) for row in _read(path)]
    text = path.read_text(encoding="utf-8")
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        path.write_bytes(text.encode(encoding))
        assert [to_record(row) for row in _read(path)] == plain, encoding


@pytest.mark.parametrize("kind", READER_KINDS)
def test_an_empty_file_is_an_error_that_names_it(kind: type[AnyReader], tmp_path: Path) -> None:
    path = tmp_path / f"rows{kind.suffixes[0]}"
    path.write_bytes(b"")
    with pytest.raises(LuthierError) as caught:
        recognise(Data(str(path)))
    assert (caught.value.where, caught.value.problem) == (str(path), "the file is empty")


@pytest.mark.parametrize("kind", READER_KINDS)
def test_a_binary_file_under_any_name_is_an_error_that_names_it(kind: type[AnyReader], tmp_path: Path) -> None:
    path = tmp_path / f"rows{kind.suffixes[0]}"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(LuthierError) as caught:
        recognise(Data(str(path)))
    assert caught.value.where == str(path)
    assert "not" in caught.value.problem


@pytest.mark.parametrize("kind", READER_KINDS)
def test_a_damaged_packed_file_is_an_error_that_names_it(kind: type[AnyReader], tmp_path: Path) -> None:
    path = _written(kind, tmp_path)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-12])
    with pytest.raises(LuthierError) as caught:
        recognise(Data(str(packed)))
    assert caught.value.where == str(packed)


@pytest.mark.parametrize("kind", READER_KINDS)
def test_formats_endings_and_names_are_one_reader_each(kind: type[AnyReader], tmp_path: Path) -> None:
    assert READERS[kind.format] is kind
    for suffix in kind.suffixes:
        assert [other for other in READER_KINDS if suffix in other.suffixes] == [kind]
        assert suffix_of(tmp_path / f"a.b{suffix.upper()}.gz") == suffix


@pytest.mark.parametrize("kind", [Csv, Tsv, Json, Jsonl])
def test_memory_does_not_grow_with_the_rows(kind: type[AnyReader], tmp_path: Path) -> None:
    row = {"text": "x" * 1000, "label": "a"}
    path = tmp_path / f"rows{kind.suffixes[0]}"
    if kind in (Csv, Tsv):
        mark = "," if kind is Csv else "\t"
        path.write_text(f"text{mark}label\n" + f"{row['text']}{mark}a\n" * 8_000)
    else:
        path.write_text(json.dumps([row] * 8_000) if kind is Json else (json.dumps(row) + "\n") * 8_000)
    file = RawFile(path, path.name)
    tracemalloc.start()
    n_rows = sum(1 for _ in kind.sniff(file, asked=False).read(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 8_000
    assert peak < 2_500_000 < path.stat().st_size / 3


# Each layout with records written so. The first record is whole.
CALL = '{"name": "find", "arguments": {"x": 1}}'
ASKED, SAID = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
LAID_OUT: Mapping[str, list[dict[str, object]]] = {
    "openai chat": [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "function_call", "value": CALL}, {"from": "tool", "value": "1"}]}
    ],
    "dialogue": [{"turns": [{"speaker": "USER", "text": "hi", "acts": []}, {"speaker": "SYSTEM", "text": "hello", "acts": ["greet"]}]}],
    "prompt/completion in messages": [{"prompt": [ASKED], "completion": [SAID]}],
    "openai preference": [{
        "input": {"messages": [ASKED], "tools": [], "parallel_tool_calls": True}, "preferred_output": [SAID],
        "non_preferred_output": [{"role": "assistant", "content": "no"}],
    }],
    "chosen/rejected": [{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}],
    "ranked replies": [{"prompt": "hi", "responses": ["a", "b", "c"], "ranks": [2, 1, 2]}],
    "rated replies": [{"prompt": "hi", "completion": "hello", "label": True}],
    "squad": [{
        "context": "A bow has hair. Horse hair.", "question": "What has a bow?",
        "answers": {"text": ["hair", "Horse hair"], "answer_start": [10, 16]},
    }],
    "token tags": [{"tokens": ["Ann", "sings"], "ner_tags": ["B-PER", "O"]}],
    "translation": [{"translation": {"de": "Der Bogen.", "en": "The bow."}}],
    "text+score": [{"sentence1": "a bow", "sentence2": "the bow", "score": 4.5}, {"sentence1": "x", "sentence2": "y", "score": 1}],
    "alpaca": [{"instruction": "add", "input": "1 1", "output": "2"}, {"instruction": "sing", "input": "", "output": "la"}],
    "prompt/completion": [{"prompt": "1+1", "completion": "2"}],
    "label first in the line": [{"text": f"__label__a tune {n}"} for n in range(4)],
    "text+label": [{"text": "hi", "label": "greeting"}],
    "plain text": [{"text": "Once upon a time"}],
}


@pytest.mark.parametrize("kind", get_args(AnyLayout))
def test_a_layout_is_recognised_by_its_own_records(kind: type[AnyLayout]) -> None:
    assert type(settle(Sample(tuple(LAID_OUT[kind.name])), {}, None, "rows")) is kind  # type: ignore[arg-type]
    assert LAYOUTS[kind.name] is kind
    assert set(kind.needs) <= set(kind.roles)


@pytest.mark.parametrize("kind", get_args(AnyLayout))
def test_a_layouts_examples_have_its_shape_and_survive_being_written(kind: type[AnyLayout]) -> None:
    layout = settle(Sample(tuple(LAID_OUT[kind.name])), {}, None, "rows")  # type: ignore[arg-type]
    for record in LAID_OUT[kind.name]:
        example = layout.example(record, "id", {"source": "rows:1", "extra": {"page": 3}})  # type: ignore[arg-type]
        assert type(example) is SHAPES[layout.shape]
        assert from_record(to_record(example)) == example
        assert all(column in layout.said() for column in layout.fields.values())


@pytest.mark.parametrize("kind", get_args(AnyLayout))
def test_a_layouts_rows_are_written_back_as_they_were_read(kind: type[AnyLayout], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    beside = {} if kind.name == "label first in the line" else {"id": 7, "page": {"b": 1, "a": [None]}, "é": 1.0}
    records = [{**beside, **record, **beside} | ({"id": n} if beside else {}) for n, record in enumerate(LAID_OUT[kind.name])]
    path.write_text("".join(dump(record) + "\n" for record in records), encoding="utf-8")
    rows, found = _read(path), recognise(Data(str(path)))
    layout = LAYOUTS[found.layout](found.fields)
    assert type(layout) is kind
    write_records(tmp_path / "again.jsonl", lambda: (as_record(from_record(to_record(row)), layout, found.columns) for row in rows))
    assert (tmp_path / "again.jsonl").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", get_args(AnyLayout))
def test_a_row_that_was_changed_is_written_so_that_it_reads_back_changed(kind: type[AnyLayout]) -> None:
    records = LAID_OUT[kind.name]
    layout = settle(Sample(tuple(records)), {}, None, "rows")  # type: ignore[arg-type]
    for record in records:
        example = layout.example(record, "id", {"source": "", "extra": {}})  # type: ignore[arg-type]
        changed = with_spelling(example, record, layout, tuple(record)).map_text(lambda text: text.replace("h", "H").replace("a", "A"))  # type: ignore[arg-type]
        written = as_record(changed, layout, tuple(record))
        assert layout.example(written, "id", {"source": "", "extra": {}}).fields() == changed.fields()
        assert set(written) >= set(record)


@pytest.mark.parametrize("kind", get_args(AnyLayout))
def test_a_row_that_lacks_what_its_layout_needs_is_a_bad_row_with_its_place(kind: type[AnyLayout], tmp_path: Path) -> None:
    records = LAID_OUT[kind.name]
    layout = settle(Sample(tuple(records)), {}, None, "rows")  # type: ignore[arg-type]
    for role in (role for role in kind.needs if role in layout.fields):
        path_of = layout.fields[role].partition(".")[0]
        broken = {name: value for name, value in records[0].items() if name != path_of} | {"other": 1}
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, [*records, broken, *records])))
        rows = list(read(Data(str(path)), recognise(Data(str(path)))))
        bad = [row for row in rows if isinstance(row, BadRow)]
        assert len(rows) == 2 * len(records) + 1
        assert [row.source for row in bad] == [f"rows.jsonl:{len(records) + 1}"]
        assert path_of in bad[0].problem


@pytest.mark.parametrize("kind", [kind for kind in get_args(AnyLayout) if kind.name != "label first in the line"])
def test_columns_without_a_role_are_kept_aside(kind: type[AnyLayout], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({**record, "page": 3, "where": {"shelf": [1]}}) for record in LAID_OUT[kind.name]))
    rows = _read(path)
    aside = {"page": 3, "where": {"shelf": [1]}}
    # Of a column that fields reach into, what they leave there is kept with it.
    whole = {"translation": LAID_OUT[kind.name][0]["translation"]} if kind.name == "translation" else {}
    assert [dict(row.extra) for row in rows] == [whole | aside] * len(LAID_OUT[kind.name])


def _read(path: Path) -> list:
    data = Data(str(path))
    rows = list(read(data, recognise(data)))
    assert not any(isinstance(row, BadRow) for row in rows)
    return rows
