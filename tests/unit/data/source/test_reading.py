"""Sources: files, folders, ids, groups, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import polars
import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled, Text
from luthier.data.source.ids import record_hash
from luthier.data.source.reading import BadRow, Data, read, recognise


def _errors(data: Data) -> list[tuple[str, str, str]]:
    with pytest.raises(LuthierError) as caught:
        recognise(data)
    return [(error.where, error.problem, error.fix) for error in caught.value.errors]


def _read(data: Data) -> list:
    return list(read(data, recognise(data)))


def _jsonl(path: Path, *records: dict) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "tickets"
    (folder / "old").mkdir(parents=True)
    (folder / "b.csv").write_text("text,label\ntwo,x\n")
    _jsonl(folder / "a.jsonl", {"text": "one", "label": "x"})
    (folder / "old" / "c.tsv").write_text("text\tlabel\nthree\ty\n")
    (folder / "README.md").write_text("About these tickets.")
    (folder / ".hidden.csv").write_text("junk")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    rows = _read(Data(str(folder)))
    assert [row.text for row in rows] == ["one", "two", "three"]
    assert [row.source for row in rows] == ["tickets/a.jsonl:1", "tickets/b.csv:2", "tickets/old/c.tsv:2"]
    assert recognise(Data(str(folder))).said.startswith(
        "3 files of JSONL + CSV + TSV in UTF-8 (not read: tickets/README.md, tickets/picture.png); "
    )


def test_a_folder_of_texts_is_one_document_a_file(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt"):
        (tmp_path / name).write_text(f"# {name}\n\nwords")
    assert [row.text for row in _read(Data(str(tmp_path)))] == ["# a.txt\n\nwords", "# b.md\n\nwords"]


def test_files_of_one_name_in_two_folders_keep_their_paths(tmp_path: Path) -> None:
    paths = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        paths.append(_jsonl(tmp_path / folder / "a.jsonl", {"text": folder}))
    assert [row.source for row in _read(Data(tuple(paths)))] == [f"{path}:1" for path in paths]


def test_all_that_is_wrong_with_the_files_is_told_at_once(tmp_path: Path) -> None:
    _jsonl(tmp_path / "train.jsonl", {"text": "a"})
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "SMSCollection").write_text("ham\thello\n")
    sources = tuple(str(tmp_path / name) for name in ("trian.jsonl", "train.jsonl", "nothing", "empty.csv", "sheet.xlsx", "SMSCollection"))
    found = _errors(Data(sources))
    assert [(Path(where).name, problem) for where, problem, _ in found] == [
        ("trian.jsonl", "there is no such file or folder"), ("nothing", "the folder is empty"), ("empty.csv", "the file is empty"),
        ("sheet.xlsx", ".xlsx files are not read"), ("SMSCollection", "the name has no ending that tells the format"),
    ]  # fmt: skip
    assert found[0][2] == "did you mean train.jsonl?"
    assert found[3][2] == "save the sheet as CSV in UTF-8"
    assert 'format = "tsv"' in found[4][2]


def test_a_folder_that_holds_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert _errors(Data(str(tmp_path)))[0][:2] == (str(tmp_path), "none of the 1 files in the folder can be read")


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_header_without_rows_is_an_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_text("text,label\n")
    assert _errors(Data(str(path)))[0][:2] == (str(path), "the file has a header and no rows below it")


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", "\n \n"), ("a.json", "[]"), ("a.json", " \n"), ("a.txt", "\n\n")])
def test_a_file_without_rows_is_an_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert _errors(Data(str(tmp_path / name)))[0][1] == "the file holds no rows"


def test_a_file_whose_rows_are_all_broken_names_the_first_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("hello\nworld\n")
    found = _errors(Data(str(tmp_path / "a.jsonl")))
    assert [where for where, _, _ in found] == ["a.jsonl:1"]
    assert found[0][1].endswith("nor is any of the 1 rows behind it fit to be read")


def test_one_file_of_several_without_the_column_is_named(tmp_path: Path) -> None:
    a = _jsonl(tmp_path / "a.jsonl", {"text": "a", "label": "x"})
    b = _jsonl(tmp_path / "b.jsonl", {"text": "b", "klass": "x"})
    found = _errors(Data((a, b)))
    assert [error[:2] for error in found] == [("b.jsonl", 'there is no column "label" for label; there are "text", "klass"')]


def test_a_json_list_in_a_jsonl_file_is_read_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('[{"text": "a"},\n {"text": "b"}]')
    assert [row.text for row in _read(Data(str(tmp_path / "a.jsonl")))] == ["a", "b"]


def test_a_named_format_overrules_the_ending(tmp_path: Path) -> None:
    (tmp_path / "train.en").write_text("A dog.\nA cat.\n")
    assert [row.text for row in _read(Data(str(tmp_path / "train.en"), format="text"))] == ["A dog.", "A cat."]


def test_rows_without_ids_are_named_by_their_content_and_repeats_are_numbered(tmp_path: Path) -> None:
    a, b = {"text": "a", "label": "x"}, {"text": "b", "label": "x"}
    rows = _read(Data(_jsonl(tmp_path / "r.jsonl", a, b, {"label": "x", "text": "a"}, a)))
    assert [row.id for row in rows] == [record_hash(a), record_hash(b), f"{record_hash(a)}-2", f"{record_hash(a)}-3"]
    # BLAKE2b with 8 bytes of '{"label":"x","text":"a"}', by coreutils' `b2sum -l 64`.
    assert record_hash(a) == "90a9bc3424036a13"


def test_a_unique_id_column_names_the_rows(tmp_path: Path) -> None:
    rows = _read(Data(_jsonl(tmp_path / "r.jsonl", {"ID": 7, "text": "a"}, {"ID": " k ", "text": "b"})))
    assert [(row.id, dict(row.extra)) for row in rows] == [("7", {}), ("k", {})]


@pytest.mark.parametrize(
    "second", [{"id": 1, "text": "b"}, {"id": "1", "text": "b"}, {"id": None, "text": "b"}, {"text": "b"}, {"id": "", "text": "b"}]
)
def test_an_id_column_that_nobody_named_and_that_names_no_row_is_passed_over(tmp_path: Path, second: dict) -> None:
    # The fault stands behind the sample: the whole source decides.
    records = [{"id": n, "text": f"t{n}"} for n in range(1, 301)]
    rows = _read(Data(_jsonl(tmp_path / "r.jsonl", *records, second)))
    assert [row.id for row in rows] == [record_hash(record) for record in (*records, second)]
    assert rows[0].extra == {"id": 1}


def test_rows_that_stand_on_one_line_may_not_share_an_id_either(tmp_path: Path) -> None:
    days = [{"day": "mon", "text": "a"}, {"day": "tue", "text": "b"}, {"day": "mon", "text": "a"}]
    (tmp_path / "days.json").write_text(json.dumps(days))
    rows = _read(Data(str(tmp_path / "days.json"), id="day"))
    assert [type(row) for row in rows[:2]] == [Text, Text] and [row.id for row in rows[:2]] == ["mon", "tue"]
    assert isinstance(rows[2], BadRow) and 'the id "mon" is not its own' in rows[2].problem


def test_a_repeated_id_in_the_named_column_is_a_bad_row_that_names_the_first_place(tmp_path: Path) -> None:
    a = _jsonl(tmp_path / "a.jsonl", {"key": 1, "text": "a"}, {"key": 2, "text": "b"})
    b = _jsonl(tmp_path / "b.jsonl", {"key": 3, "text": "c"}, {"key": "2", "text": "d"}, {"key": "", "text": "e"})
    rows = _read(Data((a, b), id="key"))
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert [row.id for row in rows if not isinstance(row, BadRow)] == ["1", "2", "3"]
    assert [(row.source, row.problem) for row in bad] == [
        ("b.jsonl:2", 'the id "2" is not its own: the same id stands at a.jsonl:2'),
        ("b.jsonl:3", 'the id column "key" is empty or missing'),
    ]  # fmt: skip


def test_a_named_id_does_not_save_a_row_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"key": 1, "text": "a"}\n{"key": 2, "text": "cut \\ud83d"}\n')
    assert [type(row) for row in _read(Data(str(path), id="key"))][1] is BadRow


def test_the_group_stays_with_the_row(tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "r.jsonl", {"text": "a", "label": "x", "who": {"id": 5}}, {"text": "b", "label": "y", "who": {}})
    assert [row.extra.get("who.id") for row in _read(Data(source, group="who.id"))] == [5, None]
    row = _read(Data(source, group="label"))[0]
    assert row == Labelled(row.id, "a", "x", source="r.jsonl:1", extra={"who": {"id": 5}, "label": "x"})


def test_id_and_group_columns_that_are_not_there_are_told_together(tmp_path: Path) -> None:
    found = _errors(Data(_jsonl(tmp_path / "r.jsonl", {"text": "a", "customer": 1}), id="key", group="custmer"))
    assert [error[0] for error in found] == ["[data] id", "[data] group"]
    assert [error[1] for error in found] == ['there is no column "key"', 'there is no column "custmer"']
    assert found[1][2].startswith('did you mean "customer"?')


@pytest.mark.parametrize(
    ("text", "word"),
    [("cut \\ud83d off", "surrogate"), ('x", "n": 1e999, "m": "', "not finite"), ('x", "n": Infinity, "m": "', "not finite")],
)
def test_a_row_that_no_json_in_utf8_can_hold_is_a_bad_row(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"text": "a"}\n{"text": "' + text + '"}\n')
    rows = _read(Data(str(path)))
    assert [(row.source, word in row.problem) for row in rows if isinstance(row, BadRow)] == [("r.jsonl:2", True)]


def test_reading_twice_gives_the_same_rows(tmp_path: Path) -> None:
    data = Data(_jsonl(tmp_path / "r.jsonl", *({"text": f"t{n % 7}", "label": "x"} for n in range(30))))
    found = recognise(data)
    assert list(read(data, found)) == list(read(data, found))
    assert len({row.id for row in read(data, found) if not isinstance(row, BadRow)}) == 30


REAL = [
    ("banking77/train.csv", 10_003, "text+label"), ("sst2/dev.tsv", 6_735, "text+label"),
    ("sms_spam/SMSSpamCollection.tsv", 5_574, "text+label"),
    ("trec_qc/train.txt", 5_452, "label first in the line"), ("gsm8k/train.jsonl.gz", 7_473, "prompt/completion"),
    ("dolly/dolly.jsonl.gz", 15_003, "prompt/completion"), ("medquad/medquad.jsonl.gz", 10_977, "prompt/completion"),
    ("t0_mix/t0_mix.jsonl.gz", 8_292, "prompt/completion"), ("alpaca_part/alpaca_part.json.gz", 7_407, "alpaca"),
    ("llamafactory_demo/alpaca_zh_demo.json", 1_000, "alpaca"), ("llamafactory_demo/glaive_toolcall_en_demo.json", 300, "sharegpt"),
    ("llamafactory_demo/v1_sft_demo.jsonl.gz", 500, "openai chat"), ("mt_bench/sharegpt_dummy_conversations.json", 500, "sharegpt"),
    ("llamafactory_demo/c4_demo.jsonl.gz", 300, "plain text"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "n_rows", "layout"), REAL)
def test_real_files_are_recognised_and_every_row_is_read(shared: Path, name: str, n_rows: int, layout: str) -> None:
    data = Data(str(shared / "data" / name))
    found = recognise(data)
    rows = list(read(data, found))
    assert found.layout == layout
    assert not [row for row in rows if isinstance(row, BadRow)]
    assert len(rows) == n_rows == len({row.id for row in rows if not isinstance(row, BadRow)})


def test_an_encoding_for_parquet_is_refused_and_one_for_a_table_beside_it_is_not(tmp_path: Path) -> None:
    polars.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(LuthierError, match="no effect on Parquet") as found:
        recognise(Data(str(tmp_path / "a.parquet"), encoding="latin-1"))
    assert found.value.where == "[data] encoding"
    (tmp_path / "b.csv").write_text("text,label\nc,x\n")
    assert recognise(Data((str(tmp_path / "a.parquet"), str(tmp_path / "b.csv")), encoding="latin-1")).shape == "labelled"
