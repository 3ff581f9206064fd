"""Runs the command line in forked processes and kills them at given moments; run as a program by `test_kill.py`.

    python kill_worker.py < calls    each line {"folder": "…", "arguments": ["run", "recipe.toml"], "event": 7, "after_s": null}

Each call is made in a process of its own, in `folder`, with stdout in `out.txt`. `event` n kills it by SIGKILL just before
its n-th change to the file system, as Python's audit hooks report them, so also between each sync and its rename;
`after_s` kills it from outside. Prints, for each call, the exit code, the seconds, and how many changes it made.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import luthier.stages.run
from luthier.cli.main import run

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate")
assert luthier.stages.run, "imported before the first fork, so that each call starts at once"


def _watch(killed_at: int | None, count: Path) -> None:
    """Note each change to the file system, and SIGKILL this process just before the one with that number."""
    n_seen = 0
    descriptor = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal n_seen
        if event in _CHANGES:
            n_seen += 1
            if n_seen == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            os.pwrite(descriptor, f"{n_seen}".encode(), 0)

    sys.addaudithook(hook)


def call(folder: str, arguments: list[str], event: int | None = None, after_s: float | None = None) -> dict[str, Any]:
    """One call of the command line in a child."""
    count = Path(folder).with_suffix(".changes")
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            for stream, name in ((1, "out.txt"), (2, "err.txt")):
                os.dup2(os.open(Path(folder).with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            _watch(event, count)
            code = run(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    if after_s is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, after_s)
    status = os.waitpid(child, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, 0)
    changes = int(count.read_text() or 0) if count.exists() else 0
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began, "n_changes": changes}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(call(**json.loads(line))), flush=True)
