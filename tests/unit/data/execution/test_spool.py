"""Files of rows between two steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from luthier.data.execution.spool import remove_parts, write_whole


def test_what_two_write_at_once_is_whole(tmp_path: Path) -> None:
    # On two machines, both may be process 7.
    def first() -> Iterator[bytes]:
        yield b"a"
        write_whole(tmp_path / "1.rows", [b"a", b"b"])
        yield b"b"

    write_whole(tmp_path / "1.rows", first())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("1.rows", b"ab")]


def test_what_was_being_written_is_removed_and_what_is_whole_stays(tmp_path: Path) -> None:
    class Killed(Exception):
        """As if the process had ended here."""

    def torn() -> Iterator[bytes]:
        yield b"a"
        raise Killed

    write_whole(tmp_path / "1.rows", [b"a"])
    try:
        write_whole(tmp_path / "2.rows", torn())
    except Killed:
        assert len(list(tmp_path.iterdir())) == 2
    remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1.rows"]
