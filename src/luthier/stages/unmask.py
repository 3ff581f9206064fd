"""Placeholders in a file turned back into what they stand for, by a run that they came from and the key that made them."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import atomic_writer, read_jsonl
from luthier.core.jsonvalue import Json, dump
from luthier.core.runs import Run, find_run
from luthier.core.secret_keys import secrets_folder
from luthier.data.personal.placeholders import PLACEHOLDER, SEALED, Vault, turned_back, vault_of

_NOT_TEXT = (".parquet", ".zip", ".tar", ".tgz", ".zst", ".bz2", ".xz")
_WHAT = "give JSON lines, JSON, CSV, TSV or text in UTF-8, or one of those as .gz"
_QUOTED_IN_CSV = frozenset('",;\t\r\n')


def unmask(name: str, file: Path, out: Path, secrets: Path | None, runs: Path) -> dict[str, Json]:
    """Write `file` to `out` with every placeholder turned back that rows of the run know; others stay.

    JSON and JSON lines are read as such, so that a value with quotes or line ends stays one string, also in JSON inside of
    strings; lines without placeholders keep their bytes. CSV and TSV keep their cells. All else is text. `out` can be read
    by its owner alone, for it holds what was hidden.

    Raises:
        LuthierError: no such run or file, an `out` that exists, a key that is missing or another, or a file that is not text.

    """
    run = find_run(runs, name)
    folder = secrets or secrets_folder()
    if out.exists():
        raise LuthierError(str(out), "it is there already", "choose another name with -o, or move it away")
    wanted = Counter(match[0] for line in _lines(file) for match in PLACEHOLDER.finditer(line))
    known = _values(run, set(wanted), folder)
    with atomic_writer(out) as raw:
        os.fchmod(raw.fileno(), 0o600)
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") if out.suffix == ".gz" else contextlib.nullcontext(raw) as writer:
            for text in _turned_back(file, known):
                writer.write(text.encode("utf-8", "surrogatepass"))
    turned = sum(n for placeholder, n in wanted.items() if placeholder in known)
    return {"out": str(out), "turned_back": turned, "unknown": wanted.total() - turned}


def _lines(file: Path) -> Iterator[str]:
    """The file's lines with their ends as they are; LuthierError where it is no text."""
    if file.suffix.lower() in _NOT_TEXT:
        raise LuthierError(str(file), f"{file.suffix} is not text", _WHAT)
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as raw, io.TextIOWrapper(raw, "utf-8", newline="\n") as text:
            yield from text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LuthierError(str(file), f"it cannot be read as text: {said}", _WHAT) from error


def _values(run: Run, wanted: set[str], folder: Path) -> dict[str, str]:
    """What the wanted placeholders stand for, as far as rows of the run know them.

    Raises:
        LuthierError: the run has none at all, or the key is missing or not the one.

    """
    vault = cache(lambda name: vault_of(folder, name))
    found: dict[str, str] = {}
    n_sealed = 0
    for sealed in _sealed(run):
        n_sealed += len(sealed)
        for placeholder in wanted & (sealed.keys() - found.keys()):
            found[placeholder] = _opened(vault, placeholder, str(sealed[placeholder]), folder)
    if not n_sealed:
        problem = "its rows hold no placeholders that could be turned back"
        raise LuthierError(str(run.folder), problem, 'name the run whose steps have action = "replace"')
    return found


def _sealed(run: Run) -> Iterator[Mapping[str, Json]]:
    for path in (run.kept, run.dropped):
        for record in read_jsonl(path):
            extra = record.get("extra")
            sealed = extra.get(SEALED) if isinstance(extra, Mapping) else None
            if isinstance(sealed, Mapping):
                yield sealed


def _opened(vault: Callable[[str], Vault], placeholder: str, sealed: str, folder: Path) -> str:
    name = sealed.partition(":")[0]
    value = vault(name).opened(placeholder, sealed)
    if value is None:
        problem = f'the key "{name}" is not the one that this run was made with'
        raise LuthierError(str(folder), problem, "bring that one here, or say where it is with --secrets")
    return value


def _turned_back(file: Path, known: Mapping[str, str]) -> Iterator[str]:
    """The file's text in pieces, with the values in it."""
    kind = Path(file.stem).suffix.lower() if file.suffix == ".gz" else file.suffix.lower()
    if kind == ".json":
        yield _document(file, "".join(_lines(file)), known)
    elif kind in (".jsonl", ".ndjson"):
        yield from (_line(file, number, line, known) for number, line in enumerate(_lines(file), 1))
    elif kind in (".csv", ".tsv") and any(_QUOTED_IN_CSV & set(value) for value in known.values()):
        yield from _table(_lines(file), known, "\t" if kind == ".tsv" else ",")
    else:
        yield from (turned_back(line, known) for line in _lines(file))


def _document(file: Path, text: str, known: Mapping[str, str]) -> str:
    if not PLACEHOLDER.search(text):
        return text
    try:
        value: Json = json.loads(text)
    except ValueError as error:
        raise LuthierError(str(file), f"it is not JSON: {error}", "rename it to .txt to have it read as text") from error
    return json.dumps(_leaves(value, known), ensure_ascii=False, indent=2) + "\n"


def _line(file: Path, number: int, line: str, known: Mapping[str, str]) -> str:
    if not PLACEHOLDER.search(line):
        return line
    try:
        value: Json = json.loads(line)
    except ValueError as error:
        raise LuthierError(f"{file}:{number}", f"it is not JSON: {error}", "rename it to .txt to have it read as text") from error
    return dump(_leaves(value, known)) + line[len(line.rstrip("\r\n")) :]


def _leaves(value: Json, known: Mapping[str, str]) -> Json:
    if isinstance(value, Mapping):
        return {turned_back(name, known): one if name == SEALED else _leaves(one, known) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_leaves(one, known) for one in value]
    if not isinstance(value, str):
        return value
    if value.lstrip()[:1] in ("{", "[") and _is_json(value):  # a tool's arguments: JSON that is text, whose strings need escapes
        return turned_back(value, {name: json.dumps(one, ensure_ascii=False)[1:-1] for name, one in known.items()})
    return turned_back(value, known)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _table(lines: Iterator[str], known: Mapping[str, str], delimiter: str) -> Iterator[str]:
    """Each row of a table anew, with quotes where a value needs them."""
    for row in csv.reader(lines, delimiter=delimiter):
        made = io.StringIO()
        csv.writer(made, delimiter=delimiter, lineterminator="\n").writerow([turned_back(cell, known) for cell in row])
        yield made.getvalue()
