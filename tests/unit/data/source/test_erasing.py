"""Taking rows out of source files: the bytes of all others stay, and a file that would read otherwise is left alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.data.source.erasing import erase_from_sources
from luthier.data.source.reading import Data, recognise

HEADER = b"id,text,label,who\r\n"
CSV = [
    b'1,"a bow, and\r\na peg",x,ann\r\n', b"2,plain,y,bob\r\n", b'3,"says ""hi""\r\n\r\nagain",x,bob\r\n', b"4,last,y,ann\r\n",
    b"5,end,x,cy",
]  # fmt: skip


def ann(row: AnyExample) -> bool:
    return row.extra.get("who") == "ann"


def erase(path: Path) -> dict[str, int]:
    data = Data(source=str(path))
    return erase_from_sources(data, recognise(data), ann)


def test_records_of_several_lines_go_whole_and_the_others_stay_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER + b"".join(CSV))
    path.chmod(0o640)
    assert erase(path) == {str(path): 2}
    assert path.read_bytes() == b"\xef\xbb\xbf" + HEADER + CSV[1] + CSV[2] + CSV[4]
    assert path.stat().st_mode & 0o777 == 0o640
    assert erase(path) == {} and sorted(one.name for one in tmp_path.iterdir()) == ["rows.csv"]


@pytest.mark.parametrize("packed", [False, True])
def test_lines_of_json_go_one_by_one(tmp_path: Path, packed: bool) -> None:
    who = ["ann" if i in (0, 4, 9) else "bob" for i in range(10)]
    rows = [json.dumps({"text": f"row {i}", "label": "xy"[i % 2], "who": who[i]}) for i in range(10)]
    content = ("\n".join(rows) + "\n").encode()
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert erase(path) == {str(path): 3}
    now = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    assert now == "".join(f"{rows[i]}\n" for i in range(10) if i not in (0, 4, 9)).encode()


def test_only_the_files_that_hold_such_rows_are_rewritten(tmp_path: Path) -> None:
    for name, lines in (("a", CSV[:2]), ("b", CSV[1:3])):
        (tmp_path / f"{name}.csv").write_bytes(HEADER + b"".join(lines))
    before = (tmp_path / "b.csv").stat().st_mtime_ns
    assert erase(tmp_path) == {str(tmp_path / "a.csv"): 1}
    assert (tmp_path / "b.csv").stat().st_mtime_ns == before


def test_a_file_that_could_not_be_rewritten_safely_stays_as_it_is(tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_bytes(b"id,text,label,who\r1,ein Bogen,x,ann\r2,ein Wirbel,y,bob\r")
    document = tmp_path / "rows.json"
    rows = [{"text": "t", "label": "x", "who": "ann"}, {"text": "u", "label": "y", "who": "bob"}]
    document.write_text(json.dumps(rows), encoding="utf-8")
    for path, said in ((wide, "would not read as before"), (document, "cannot be taken out one by one")):
        before = path.read_bytes()
        with pytest.raises(LuthierError, match=said):
            erase(path)
        assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["rows.json", "wide.csv"]
