"""Whole things for tests of the command line: a tiny model folder, rows of each shape, recipes, and the command itself."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.warm import PATHS, warm_python

LABELS = ("repair", "rental", "lesson")
_SPOKEN = {
    "repair": ("mend", "broken", "crack", "neck"), "rental": ("hire", "borrow", "month", "rent"),
    "lesson": ("teach", "tutor", "learn", "class"),
}  # fmt: skip
_SYLLABLES = ("ba", "ko", "mi", "ru", "te", "lo", "sa", "ni", "pu", "ga", "do", "fe", "hi", "zu", "wo", "ye")


def make_model(folder: Path, template: str = "chatml", context: int = 256) -> Path:
    """Write a random two-layer Llama of width 16 with a byte-level tokenizer and a chat template of `tests.small`."""
    import torch
    from tests.small import decoder_of, tokenizer_of

    tokenizer = tokenizer_of(template)
    decoder_of("llama", torch.float32, vocab_size=len(tokenizer.inner), max_position_embeddings=context).save_pretrained(folder)
    tokenizer.inner.save_pretrained(folder)
    return folder


def made_words(draw: random.Random, n: int) -> str:
    """Words that nobody has said before, so that no two rows are nearly equal."""
    return " ".join("".join(draw.choices(_SYLLABLES, k=draw.randint(2, 3))) for _ in range(n))


def messages_of(n: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows with text and label; some words tell the label."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        label = LABELS[i % len(LABELS)]
        words = [*draw.choices(_SPOKEN[label], k=2), *made_words(draw, 3).split()]
        draw.shuffle(words)
        rows.append({"message": " ".join(words), "intent": label, "day": str(i)})
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write CSV or JSONL."""
    if path.suffix == ".csv":
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)


def luthier(*arguments: object, stdin: str = "") -> Said:
    """The command line in this process."""
    from luthier.cli.main import run

    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([str(one) for one in arguments])
    finally:
        sys.stdin = before
    return Said(code, out.getvalue(), err.getvalue())


def started(*arguments: object, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The command line as a process of its own, in `folder`."""
    return _started([sys.executable], *arguments, folder=folder, **environment)


def forked(*arguments: object, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The same, begun at once; its process is another than the one that is given back, which hands signals on."""
    return _started(warm_python(), *arguments, folder=folder, **environment)


def _started(python: Sequence[str], *arguments: object, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*python, "-m", "luthier", *map(str, arguments)], cwd=folder, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment},
    )  # fmt: skip


def ended(process: subprocess.Popen[str], sent: signal.Signals | None = None) -> Said:
    """Wait for a process, after sending it a signal."""
    if sent is not None:
        process.send_signal(sent)
    out, err = process.communicate(timeout=300)
    return Said(process.returncode, out, err)


class Calls:
    """Calls of the command line in processes of their own, which can be hit at a given moment."""

    def __init__(self) -> None:
        worker = str(ROOT / "tests" / "contract" / "kill_worker.py")
        self._process = subprocess.Popen([*warm_python(), worker], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, folder: Path, *arguments: str, **how: object) -> dict[str, Any]:
        """One call in `folder`; what `how` may say stands in `kill_worker.py`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "arguments": arguments, **how}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def said(self, folder: Path, *arguments: str, **how: object) -> Said:
        """The same, with what it printed."""
        code = self.call(folder, *arguments, **how)["code"]
        return Said(code, *(folder.with_suffix(f".{name}.txt").read_text() for name in ("out", "err")))

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


def recipe(path: Path, **sections: object) -> Path:
    """Write a recipe; `data__source="x.csv"` stands below [data], `name="x"` above all sections."""
    lines: list[str] = []
    tables: dict[str, list[str]] = {}
    for key, value in sections.items():
        section, _, option = key.rpartition("__")
        line = f"{option} = {toml(value)}"
        if section:
            tables.setdefault(section.replace("__", "."), []).append(line)
        else:
            lines.append(line)
    for name, inside in tables.items():
        lines += ["", f"[{name}]", *inside]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kept_rows(run: Path) -> list[dict[str, Any]]:
    """The rows that a run kept."""
    with gzip.open(run / "data" / "kept.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def without_times(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report without what two equal runs do not share."""
    return {name: value for name, value in report.items() if name not in ("seconds", "run")}
