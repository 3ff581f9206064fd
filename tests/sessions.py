"""What documents tell people to type, run as they would: in one shell, in order, the output held against what stands there."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.warm import PATHS, warm_python

ANY = "…"
_END = "=== ended with"


@dataclass(frozen=True)
class Typed:
    """A command, the lines that the document shows below it, and the number of its line in the document."""

    command: str
    shown: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Ran:
    """What came of it; stdout and stderr as a terminal shows them, one below the other."""

    typed: Typed
    code: int
    said: str


def sessions(text: str) -> list[Typed]:
    """The commands of a document's `console` blocks: lines that begin with `$ `, gone on with in lines that begin with `> `."""
    found: list[Typed] = []
    is_inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            is_inside = line == "```console"
        elif is_inside and line.startswith("$ "):
            found.append(Typed(line[2:], (), number))
        elif is_inside and line.startswith(("> ", ">")) and found and not found[-1].shown:
            found[-1] = Typed(f"{found[-1].command}\n{line[2:]}", (), found[-1].line)
        elif is_inside and found:
            found[-1] = Typed(found[-1].command, (*found[-1].shown, line), found[-1].line)
    return found


def lines_to_type(text: str) -> list[str]:
    """The commands of a document's `sh` blocks, a line each, with the comments that stand beside them."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def programs(folder: Path) -> None:
    """Put `luthier` and `python` into the folder: the command line as a process of its own, and the interpreter of these tests."""
    folder.mkdir()
    for name, words in (("luthier", [*warm_python(), "luthier"]), ("python", [sys.executable])):
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)


def run_session(typed: Sequence[Typed], folder: Path) -> list[Ran]:
    """Type the commands into one shell in `folder`, in which `luthier` and `python` are those of these tests.

    Port 8000, which documents use, becomes a free one.
    """
    port, bin_ = str(free_port()), folder.parent / f"{folder.name}-programs"
    script = "\n".join(f"{{ {one.command}\n}} </dev/null 2>&1\n_code=$?; echo; echo '{_END}' $_code" for one in typed) + "\nwait\n"
    environment = {
        **os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": PATHS,
        "COLUMNS": "120", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    programs(bin_)
    done = subprocess.run(
        ["bash", "-c", script.replace("8000", port)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    parts = re.split(rf"^\n?{_END} (\d+)\n", done.stdout, flags=re.MULTILINE)
    assert len(parts) == 2 * len(typed) + 1, f"the shell ended early:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    answers = zip(typed, parts[0:-1:2], parts[1::2], strict=True)
    return [Ran(one, int(code), said.replace(port, "8000").strip("\n")) for one, said, code in answers]


def is_as_shown(said: str, shown: Sequence[str]) -> bool:
    """Whether an output is what a document shows: `…` stands for anything in a line, and alone for any number of lines."""
    lines = list(shown)
    while lines and not lines[-1].strip():
        lines.pop()
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == ANY else ".*".join(map(re.escape, line.rstrip().split(ANY))) + r"[^\S\n]*\n" for line in lines
    )
    return re.fullmatch(pattern, f"{said}\n" if said else "") is not None
