"""Which files a source is made of, and how each is to be read."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from luthier.core.errors import Complaints, LuthierError
from luthier.data.files.archives import is_archive, members
from luthier.data.files.encoding import detect, refuse_binary
from luthier.data.files.opening import Stamp, head, opened, stamp
from luthier.data.files.record import RawFile, printable
from luthier.data.readers import AnyReader, Conll, Json, Jsonl, Parallel, Parquet, PlainText, Tsv
from luthier.data.readers.parallel import pairs_among

READERS: Mapping[str, type[AnyReader]] = {kind.format: kind for kind in get_args(AnyReader)}
_BY_SUFFIX: Mapping[str, type[AnyReader]] = {suffix: kind for kind in READERS.values() for suffix in kind.suffixes}
_OTHERS = {
    ".xlsx": "save the sheet as CSV in UTF-8", ".xls": "save the sheet as CSV in UTF-8", ".ods": "save the sheet as CSV in UTF-8",
    ".rar": "unpack it and give the folder", ".7z": "unpack it and give the folder", ".bz2": "unpack it, or pack it with gzip",
    ".xz": "unpack it, or pack it with gzip", ".zst": "unpack it, or pack it with gzip",
    ".pdf": "extract its text into a .txt file", ".docx": "save it as plain text", ".arrow": "save it as Parquet",
    ".feather": "save it as Parquet", ".yaml": "save it as JSON", ".yml": "save it as JSON", ".xml": "save it as JSON or CSV",
}  # fmt: skip
MAX_FILES = 200_000


@dataclass(frozen=True)
class SourceFile:
    """A file of the source, the reader that its format and its content call for, and what the files on disk were like before."""

    file: RawFile
    reader: AnyReader
    stamps: Mapping[Path, Stamp]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files on disk that it is read from."""
        return tuple(self.stamps)


def survey(source: str | tuple[str, ...], format_: str, encoding: str | None) -> tuple[SourceFile, ...]:
    """The files of a source, in the order given; folders are unfolded in the order of their names, archives in their own.

    Two files that are alike but for their languages (`train.en`, `train.de`) are one, read side by side.

    Raises:
        LuthierError: files that are missing, empty, not text, or of no known kind; all of them at once.

    """
    complaints = Complaints()
    found: list[RawFile] = []
    pairs: dict[RawFile, RawFile] = {}
    given = [Path(one) for one in ((source,) if isinstance(source, str) else source)]
    for path in given:
        try:
            unfolded, parallel = _unfold(path, format_)
        except LuthierError as error:
            complaints.extend(error)
        else:
            found += unfolded
            pairs |= parallel
    if not any(path.is_dir() or is_archive(path.name) for path in given):
        pairs |= _pairs(found, format_, all_of=True)
    n_called = Counter(file.name for file in found)
    files = [file if n_called[file.name] == 1 else replace(file, name=file.where) for file in found]
    seconds = {file.where for file in pairs.values()}
    surveyed: list[SourceFile] = []
    for file in files:
        if file.where in seconds:
            continue
        try:
            other = next((second for first, second in pairs.items() if first.where == file.where), None) if pairs else None
            surveyed.append(_look_at(file, format_, encoding) if other is None else _beside(file, other, encoding))
        except LuthierError as error:
            complaints.extend(error)
    if not found and not complaints:
        complaints.add("[data] source", "no file is named", "give a file, several, or a folder")
    complaints.raise_if_any()
    return tuple(surveyed)


def left_aside(source: str | tuple[str, ...], files: Sequence[SourceFile]) -> list[str]:
    """The files of the source's folders and archives that are none of `files`: pictures, READMEs, tables beside documents."""
    used = {file.where for one in files for file in (one.file, getattr(one.reader, "other", None)) if file is not None}
    found: list[str] = []
    for path in (Path(one) for one in ((source,) if isinstance(source, str) else source)):
        if path.is_dir():
            found += [file.name for file in _files_in(path) if file.where not in used]
        elif is_archive(path.name):
            found += [f"{path.name}/{name}" for name in members(path) if f"{path}/{name}" not in used]
    return found


def suffix_of(name: str | Path) -> str:
    """The suffix that tells the format: the last one, or the one before `.gz`."""
    return Path(Path(name).name.lower().removesuffix(".gz")).suffix


def _unfold(path: Path, format_: str) -> tuple[list[RawFile], dict[RawFile, RawFile]]:
    """The files that `path` stands for, and which of them are read beside which."""
    if path.is_file():
        if not is_archive(path.name):
            return [RawFile(path, printable(path.name))], {}
        files = [RawFile(path, printable(f"{path.name}/{name}"), member=name) for name in members(path)]
        return _readable(path, files, format_, "archive")
    if not path.is_dir():
        if path.exists():
            raise LuthierError(str(path), "it is neither a file nor a folder: rows are read more than once", "write them to a file first")
        raise LuthierError(str(path), "there is no such file or folder", _neighbours(path))
    return _readable(path, _files_in(path), format_, "folder")


def _files_in(folder: Path) -> list[RawFile]:
    """The files of a folder in the order of their names, each archive as the files in it; links may not lead out of the folder."""
    home = folder.resolve()
    files: list[RawFile] = []
    complaints = Complaints()
    for one in sorted(_below(folder)):
        inside = one.relative_to(folder)
        if one.is_symlink() and not (one.exists() and one.resolve().is_relative_to(home)):
            what = "it is a link that leads out of the folder" if one.exists() else "it is a link to nothing"
            complaints.add(printable(str(one)), what, "copy what it points at into the folder, or name that itself under [data] source")
        elif one.is_file():
            name = printable(f"{folder.name}/{inside.as_posix()}")
            if is_archive(one.name):
                files += [RawFile(one, f"{name}/{member}", member=member) for member in members(one)]
            else:
                files.append(RawFile(one, name))
        if len(files) > MAX_FILES:
            raise LuthierError(str(folder), f"the folder holds more than {MAX_FILES:,} files", "put rows together into fewer files")
    complaints.raise_if_any()
    return files


def _below(folder: Path) -> Iterator[Path]:
    """All that stands in a folder, at any depth, but for what is hidden.

    Raises:
        LuthierError: a folder in it cannot be looked into, so that rows might be missing unseen.

    """
    try:
        # A folder's own error is handed over: without that it would be passed over.
        for here, folders, files in os.walk(folder, onerror=_raised):
            folders[:] = [one for one in folders if not one.startswith(".")]
            yield from (Path(here, one) for one in (*folders, *files) if not one.startswith("."))
    except OSError as error:
        where = printable(str(error.filename or folder))
        raise LuthierError(where, f"the folder cannot be read: {error.strerror}", "check it and its permissions") from error


def _raised(error: OSError) -> None:
    raise error


def _readable(path: Path, files: list[RawFile], format_: str, what: str) -> tuple[list[RawFile], dict[RawFile, RawFile]]:
    """Those of the files that are rows: tables before texts, since a README beside tables is not a document of the set."""
    pairs = _pairs(files, format_, all_of=False)
    if pairs:
        return [*pairs, *pairs.values()], pairs
    readable = [one for one in files if suffix_of(one.name) in _BY_SUFFIX]
    if format_ != "auto":
        readable = [one for one in readable if suffix_of(one.name) in READERS[format_].suffixes] or files
    else:
        texts = [one for one in readable if _BY_SUFFIX[suffix_of(one.name)] is PlainText and not _is_about(one)]
        tables = [one for one in readable if _BY_SUFFIX[suffix_of(one.name)] is not PlainText]
        # Many documents with a table or some records beside them are a set of documents.
        readable = texts if len(texts) > max(len(tables), _FEW_TEXTS) else tables or texts or readable
    if not readable:
        problem = f"none of the {len(files)} files in the {what} can be read" if files else f"the {what} is empty"
        raise LuthierError(str(path), problem, f"put files of these kinds there: {_kinds()}")
    return readable, {}


_FEW_TEXTS = 10


def _is_about(file: RawFile) -> bool:
    """Whether a text is about the others, as README.md and LICENSE.txt are: its name is in capitals, or one of these."""
    stem = Path(file.name).stem
    return stem.isupper() or stem.lower() in ("readme", "license", "licence", "copying", "notice", "changelog", "citation")


def _pairs(files: Sequence[RawFile], format_: str, all_of: bool) -> dict[RawFile, RawFile]:
    """The files that are alike but for their language, first to second; with `all_of`, only where every file has its other.

    In a folder, files that are something else by their ending are left out, unless they are tables.
    """
    if format_ not in ("auto", Parallel.format):
        return {}
    if format_ == Parallel.format and all_of:
        return dict(zip(files[0::2], files[1::2], strict=False)) if len(files) % 2 == 0 else {}
    texts = {one.where: one for one in files if _BY_SUFFIX.get(suffix_of(one.name), PlainText) is PlainText}
    order = {where: n for n, where in enumerate(texts)}
    twos = pairs_among(list(texts))
    # Files that somebody named one by one are translated in the order in which they were named.
    pairs = {texts[a]: texts[b] for a, b in (sorted(two, key=order.__getitem__) if all_of else two for two in twos)}
    plain = [one for pair in pairs.items() for one in pair if suffix_of(one.name) in _BY_SUFFIX]
    if len(texts) < len(files) or (all_of and 2 * len(pairs) < len(files)):
        return {}
    # Texts by their ending as well: they are read side by side only if nothing else could be meant.
    return {} if plain and 2 * len(pairs) < len(files) else pairs


def _stamps(*files: RawFile) -> dict[Path, Stamp]:
    return {file.path: stamp(file.path) for file in files}


def _beside(file: RawFile, other: RawFile, encoding: str | None) -> SourceFile:
    """Two files that are read line by line beside one another."""
    stamps = _stamps(file, other)
    first, second = (replace(one, encoding=detect(_not_empty(one), encoding)) for one in (file, other))
    return SourceFile(first, Parallel.beside(first, second), stamps)


def _not_empty(file: RawFile) -> RawFile:
    if not head(file, 1):
        raise LuthierError(file.where, "the file is empty", "give a file with rows in it")
    return file


def _look_at(file: RawFile, format_: str, encoding: str | None) -> SourceFile:
    kind = _BY_SUFFIX.get(suffix_of(file.name)) if format_ == "auto" else READERS[format_]
    if kind is None:
        raise _unknown(file)
    stamps = _stamps(file)
    start = head(_not_empty(file))
    if kind is Parquet:
        return SourceFile(file, Parquet(), stamps)
    if kind is Jsonl and start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        kind = Json
    file = replace(file, encoding=detect(file, encoding))
    if kind in (PlainText, Tsv) and format_ == "auto" and Conll.fits(file):
        kind = Conll
    return SourceFile(file, kind.sniff(file, format_ != "auto"), stamps)


def _unknown(file: RawFile) -> LuthierError:
    suffix = suffix_of(file.name)
    if suffix in _OTHERS:
        return LuthierError(file.where, f"{suffix} files are not read", _OTHERS[suffix])
    refuse_binary(file, head(file))
    with opened(file) as raw:
        line = raw.readline(1 << 16).strip()
    guess = next((kind for mark, kind in ((b"{", "jsonl"), (b"[", "json")) if line.startswith(mark)), "tsv" if b"\t" in line else "text")
    what = f'"{suffix}" is no ending that tells a format' if suffix else "the name has no ending that tells the format"
    return LuthierError(file.where, what, f'say what it is under [data], for example format = "{guess}"; known endings are {_kinds()}')


def _kinds() -> str:
    return ", ".join(_BY_SUFFIX) + ", each also with .gz; and .zip, .tar, .tar.gz and .tgz of them"


def _neighbours(path: Path) -> str:
    """What stands where the file should: the like-named, else some of the readable."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either; paths are taken from the recipe's folder"
    beside = [one for one in path.parent.iterdir() if one.is_dir() or suffix_of(one) in _BY_SUFFIX or is_archive(one.name)]
    names = sorted(printable(one.name) for one in beside if not one.name.startswith("."))
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if names:
        return f"in {path.parent} there are {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}"
    return f"in {path.parent} there is nothing to read; paths are taken from the recipe's folder"
