"""ZIP and tar archives as folders that are read in place: nothing is unpacked to disk, and nothing outside them is reached.

An archive is untrusted: its members may be named so as to land elsewhere, be links, or unpack to a thousand times their size
(Fifield 2019, "A better zip bomb"). All members are looked at before the first byte of one is read.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import re
import stat
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from luthier.core.errors import LuthierError
from luthier.data.files.record import RawFile, printable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_MEMBERS = 100_000
MAX_DEPTH = 32
MAX_RATIO = 250
"""How many times its packed size a file may be, and an archive all together; a table of one repeated row comes to about 100."""
FREE_BYTES = 1 << 26
"""Up to this many bytes nothing is asked about the ratio."""
HELD_BYTES = 1 << 24
"""Members up to this size are held in memory while they are looked at, so that a packed tar is not run through for each look."""
BROKEN = (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, zlib.error)
_REPACK = "pack the archive again without it, or unpack it yourself and give the folder"
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path there, its size in bytes, and how many bytes it takes up packed."""

    name: str
    n_bytes: int
    n_packed: int


def is_archive(name: str) -> bool:
    """Whether a name's ending says that the file is an archive."""
    return name.lower().endswith(SUFFIXES)


def members(path: Path) -> Mapping[str, Member]:
    """The files in an archive by name, in its order; folders and hidden files are left out.

    Raises:
        LuthierError: it is damaged, or holds what may not be read: paths out of it, links, devices, locked members, other archives,
            too many members, or members that are absurdly larger than the archive. All that is found is raised at once.

    """
    found = path.stat()
    return _members(path, (found.st_size, found.st_mtime_ns, found.st_ino))


@functools.lru_cache(maxsize=8)
def _members(path: Path, stamp: tuple[int, int, int]) -> Mapping[str, Member]:
    most = max(FREE_BYTES, MAX_RATIO * stamp[0])
    listed: dict[str, Member] = {}
    names: set[str] = set()
    n_total = 0
    try:
        with _opened(path) as archive:
            for member, wrong in _entries(archive, stamp[0]):
                n_total += member.n_bytes
                problem = wrong or _wrong_with(member, names)
                if problem is not None:
                    raise LuthierError(printable(f"{path}/{member.name}"), problem, _REPACK)
                if n_total > most:
                    raise LuthierError(
                        printable(f"{path}/{member.name}"),
                        f"up to here the archive unpacks to {n_total:,} bytes, more than {MAX_RATIO} times its size: "
                        "it is made to exhaust whoever unpacks it, or damaged",
                        "unpack it yourself and give the folder, if you trust it",
                    )
                names.add(member.name)
                if not _is_hidden(member.name):
                    listed[member.name] = member
                if len(names) > MAX_MEMBERS:
                    raise LuthierError(str(path), f"the archive has more than {MAX_MEMBERS:,} members", "unpack it and give the folder")
    except (*BROKEN, EOFError, OSError, ValueError) as error:
        what = printable(str(error)) or type(error).__name__
        raise LuthierError(str(path), f"it is not an archive that can be read ({what})", "fetch or pack it again") from error
    return listed


def _entries(archive: zipfile.ZipFile | tarfile.TarFile, n_archive: int) -> Iterator[tuple[Member, str | None]]:
    """Each member that is not a folder, and what its kind forbids about it."""
    if isinstance(archive, zipfile.ZipFile):
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                continue
            wrong = "it is a link" if stat.S_ISLNK(mode) else "it is locked with a password" if info.flag_bits & 1 else None
            yield Member(info.filename, info.file_size, info.compress_size), wrong
        return
    for entry in archive:
        if entry.isdir():
            continue
        plain = entry.isreg() and not entry.issparse()
        wrong = "it is a link" if entry.issym() or entry.islnk() else None if plain else "it is no plain file"
        yield Member(entry.name.removeprefix("./"), entry.size, n_archive), wrong
    # At a damaged header the library takes the archive to end; behind its true end there are zeros, or nothing.
    assert archive.fileobj is not None, "it was opened from a file"
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("what stands behind one of its files is no file and no end")


def _wrong_with(member: Member, before: set[str]) -> str | None:
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or "\\" in member.name or _DRIVE.match(member.name) or "\0" in member.name:
        return "its path leads out of the archive"
    if len(parts) > MAX_DEPTH:
        return f"it stands more than {MAX_DEPTH} folders deep"
    if member.name in before:
        return "the archive holds two files of this name"
    return "it is an archive inside an archive" if is_archive(member.name) and not _is_hidden(member.name) else None


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            yield archive
        return
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            with gzip.open(raw, "rb") as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as tar:
                yield tar
        else:
            with tarfile.open(fileobj=raw, mode="r:") as tar:
                yield tar


def packed_size(file: RawFile) -> int:
    """How many bytes a file takes up where it stands."""
    if not file.member:
        return file.path.stat().st_size
    return members(file.path)[file.member].n_packed


class _Held:
    """The archive that was last looked into, left open where it was read to, and the few members that were last read whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Path, int] | None = None
        self._stack = contextlib.ExitStack()
        self._archive: zipfile.ZipFile | tarfile.TarFile | None = None
        self._contents: dict[str, bytes] = {}

    def content(self, path: Path, name: str) -> bytes:
        """All bytes of a small member."""
        key = (path, path.stat().st_mtime_ns)
        with self._lock:
            if key != self._key or self._archive is None:
                self._stack.close()
                self._key, self._archive, self._contents = None, None, {}
                self._archive = self._stack.enter_context(_opened(path))
                self._key = key
            if name not in self._contents:
                while len(self._contents) >= 3:
                    del self._contents[next(iter(self._contents))]
                with _stream(self._archive, name) as stream:
                    self._contents[name] = stream.read()
            return self._contents[name]


_HELD = _Held()


def content_of(path: Path, name: str) -> bytes | None:
    """All bytes of a member that is small enough to be held; None for a large one."""
    member = members(path).get(name)
    if member is None:
        raise LuthierError(f"{path}/{name}", "it is not in the archive any more", "put it back, and try again")
    return _HELD.content(path, name) if member.n_bytes <= HELD_BYTES else None


@contextlib.contextmanager
def member_stream(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The bytes of a member, unpacked as they are read."""
    with _opened(path) as archive, _stream(archive, name) as stream:
        yield stream


def _stream(archive: zipfile.ZipFile | tarfile.TarFile, name: str) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(name)
    found = next((entry for entry in archive if entry.name.removeprefix("./") == name), None)
    stream = None if found is None else archive.extractfile(found)
    if stream is None:
        raise tarfile.TarError(f"{name} is not in the archive")
    return stream
