"""The bytes of a file of the source: as they stand on the disk, packed with gzip, or inside an archive, which is never unpacked to disk."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from luthier.core.errors import LuthierError
from luthier.data.files.archives import BROKEN, FREE_BYTES, MAX_RATIO, content_of, member_stream, packed_size
from luthier.data.files.record import RawFile

HEAD_BYTES = 1 << 16
_BUFFER_BYTES = 1 << 18


class _Watched(io.RawIOBase):
    """An unpacking stream that gives up where it has become absurdly larger than what it is unpacked from."""

    def __init__(self, unpacked: IO[bytes], n_packed: int, where: str) -> None:
        self._unpacked = unpacked
        self._most = max(FREE_BYTES, MAX_RATIO * n_packed)
        self._where = where
        self._n = 0

    def readable(self) -> bool:
        """True: it is there to be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer, as `io.RawIOBase` wants it."""
        n: int = self._unpacked.readinto(buffer)  # type: ignore[attr-defined]
        self._n += n
        if self._n > self._most:
            raise LuthierError(
                self._where,
                f"it unpacks to more than {MAX_RATIO} times its size: it is made to exhaust whoever unpacks it, or damaged",
                "give the file as it was before it was packed, if you trust it",
            )
        return n


@contextlib.contextmanager
def opened(file: RawFile) -> Iterator[io.BufferedReader[Any]]:
    """The file's bytes, unpacked if they are gzip; what goes wrong while reading becomes an error that names the file.

    Raises:
        LuthierError: it cannot be read, is damaged, or unpacks without end.

    """
    try:
        with _raw(file) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.open(raw, "rb") as unpacked, _Watched(unpacked, packed_size(file), file.where) as watched:
                    yield io.BufferedReader(watched, _BUFFER_BYTES)
            else:
                yield raw
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise LuthierError(file.where, f"the packed data is damaged or cut off ({error})", "fetch or pack the file again") from error
    except BROKEN as error:
        raise LuthierError(file.where, f"the archive is damaged here ({error})", "fetch or pack the archive again") from error
    except OSError as error:
        raise LuthierError(file.where, f"it cannot be read: {error.strerror or error}", "check the file and its permissions") from error


@contextlib.contextmanager
def _raw(file: RawFile) -> Iterator[io.BufferedReader[Any]]:
    """The bytes as they stand on the disk or in the archive."""
    if not file.member:
        with open(file.path, "rb", buffering=0) as raw, io.BufferedReader(raw, _BUFFER_BYTES) as buffered:
            yield buffered
        return
    content = content_of(file.path, file.member)
    if content is not None:
        yield io.BufferedReader(io.BytesIO(content), _BUFFER_BYTES)
        return
    with member_stream(file.path, file.member) as stream:
        yield io.BufferedReader(stream, _BUFFER_BYTES)


def head(file: RawFile, n_bytes: int = HEAD_BYTES) -> bytes:
    """The first bytes of the (unpacked) file."""
    with opened(file) as found:
        return found.read(n_bytes)


Stamp = tuple[int, int, int]


def stamp(path: Path) -> Stamp:
    """What changes when a file is written to or replaced: its size, the time of its last change in ns, and its number on the disk.

    Raises:
        LuthierError: it is gone.

    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise LuthierError(str(path), f"it cannot be read any more: {error.strerror}", "put it back, and try again") from error
    return found.st_size, found.st_mtime_ns, found.st_ino


def refuse_changed(path: Path, before: Stamp) -> None:
    """Raise if a file is not what it was when it was looked at, since then some of its rows may be missing or halved.

    Raises:
        LuthierError: it grew, shrank, or was replaced.

    """
    now = stamp(path)
    if now == before:
        return
    if now[2] != before[2]:
        what = "it was replaced"
    elif now[0] == before[0]:
        what = "it was written to"
    else:
        what = f"it {'grew' if now[0] > before[0] else 'shrank'} from {before[0]:,} to {now[0]:,} bytes"
    raise LuthierError(str(path), f"{what} while it was read", "wait until nothing writes to it, or read a copy")


