"""Ten thousand rows, broken in every way that one can think of: never a traceback, and never a row lost in silence."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.files import read_jsonl
from luthier.data.pipeline import Prepare
from luthier.data.shapes.written import as_record
from luthier.data.sides.split import Split
from luthier.data.source.reading import N_SAMPLED, BadRow, Data, read, recognise
from luthier.data.source.writing import write_records
from luthier.data.steps import Length, RepairEncoding, Whitespace
from luthier.stages.prepare import prepare

N_ROWS = 10_000
ASKED, SAID = {"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}
SOUND: dict[str, dict] = {
    "text+label": {"text": "the bridge is warped", "label": "repair"},
    "alpaca": {"instruction": "say it", "input": "a bow", "output": "bow"},
    "openai chat": {"messages": [ASKED, SAID], "tools": []},
    "sharegpt": {"conversations": [{"from": "human", "value": "why"}, {"from": "gpt", "value": "so"}]},
    "chosen/rejected": {"prompt": "why", "chosen": "because", "rejected": "no"},
    "openai preference": {
        "input": {"messages": [ASKED]}, "preferred_output": [SAID], "non_preferred_output": [SAID | {"content": "no"}],
    },
    "rated replies": {"prompt": "why", "completion": "because", "label": True},
    "ranked replies": {"prompt": "why", "responses": ["a", "b"], "ranks": [1, 2]},
    "squad": {"question": "why", "context": "because of it", "answers": {"text": ["of it"], "answer_start": [8]}},
    "token tags": {"tokens": ["Ann", "sings"], "tags": ["B-PER", "O"]},
    "text+score": {"text": "the bridge is warped", "score": 0.5},
    "translation": {"translation": {"en": "a bow", "de": "ein Bogen"}},
}
ODD: tuple[object, ...] = (
    None, True, 0, -1, 10**30, 1e308, 0.1, "", " ", "\0", "\ud800", "\u2028", "[", "[]", "{}", '[{"role": 1}]', "a" * 5_000, [], [[]],
    [None], [{}], {}, {"": None}, {"text": [1], "answer_start": "x"}, [{"role": "king", "content": 1}], [{"from": "gpt"}], [ASKED, ASKED],
    [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}, 3]}],
    [{"role": "assistant", "content": [1, {"type": 2}]}],
    {"messages": 3}, "🎻" * 50, "<p>&nbsp;", "Ã¼" * 9, "\r\n\r", [0.5, "x"], float("inf"), float("nan"),
)  # fmt: skip


def broken(value: object, draw: random.Random, depth: int = 0) -> object:
    """A value with one thing about it changed: replaced, emptied, doubled, renamed, or broken somewhere inside."""
    if draw.random() < 0.3 or depth > 4:
        return draw.choice(ODD)
    if isinstance(value, dict) and value:
        name = draw.choice(list(value))
        match draw.randrange(4):
            case 0:
                return {key: item for key, item in value.items() if key != name}
            case 1:
                return {**{key: item for key, item in value.items() if key != name}, f"{name}\ud800": value[name]}
            case 2:
                return {**value, "more": draw.choice(ODD)}
            case _:
                return {key: broken(item, draw, depth + 1) if key == name else item for key, item in value.items()}
    if isinstance(value, list) and value:
        at = draw.randrange(len(value))
        match draw.randrange(3):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, value[at]]
            case _:
                return [broken(item, draw, depth + 1) if n == at else item for n, item in enumerate(value)]
    if isinstance(value, str):
        return draw.choice((value[: len(value) // 2], value + "\n\n" + value, value.upper(), f"  {value}\t", draw.choice(ODD)))
    return draw.choice(ODD)


def spoiled(line: bytes, draw: random.Random) -> bytes:
    """A line whose bytes are damaged, without a line break."""
    at = draw.randrange(len(line))
    new = (
        line[:at], line[at:], line[:at] + b"\xff\xfe" + line[at:], line[:at] + b'"' + line[at:], line[:at] + b"\0" + line[at:],
        b"{" * 5_000, b'{"x": ' + b"1" * 9_000 + b"}", line + line, b"\xed\xa0\x80", b"[1, 2]", b"null",
        line[:at] + bytes([draw.randrange(1, 256)]) + line[at:],
    )  # fmt: skip
    return draw.choice(new).replace(b"\n", b" ").replace(b"\r", b" ") or b"x"


def lines_of(layout: str, n: int) -> Iterator[bytes]:
    """Lines of which most of the first two hundred are sound, and most others are not."""
    draw = random.Random(f"{layout} 0")
    for i in range(n):
        record = {**SOUND[layout], "n": i}
        is_sound = i < 20 or draw.random() < (0.95 if i < N_SAMPLED else 0.2)
        value = record if is_sound else broken(record, draw)
        line = json.dumps(value, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
        yield line if is_sound or draw.random() < 0.8 else spoiled(line, draw)


@pytest.mark.parametrize("layout", SOUND)
def test_every_row_of_a_broken_file_is_an_example_or_a_bad_row_with_its_line(layout: str, tmp_path: Path) -> None:
    n = N_ROWS // len(SOUND) + 1
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines_of(layout, n)) + b"\n")
    data = Data(str(path), bad_rows="drop")
    found = recognise(data)
    assert found.layout == layout
    rows = list(read(data, found))
    places = [int(row.source.rpartition(":")[2]) for row in rows]
    with open(path, "rb") as file:
        blank = [number for number, line in enumerate(file, 1) if not line.strip(b" \t\r\n")]
    assert sorted([*places, *blank]) == list(range(1, n + 1))
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert 0.2 * n < len(bad) < n - 20
    assert all(row.problem.isprintable() and row.problem and row.fix for row in bad)


@pytest.mark.parametrize("layout", SOUND)
def test_what_can_be_read_of_a_broken_file_is_written_back_as_it_was(layout: str, tmp_path: Path) -> None:
    from luthier.data.shapes import LAYOUTS
    from luthier.data.source.reading import records_of

    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines_of(layout, 500)) + b"\n")
    data = Data(str(path), bad_rows="drop")
    found = recognise(data)
    raw = {one.file.place(row.line): dict(row.values) for one in found.files for row in records_of(one) if not isinstance(row, BadRow)}
    rows = [row for row in read(data, found) if not isinstance(row, BadRow)]
    again = [as_record(row, LAYOUTS[found.layout](found.fields), found.columns) for row in rows]
    assert [json.dumps(one) for one in again] == [json.dumps(raw[row.source]) for row in rows]
    write_records(tmp_path / "out.jsonl", lambda: again)
    assert len(list(read_jsonl(tmp_path / "out.jsonl"))) == len(rows) > 20


@pytest.mark.parametrize("layout", ["text+label", "openai chat", "chosen/rejected", "token tags", "squad"])
def test_read_is_kept_and_dropped_together_whatever_the_rows_are_like(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines_of(layout, 800)) + b"\n")
    data = Data(str(path), bad_rows="drop", split=Split(validation=0.0, test=0.0, train=1.0))
    done = prepare(data, Prepare((RepairEncoding(), Whitespace(), Length())), 0, None, tmp_path / "run")
    assert done.read == done.kept + sum(n for reasons in done.dropped.values() for n in reasons.values())
    kept, dropped = (len(list(read_jsonl(tmp_path / "run" / "data" / name))) for name in ("kept.jsonl.gz", "dropped.jsonl.gz"))
    assert (kept, dropped) == (done.kept, done.read - done.kept)
    assert done.dropped["read"] and done.kept > 20


def csv_line(record: dict, draw: random.Random) -> str:
    """A row of a table, its quotes right or not."""
    cells = [str(value) for value in record.values()]
    match draw.randrange(6):
        case 0:
            cells.append("more")
        case 1:
            cells.pop()
        case 2:
            cells[0] = f'"{cells[0]}'
        case 3:
            cells[0] = f'{cells[0]}"'
        case 4:
            cells[0] = f'"{cells[0]}" x'
        case _:
            cells[0] = f'"{cells[0]}"'
    return ",".join(cells)


def binary(draw: random.Random) -> bytes:
    return bytes(draw.randrange(256) for _ in range(draw.randrange(400)))


def mangled(draw: random.Random) -> bytes:
    lines = [json.dumps({"text": f"row {n}", "label": "ab"[n % 2]}).encode() for n in range(30)]
    content = bytearray(b"\n".join(lines))
    for _ in range(draw.randrange(1, 30)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


def table(draw: random.Random) -> bytes:
    rows = [csv_line({"text": f"row {n}, of a table", "label": "ab"[n % 2]}, draw) for n in range(40)]
    return "\n".join(["text,label", *rows]).encode(draw.choice(("utf-8", "utf-16", "cp1252", "utf-8-sig")))


def read_or_refused(data: Data) -> tuple[list, tuple[LuthierError, ...]]:
    """The rows, or why there are none."""
    try:
        return list(read(data, recognise(data))), ()
    except LuthierError as error:
        return [], error.errors


@pytest.mark.parametrize("make", [binary, mangled, table])
@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "txt", "conll", "html", "parquet", "zip", "tar", "tgz", "csv.gz", "en"])
def test_any_bytes_under_any_name_are_rows_or_an_error_with_a_place(
    ending: str, make: Callable[[random.Random], bytes], tmp_path: Path
) -> None:
    for seed in range(12):
        path = tmp_path / f"rows.{ending}"
        path.write_bytes(make(random.Random(f"{ending} {make.__name__} {seed}")))
        data = Data(str(path), bad_rows="drop")
        rows, errors = read_or_refused(data)
        assert bool(rows) != bool(errors)
        assert all(one.where and one.problem and one.fix for one in errors)
