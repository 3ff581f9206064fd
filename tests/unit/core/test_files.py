from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.core.files import (
    atomic_writer,
    expanded,
    file_hash,
    jsonl_writer,
    read_json,
    read_jsonl,
    text_hash,
    write_json,
    write_jsonl,
    write_text,
)

# The process dies at the very call that `at` names, before it has any effect.
KILLED = """
import os, signal, sys
from pathlib import Path
from luthier.core.files import write_text
setattr(os, sys.argv[2], lambda *a: os.kill(os.getpid(), signal.SIGKILL))
write_text(Path(sys.argv[1]), "new" * 10000)
"""
LIMITED = """
import resource, signal, sys
from pathlib import Path
from luthier.core.errors import LuthierError
from luthier.core.files import write_jsonl
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_jsonl(Path(sys.argv[1]), ({"text": str(i) * 100} for i in range(10_000)))
except LuthierError as error:
    print(error)
"""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_kill_before_the_sync_or_the_rename_leaves_the_old_file(tmp_path: Path, call: str, old: str | None) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_text(old)
    assert python(KILLED, str(path), call).returncode == -signal.SIGKILL
    assert (path.read_text() if path.exists() else None) == old
    write_text(path, "newer")
    assert path.read_text() == "newer" and [item.name for item in tmp_path.iterdir()] == ["file"]


def test_the_bytes_are_on_the_disk_before_the_name_points_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        calls.append("sync folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else f"sync {size}")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_text(tmp_path / "file", "12345")
    assert calls == ["sync 5", "rename", "sync folder"]


def test_a_disk_that_is_full_is_a_clear_error_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("old")
    said = python(LIMITED, str(path))
    assert said.stdout.startswith(f"{path}: it could not be written: File too large. free space"), said.stderr
    assert path.read_text() == "old" and [item.name for item in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("name", ["file/below", ".", "folder", "x" * 300])
def test_a_place_where_no_file_can_be_is_a_clear_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LuthierError, match="it could not be written"):
        write_text(Path(name), "new")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


def test_a_tilde_is_the_home_of_somebody_or_else_part_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = [str(expanded(one)) for one in ("~/a", "~", "a/~", "~nobody-is-called-so.csv")]
    assert found == ["/home/me/a", "/home/me", "a/~", "~nobody-is-called-so.csv"]


def test_no_space_left_on_the_device_is_told_with_its_place(tmp_path: Path) -> None:
    # The temporary file is a link to a device that is always full.
    (tmp_path / "rows.jsonl.tmp").symlink_to("/dev/full")
    with pytest.raises(LuthierError, match=r"rows\.jsonl: it could not be written: No space left on device\."):
        write_jsonl(tmp_path / "rows.jsonl", [{"text": "x" * 100_000}])
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_writer(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_rows_that_break_off_leave_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ZeroDivisionError), jsonl_writer(tmp_path / name) as write:
        write({"a": 1})
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
@given(rows=st.lists(st.dictionaries(texts, json_values, max_size=3), max_size=4))
def test_rows_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("rows") / name
    write_jsonl(path, rows)  # type: ignore[arg-type]
    assert list(read_jsonl(path)) == rows


halves = st.text(st.sampled_from("\ud83d\ude00\udcff\\\"/\n\x7fé😀") | st.characters(), max_size=8)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "one.json"])
@given(key=halves, text=halves)
def test_halves_of_characters_are_spelled_as_json_spells_them_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, key: str, text: str
) -> None:
    path = tmp_path_factory.mktemp("halves") / name
    if path.suffix == ".json":
        write_json(path, {key: [text]})
        found = read_json(path)
    else:
        write_jsonl(path, [{key: [text]}])
        (found,) = read_jsonl(path)
    # Two halves of one character that stand side by side are that character, as JSON has it.
    assert found == {whole(key): [whole(text)]}
    (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8")


def whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_half_a_character_is_six_letters_of_a_page_and_of_a_row(tmp_path: Path) -> None:
    write_text(tmp_path / "page.html", "rows\udcff.csv")
    assert (tmp_path / "page.html").read_bytes() == b"rows\\udcff.csv"
    write_jsonl(tmp_path / "a.jsonl", [{"a": "\\\ud83d"}])
    assert (tmp_path / "a.jsonl").read_bytes() == b'{"a": "\\\\\\ud83d"}\n'


def test_a_row_is_one_line_of_plain_json(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"a": "é\u2028\n", "b": 1}, {}])
    assert (tmp_path / "a.jsonl").read_bytes() == '{"a": "é\u2028\\n", "b": 1}\n{}\n'.encode()


def test_equal_rows_give_equal_bytes_under_gzip_whatever_the_name(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_jsonl(tmp_path / name, [{"a": 1}] * 100)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    # The time stamp of the gzip header (RFC 1952, bytes 4 to 7) is zero.
    assert (tmp_path / "a.jsonl.gz").read_bytes()[4:8] == b"\0\0\0\0"
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).count(b"\n") == 100


def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            write_json(tmp_path / "a.json", {"a": value})
        with pytest.raises(ValueError, match="JSON compliant"):
            write_jsonl(tmp_path / "a.jsonl", [{"a": value}])
    assert list(tmp_path.iterdir()) == []


def test_a_json_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_json(tmp_path / "below" / "a.json", {"a": [1, "é", None]})
    assert read_json(tmp_path / "below" / "a.json") == {"a": [1, "é", None]}


def test_hashes_are_sha256(tmp_path: Path) -> None:
    # The test vector "abc" of FIPS 180-4.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == text_hash("abc") == expected


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
@pytest.mark.parametrize("n_left", [0.5, 0.9])
def test_a_file_of_ours_that_is_cut_off_is_said_to_be_damaged(name: str, n_left: float, tmp_path: Path) -> None:
    path = tmp_path / name
    write_jsonl(path, [{"id": i, "text": f"row {i * 7919}"} for i in range(200)])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * n_left) - 3])
    with pytest.raises(LuthierError, match="it is damaged") as caught:
        list(read_jsonl(path))
    assert caught.value.where == str(path)


def test_a_file_of_ours_that_is_gone_or_not_json_is_said_to_be_damaged(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="it is gone"):
        list(read_jsonl(tmp_path / "rows.jsonl"))
    (tmp_path / "bundle.json").write_text('{"format": ')
    with pytest.raises(LuthierError, match="it is damaged"):
        read_json(tmp_path / "bundle.json")
