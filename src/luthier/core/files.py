"""Files that are either whole or absent: atomic writes, JSONL with or without gzip, and content hashes."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json, dump, to_bytes


class DamagedFileError(LuthierError, ValueError):
    """A file of ours that is not as we write it: cut off, edited, or hit by a failing disk."""

    def __init__(self, path: Path, problem: object) -> None:
        fix = "restore it, or remove the run's folder and give the recipe to `luthier run` again"
        super().__init__(str(path), f"it is damaged: {problem}", fix)


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` only when the block ends without an error.

    The bytes go to `<name>.tmp`, are synced to the disk, and are renamed over `path`; a kill at any moment leaves
    either the old file or the new one.
    """
    temporary = path.parent / f"{path.name}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        problem = f"it could not be written: {error.strerror or error}"
        raise LuthierError(str(path), problem, "free space or choose another folder") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def expanded(path: str) -> Path:
    """A path that begins with `~` or `~user` from that person's home; where there is no such person, it is part of a file's name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_writer(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 file atomically."""
    write_bytes(path, to_bytes(content))


def write_json(path: Path, value: Json) -> None:
    """Write one indented JSON document atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def read_json(path: Path) -> Json:
    """Read one JSON document of ours.

    Raises:
        DamagedFileError: it is not JSON.

    """
    try:
        value: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFileError(path, error) from error
    return value


@contextlib.contextmanager
def jsonl_writer(path: Path) -> Iterator[Callable[[Json], None]]:
    """A function that appends one object to a JSONL file; the file appears when the block ends.

    `.gz` paths are compressed without a time stamp, so that equal rows give equal bytes.
    """
    with atomic_writer(path) as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
                yield lambda value: _write_line(packed, value)
        else:
            yield lambda value: _write_line(raw, value)


def write_jsonl(path: Path, rows: Iterable[Json]) -> None:
    """Write all rows to a JSONL file atomically."""
    with jsonl_writer(path) as write:
        for row in rows:
            write(row)


def read_jsonl(path: Path) -> Iterator[dict[str, Json]]:
    """The objects of a JSONL file of ours, one at a time.

    Raises:
        DamagedFileError: it is gone or cut off, or a line of it is not JSON.

    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            lines = filter(str.strip, file)
            while line := next(lines, ""):
                yield _object(path, line)
    except FileNotFoundError as error:
        raise DamagedFileError(path, "it is gone") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise DamagedFileError(path, error) from error


def _object(path: Path, line: str) -> dict[str, Json]:
    try:
        found: dict[str, Json] = json.loads(line)
    except ValueError as error:
        raise DamagedFileError(path, error) from error
    return found


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, as hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _write_line(file: IO[bytes] | gzip.GzipFile, value: Json) -> None:
    file.write(to_bytes(dump(value) + "\n"))


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; file systems that cannot open folders are left to their own ways."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
