"""Which files a source is made of, and how each is to be read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from luthier.core.errors import Complaints, LuthierError
from luthier.data.encoding import detect, head, opened, refuse_binary
from luthier.data.readers import AnyReader, Json, Jsonl, Parquet, PlainText
from luthier.data.record import RawFile

READERS: Mapping[str, type[AnyReader]] = {kind.format: kind for kind in get_args(AnyReader)}
_BY_SUFFIX: Mapping[str, type[AnyReader]] = {suffix: kind for kind in READERS.values() for suffix in kind.suffixes}
_OTHERS = {
    ".xlsx": "save the sheet as CSV in UTF-8", ".xls": "save the sheet as CSV in UTF-8", ".ods": "save the sheet as CSV in UTF-8",
    ".zip": "unpack it and give the folder", ".tar": "unpack it and give the folder", ".tgz": "unpack it and give the folder",
    ".pdf": "extract its text into a .txt file", ".docx": "save it as plain text", ".arrow": "save it as Parquet",
    ".feather": "save it as Parquet", ".yaml": "save it as JSON", ".yml": "save it as JSON", ".xml": "save it as JSON or CSV",
}  # fmt: skip


@dataclass(frozen=True)
class SourceFile:
    """A file of the source and the reader that its format and its content call for."""

    file: RawFile
    reader: AnyReader


def survey(source: str | tuple[str, ...], format_: str, encoding: str | None) -> tuple[SourceFile, ...]:
    """The files of a source, in the order given, folders unfolded in the order of their names.

    Raises:
        LuthierError: files that are missing, empty, not text, or of no known kind; all of them at once.

    """
    complaints = Complaints()
    paths: list[tuple[Path, str]] = []
    for one in (source,) if isinstance(source, str) else source:
        try:
            paths += _unfold(Path(one), format_)
        except LuthierError as error:
            complaints.extend(error)
    names = [name for _, name in paths]
    found: list[SourceFile] = []
    for path, name in paths:
        try:
            found.append(_look_at(path, name if names.count(name) == 1 else str(path), format_, encoding))
        except LuthierError as error:
            complaints.extend(error)
    if not paths and not complaints:
        complaints.add("[data] source", "no file is named", "give a file, several, or a folder")
    complaints.raise_if_any()
    return tuple(found)


def suffix_of(path: Path) -> str:
    """The suffix that tells the format: the last one, or the one before `.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _unfold(path: Path, format_: str) -> list[tuple[Path, str]]:
    """The files that `path` stands for, each with the name by which rows call it."""
    if path.is_file():
        return [(path, path.name)]
    if not path.is_dir():
        raise LuthierError(str(path), "there is no such file or folder", _neighbours(path))
    files = sorted(one for one in path.rglob("*") if one.is_file() and not _hidden(one.relative_to(path)))
    readable = [one for one in files if suffix_of(one) in _BY_SUFFIX]
    if format_ != "auto":
        readable = [one for one in readable if suffix_of(one) in READERS[format_].suffixes] or files
    elif any(_BY_SUFFIX[suffix_of(one)] is not PlainText for one in readable):
        # A README beside tables is not a document of the set.
        readable = [one for one in readable if _BY_SUFFIX[suffix_of(one)] is not PlainText]
    if not readable:
        problem = f"none of the {len(files)} files in the folder can be read" if files else "the folder is empty"
        raise LuthierError(str(path), problem, f"put files of these kinds there: {_kinds()}")
    return [(one, f"{path.name}/{one.relative_to(path).as_posix()}") for one in readable]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _look_at(path: Path, name: str, format_: str, encoding: str | None) -> SourceFile:
    kind = _BY_SUFFIX.get(suffix_of(path)) if format_ == "auto" else READERS[format_]
    if kind is None:
        raise _unknown(path)
    start = head(path)
    if not start:
        raise LuthierError(str(path), "the file is empty", "give a file with rows in it")
    if kind is Parquet:
        return SourceFile(RawFile(path, name), Parquet())
    if kind is Jsonl and start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        kind = Json
    file = RawFile(path, name, detect(path, encoding))
    return SourceFile(file, kind.sniff(file, format_ != "auto"))


def _unknown(path: Path) -> LuthierError:
    suffix = suffix_of(path)
    if suffix in _OTHERS:
        return LuthierError(str(path), f"{suffix} files are not read", _OTHERS[suffix])
    refuse_binary(path, head(path))
    with opened(path) as file:
        line = file.readline(1 << 16).strip()
    guess = next((kind for mark, kind in ((b"{", "jsonl"), (b"[", "json")) if line.startswith(mark)), "tsv" if b"\t" in line else "text")
    what = f'"{suffix}" is no ending that tells a format' if suffix else "the name has no ending that tells the format"
    return LuthierError(str(path), what, f'say what it is under [data], for example format = "{guess}"; known endings are {_kinds()}')


def _kinds() -> str:
    return ", ".join(_BY_SUFFIX) + ", and each with .gz"


def _neighbours(path: Path) -> str:
    """What stands where the file should: the like-named, else some of the readable."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either; paths are taken from the recipe's folder"
    beside = [one for one in path.parent.iterdir() if one.is_dir() or suffix_of(one) in _BY_SUFFIX]
    names = sorted(one.name for one in beside if not one.name.startswith("."))
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if names:
        return f"in {path.parent} there are {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}"
    return f"in {path.parent} there is nothing to read; paths are taken from the recipe's folder"
