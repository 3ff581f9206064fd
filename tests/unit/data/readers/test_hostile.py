"""Input that nobody means well with, or that something is still writing: an error with its place, in bounded memory."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import polars
import pytest

from luthier.core.errors import LuthierError
from luthier.data.files import encoding
from luthier.data.files.encoding import MAX_LINE
from luthier.data.files.record import BadRow, RawFile, Record, RowError, printable
from luthier.data.readers import Csv, Jsonl, Parquet
from luthier.data.shapes.columns import lookup, put
from luthier.data.shapes.turns import openai_messages, sharegpt_messages
from luthier.data.source.reading import Data, read, recognise

GOOD = '{"text": "a row", "label": "x"}\n'


def rows_of(path: Path, **data: object) -> list:
    wanted = Data(str(path), **data)  # type: ignore[arg-type]
    return list(read(wanted, recognise(wanted)))


def test_of_a_line_of_a_gigabyte_no_more_is_held_than_the_longest_line_may_have(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with open(path, "wb") as file:
        file.write(GOOD.encode() + b'{"text": "' + b"x" * 10)
        file.seek(1 << 30, os.SEEK_CUR)  # a hole: it takes no place on the disk
        file.write(b'", "label": "y"}\n' + GOOD.encode())
    assert path.stat().st_size > 1 << 30
    tracemalloc.start()
    rows = list(Jsonl().read(RawFile(path, "a.jsonl")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.line for row in rows if isinstance(row, Record)] == [1, 3]
    assert [(row.source, row.problem) for row in rows if isinstance(row, BadRow)] == [
        ("a.jsonl:2", f"the line is longer than {MAX_LINE:,} bytes")
    ]
    assert peak < 3 * MAX_LINE


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("n_over", [-1, 0, 1, 300_000])
def test_a_line_may_be_as_long_as_the_longest_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, n_over: int
) -> None:
    monkeypatch.setattr(encoding, "MAX_LINE", 1_000)
    path = tmp_path / "a.txt"
    long = "x" * (999 + n_over)
    path.write_bytes(f"one\n{long}\nthree".encode(codec))
    found = list(encoding.lines(RawFile(path, "a.txt", codec)))
    assert found[0] == (1, "one") and found[-1] == (3, "three") and len(found) == 3
    assert (found[1] == (2, long)) == (n_over <= 0)
    assert isinstance(found[1], BadRow) == (n_over > 0)


def test_a_json_value_that_never_ends_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.data.readers import json as json_reader

    monkeypatch.setattr(json_reader, "MAX_LINE", 100_000)
    path = tmp_path / "a.json"
    path.write_text(f'[{GOOD},{{"text": "' + "never closed " * 100_000)
    with pytest.raises(LuthierError, match="never closed") as caught:
        rows_of(path)
    assert caught.value.where == "a.json:2"


def test_a_table_of_300_columns_with_quotes_gone_wrong_gives_every_row_back_or_says_where_it_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    header = ",".join(f"column {n}" for n in range(300))
    rows = [",".join(f"cell {n}" for n in range(300)) for _ in range(60)]
    for n, cell in ((5, '"never closed'), (17, 'a "quote" inside'), (29, '"closed" and more'), (41, '"a, b"'), (53, '"two ""quotes"""')):
        rows[n] = ",".join([cell, *rows[n].split(",")[1:]])
    path.write_text("\n".join([header, *rows]) + "\n")
    found = list(Csv().read(RawFile(path, "a.csv")))
    assert [row.source for row in found if isinstance(row, BadRow)] == ["a.csv:7", "a.csv:31"]
    assert len(found) == 60
    values = {row.line: row.values["column 0"] for row in found if isinstance(row, Record)}
    assert (values[19], values[43], values[55]) == ('a "quote" inside', "a, b", 'two "quotes"')
    path.write_text("\n".join([header.replace("column 7", '"column 7'), *rows]))
    with pytest.raises(LuthierError, match="the header cannot be read") as caught:
        rows_of(path)
    assert caught.value.where == "a.csv:1"


def test_a_damaged_parquet_file_gives_all_of_its_rows_or_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"row {n} of a table" for n in range(2_000)]
    polars.DataFrame({"text": texts}).write_parquet(path, row_group_size=500, compression="uncompressed", statistics=False)
    whole = path.read_bytes()
    cuts = [whole[:at] + whole[at + n :] for at in range(4, len(whole) - 8, len(whole) // 25) for n in (1, 40)]
    flips = [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in range(4, len(whole) - 8, len(whole) // 25)]
    ends = set()
    for damaged in (*cuts, *flips):
        path.write_bytes(damaged)
        try:
            rows = list(Parquet().read(RawFile(path, "a.parquet")))
        except LuthierError as error:
            ends.add((error.where, error.problem))
        else:
            assert len(rows) == 2_000
    # The library's thread that meets a page that is not whole ends without a word: the rows would be lost in silence.
    assert any("the rows end here" in problem and place.startswith("a.parquet:") for place, problem in ends)
    assert any("not a Parquet file that can be read" in problem for _, problem in ends)


def grows(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(GOOD.encode())


def shrinks(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10 * len(GOOD))


def is_replaced(path: Path) -> None:
    path.with_suffix(".new").write_bytes(path.read_bytes())
    os.replace(path.with_suffix(".new"), path)


def is_written_to(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"row", b"ROW"))
    os.utime(path, ns=(0, 12_345))


CHANGES = [(grows, "grew"), (shrinks, "shrank"), (is_replaced, "replaced"), (is_written_to, "written to"), (Path.unlink, "any more")]


@pytest.mark.parametrize(("change", "word"), CHANGES)
def test_a_file_that_changes_while_it_is_read_is_an_error_and_not_half_a_data_set(
    tmp_path: Path, change: Callable[[Path], None], word: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(GOOD * 30_000)
    data = Data(str(path))
    rows = read(data, recognise(data))
    next(rows)
    change(path)
    with pytest.raises(LuthierError, match=word) as caught:
        list(rows)
    assert caught.value.where == str(path)


def test_a_link_out_of_a_folder_is_refused_and_one_that_stays_inside_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    (folder / "more").mkdir(parents=True)
    (tmp_path / "secret.jsonl").write_text(GOOD)
    (folder / "a.jsonl").write_text(GOOD)
    (folder / "more" / "inside.jsonl").symlink_to("../a.jsonl")
    assert len(rows_of(folder)) == 2
    (folder / "out.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (folder / "more" / "up").symlink_to(tmp_path)
    (folder / "nothing.jsonl").symlink_to("gone.jsonl")
    with pytest.raises(LuthierError) as caught:
        rows_of(folder)
    assert [(Path(error.where).name, error.problem.partition(" that")[0]) for error in caught.value.errors] == [
        ("up", "it is a link"), ("nothing.jsonl", "it is a link to nothing"), ("out.jsonl", "it is a link"),
    ]  # fmt: skip


def test_a_folder_that_may_not_be_looked_into_is_an_error_and_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows" / "closed").mkdir(parents=True)
    (tmp_path / "rows" / ".git").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_text(GOOD)
    scan = os.scandir

    def refused(path: str) -> object:
        if Path(path).name in ("closed", ".git"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)  # whoever runs the tests may be allowed everything
    with pytest.raises(LuthierError, match="Permission denied") as caught:
        rows_of(tmp_path / "rows")
    assert caught.value.where == str(tmp_path / "rows" / "closed")


@pytest.mark.parametrize("part", ["²", "9" * 5_000, "-1", "1_0", "٣"])
def test_a_place_in_a_list_is_a_plain_number(part: str) -> None:
    assert lookup({"a": ["x", "y", "z", "w"]}, f"a.{part}") is None
    assert put({}, f"a.{part}", None, {"a": ["x"]}) == {"a": ["x"]}
    assert lookup({"a": ["x", "y"]}, "a.01") == "y"


def test_a_link_that_somebody_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(GOOD)
    (tmp_path / "b.jsonl").symlink_to("a.jsonl")
    assert len(rows_of(tmp_path / "b.jsonl")) == 1


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(LuthierError, match="neither a file nor a folder"):
        rows_of(tmp_path / "a.jsonl")


def test_what_is_said_of_a_broken_row_can_be_printed_whatever_the_row_holds(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{GOOD}{{"\\ud800{"n" * 5_000}": 1, "x\\u0000\\n": 2}}\n')
    bad = next(row for row in rows_of(tmp_path / "a.jsonl", bad_rows="drop") if isinstance(row, BadRow))
    bad.problem.encode("utf-8")
    assert len(bad.problem) < 700 and bad.problem.isprintable()
    assert printable("plain words") == "plain words"


@pytest.mark.parametrize("weight", [10**400, -1, float("nan"), True, "1"])
def test_weights_that_are_no_numbers_of_use_make_a_bad_row(weight: object) -> None:
    with pytest.raises(RowError):
        openai_messages([{"role": "assistant", "content": "a", "weight": weight}])  # type: ignore[dict-item]
    with pytest.raises(RowError):
        sharegpt_messages([{"from": "gpt", "value": "a", "weight": weight}])  # type: ignore[dict-item]


@pytest.mark.parametrize("column", ["messages", "tools"])
def test_json_in_a_cell_that_nests_too_deeply_makes_a_bad_row(tmp_path: Path, column: str) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [{"messages": json.dumps(turns), "tools": ""} for _ in range(3)]
    rows[1] = {**rows[1], column: "[" * 100_000}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row.source for row in rows_of(tmp_path / "a.jsonl") if isinstance(row, BadRow)] == ["a.jsonl:2"]
