"""Archives as folders that are read in place: what is in them, what they may not hold, and what they would unpack to."""

from __future__ import annotations

import gzip
import io
import json
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars
import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import to_record
from luthier.data.files import archives, opening
from luthier.data.source.reading import Data, read, recognise

GERMAN = "Die Brücke und die Saiten für Geigen müßten größer und schöner tönen können"
FILES = {
    "set/a.jsonl": b'{"text": "one", "label": "x"}\n{"text": "two", "label": "y"}\n',
    "set/deep/b.csv": f"text,label\nthree,x\n{GERMAN},y\n".encode("cp1252"),
    "set/c.jsonl.gz": gzip.compress(b'{"text": "five", "label": "x"}\n'),
    "set/README.md": b"About this set.",
    "set/.hidden.csv": b"junk",
    "__MACOSX/set/._a.jsonl": b"\0\1",
}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("set") if "set/a.jsonl" in files else None
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda info: None) -> Path:
    mode = "w" if path.suffix == ".tar" else "w:gz"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def rows_of(source: Path) -> list:
    data = Data(str(source))
    return list(read(data, recognise(data)))


def error_of(source: Path) -> LuthierError:
    with pytest.raises(LuthierError) as caught:
        rows_of(source)
    return caught.value


@pytest.mark.parametrize("name", ["rows.zip", "rows.tar", "rows.tar.gz", "rows.tgz", "ROWS.ZIP"])
def test_the_files_of_an_archive_are_read_as_those_of_a_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "set"
    for file, content in FILES.items():
        if file.startswith("set/"):
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    plain = [to_record(row) for row in rows_of(folder)]
    path = tmp_path / name
    (zipped if name.lower().endswith("zip") else tarred)(path, FILES)
    packed = [to_record(row) for row in rows_of(path)]
    assert {row["source"] for row in packed} == {f"{name}/{row['source']}" for row in plain} and len(plain) == 5
    by_text = sorted(({**row, "source": ""} for row in packed), key=lambda row: str(row["text"]))
    assert by_text == sorted(({**row, "source": ""} for row in plain), key=lambda row: str(row["text"]))
    assert GERMAN in {row["text"] for row in packed}


def test_an_archive_in_a_folder_is_a_part_of_it(tmp_path: Path) -> None:
    zipped(tmp_path / "b.zip", {"x.csv": b"text,label\ntwo,x\n"})
    (tmp_path / "a.csv").write_text("text,label\none,x\n")
    assert [row.source for row in rows_of(tmp_path)] == [f"{tmp_path.name}/a.csv:2", f"{tmp_path.name}/b.zip/x.csv:2"]


def test_a_packed_tar_with_damaged_bytes_is_looked_through_or_refused(tmp_path: Path) -> None:
    draw = random.Random(0)
    inside = io.BytesIO("".join(f"text {draw.random()},x\n" for _ in range(2_000)).encode())
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in ("a.csv", "b.csv"):
            entry = tarfile.TarInfo(name)
            entry.size = len(inside.getvalue())
            inside.seek(0)
            tar.addfile(entry, inside)
    whole = (tmp_path / "a.tar.gz").read_bytes()
    ends = set()
    for at in range(20, len(whole), len(whole) // 40):
        (tmp_path / "a.tar.gz").write_bytes(whole[:at] + bytes([whole[at] ^ 255]) * 3 + whole[at + 3 :])
        try:
            ends.add(len(archives.members(tmp_path / "a.tar.gz")))
        except LuthierError as error:
            ends.add(error.problem)
    assert any("invalid" in str(one) for one in ends) and all(isinstance(one, str) or one == 2 for one in ends)


def test_a_parquet_file_whose_name_is_no_text_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    polars.DataFrame({"text": ["a", "b"], "label": [0, 1]}).write_parquet(out)
    (tmp_path / "a\udcff.parquet").write_bytes(out.getvalue())
    assert [row.label for row in rows_of(tmp_path / "a\udcff.parquet")] == ["0", "1"]


def test_a_parquet_file_in_an_archive_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    polars.DataFrame({"text": ["a", "b"], "label": [0, 1]}).write_parquet(out)
    assert [row.label for row in rows_of(zipped(tmp_path / "a.zip", {"x.parquet": out.getvalue()}))] == ["0", "1"]


def test_a_member_too_large_to_be_held_is_read_as_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "HELD_BYTES", 10)
    for path in (zipped(tmp_path / "a.zip", FILES), tarred(tmp_path / "a.tgz", FILES), tarred(tmp_path / "a.tar", FILES)):
        assert len(rows_of(path)) == 5


def test_an_archive_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for n in (1, 2):
        zipped(path, {"x.csv": b"text,label\n" + b"row,x\n" * n * 7})
        assert len(rows_of(path)) == 7 * n


BAD_NAMES = ["../x.csv", "set/../../x.csv", "/etc/x.csv", "C:x.csv", "set\\..\\x.csv", "/".join(["d"] * 40) + "/x.csv"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("ending", ["zip", "tar", "tgz"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, ending: str) -> None:
    files = {"good.csv": b"text,label\na,x\n", name: b"text,label\nb,x\n"}
    path = (zipped if ending == "zip" else tarred)(tmp_path / f"a.{ending}", files)
    found = error_of(path)
    assert found.where == f"{path}/{name}"
    assert "leads out" in found.problem or "folders deep" in found.problem


@pytest.mark.parametrize(("kind", "problem"), [
    (tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.FIFOTYPE, "no plain file"), (tarfile.CHRTYPE, "no plain file"),
])  # fmt: skip
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, problem: str) -> None:
    def change(info: tarfile.TarInfo) -> None:
        if info.name == "b.csv":
            info.type, info.linkname, info.size = kind, "/etc/hostname", 0

    found = error_of(tarred(tmp_path / "a.tar", {"a.csv": b"text,label\na,x\n", "b.csv": b""}, change))
    assert (found.where, found.problem) == (f"{tmp_path}/a.tar/b.csv", f"it is {problem}")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("b.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/hostname")
    assert error_of(tmp_path / "a.zip").problem == "it is a link"


def test_a_locked_member_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x.csv": b"text,label\na,x\n"})
    content = bytearray(path.read_bytes())
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        content[content.index(mark) + (6 if mark[2] == 3 else 8)] |= 1
    path.write_bytes(bytes(content))
    assert "password" in error_of(path).problem


def test_an_archive_in_an_archive_and_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "inside an archive" in error_of(zipped(tmp_path / "a.zip", {"x.zip": b"PK"})).problem
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("x.csv", "text,label\na,x\n")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.csv", "text,label\na,x\n")
    assert "two files of this name" in error_of(tmp_path / "b.zip").problem


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_an_archive_made_to_exhaust_is_refused_before_it_is_unpacked(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    files = {"x.csv": b"text,label\n" + b"a" * (1 << 22)}
    path = (zipped if name.endswith("zip") else tarred)(tmp_path / name, files)
    found = error_of(path)
    assert found.where == f"{path}/x.csv"
    assert "exhaust" in found.problem


def test_a_header_that_claims_more_than_follows_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x.csv")
    info.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    assert "exhaust" in error_of(tmp_path / "a.tar").problem


def test_a_packed_file_made_to_exhaust_is_refused_where_it_becomes_absurd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FREE_BYTES", 1 << 20)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a", "label": "x"}\n' * (1 << 18)))
    found = error_of(path)
    assert found.where == str(path)
    assert "exhaust" in found.problem


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_damaged_archive_is_an_error_that_names_it(tmp_path: Path, name: str, share: float) -> None:
    rows = b"".join(json.dumps({"text": f"row {n * n}", "label": "ab"[n % 2]}).encode() + b"\n" for n in range(3_000))
    path = (zipped if name.endswith("zip") else tarred)(tmp_path / name, {"x.jsonl": rows, "y.jsonl": rows})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert error_of(path).where.startswith(str(path))


def test_an_archive_of_nothing_readable_says_so(tmp_path: Path) -> None:
    assert "none of the 1 files in the archive" in error_of(zipped(tmp_path / "a.zip", {"x.png": b"\x89PNG"})).problem
    assert "the archive is empty" in error_of(zipped(tmp_path / "b.zip", {})).problem
