"""The file of answers: built beside its place row by row, so that an interrupted call goes on and no half file is left."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.files import file_hash, read_jsonl, write_bytes, write_json, write_jsonl
from luthier.core.jsonvalue import Json, dump
from luthier.core.runs import fingerprint

KINDS = (".csv", ".tsv", ".json", ".jsonl")


@dataclass
class AnswersFile:
    """Answered rows, appended to `<out>.partial.jsonl`; `finish` writes `out` in the form that its ending names.

    `counts` are over all rows so far: how many were abstained from, how many questions were too long and cut, and by how
    many tokens.
    """

    out: Path
    n_done: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"n_abstained": 0, "n_cut": 0, "n_tokens_cut": 0})

    @property
    def partial(self) -> Path:
        """The rows so far, behind a first line that says for which question they are."""
        return self.out.with_name(self.out.name + ".partial.jsonl")

    @classmethod
    def begin(cls, out: Path, file: Path, bundle: Path, settings: Json = None) -> AnswersFile:
        """Start, or go on where an earlier call for the same file and bundle stopped.

        Raises:
            LuthierError: `out` exists, stands in the folder that is read, or its ending names no form.

        """
        if out.suffix not in KINDS:
            raise LuthierError(str(out), f"the ending {out.suffix or '(none)'!r} names no form of rows", f"use one of {', '.join(KINDS)}")
        if file.is_dir() and out.resolve().is_relative_to(file.resolve()):
            raise LuthierError(str(out), "it would stand among the files that are read", "name a file outside of that folder with -o")
        if out.exists():
            raise LuthierError(str(out), "there is a file already", "remove it, or choose another name with -o")
        answers = cls(out)
        asked: Json = file_hash(file) if file.is_file() else {str(one): file_hash(one) for one in file.rglob("*") if one.is_file()}
        for_what = fingerprint({"file": asked, "bundle": file_hash(bundle / "bundle.json"), "settings": settings})
        if not answers._go_on(for_what):
            write_jsonl(answers.partial, [{"for": for_what}])
        return answers

    def _go_on(self, for_what: str) -> bool:
        """Take over the whole rows of an earlier call; a row that was half written is dropped."""
        if not self.partial.is_file():
            return False
        whole = []
        for line in self.partial.read_bytes().split(b"\n")[:-1]:
            try:
                whole.append(json.loads(line))
            except ValueError:
                break
        if not whole or whole[0] != {"for": for_what}:
            return False
        write_jsonl(self.partial, whole)
        self._count(whole[1:])
        return True

    def add(self, rows: Sequence[dict[str, Json]], n_tokens_cut: Sequence[int]) -> None:
        """Append answered rows, each with the tokens that were cut from its question, and make sure that they are on the disk."""
        lines: list[dict[str, Json]] = [{"row": row, "n_tokens_cut": n} for row, n in zip(rows, n_tokens_cut, strict=True)]
        try:
            with open(self.partial, "a", encoding="utf-8") as file:
                file.writelines(dump(line) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LuthierError(
                str(self.partial), f"it could not be written: {error.strerror}", "free space, then give the same command again"
            ) from error
        self._count(lines)

    def _count(self, lines: Sequence[dict[str, Any]]) -> None:
        self.n_done += len(lines)
        self.counts["n_abstained"] += sum(bool(line["row"].get("abstain")) for line in lines)
        self.counts["n_cut"] += sum(line["n_tokens_cut"] > 0 for line in lines)
        self.counts["n_tokens_cut"] += sum(line["n_tokens_cut"] for line in lines)

    def finish(self) -> int:
        """Write `out`, remove the partial file; gives the number of rows."""
        lines: list[Any] = list(read_jsonl(self.partial))
        rows = [line["row"] for line in lines[1:]]
        if self.out.suffix == ".jsonl":
            write_jsonl(self.out, rows)
        elif self.out.suffix == ".json":
            write_json(self.out, rows)
        else:
            write_bytes(self.out, _table(rows, "\t" if self.out.suffix == ".tsv" else ",").encode("utf-8"))
        self.partial.unlink()
        return len(rows)


def _table(rows: Sequence[dict[str, Json]], delimiter: str) -> str:
    """The rows as CSV or TSV, in the order of their columns; a value that is no text or number is written as JSON."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if (value := row.get(name)) is None else value if isinstance(value, str) else dump(value) for name in columns])
    return buffer.getvalue()
