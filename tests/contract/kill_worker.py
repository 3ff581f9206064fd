"""Runs the command line in forked processes and kills them at given moments; run as a program by `test_kill.py`.

    python kill_worker.py < calls    each line {"folder": "…", "arguments": ["run", "recipe.toml"], "event": 7, "after_s": null}

Each call is made in a process of its own, in `folder`, with stdout and stderr in files beside it. `event` n hits it just
before its n-th change to the file system, as Python's audit hooks report them, so also between each sync and its rename;
`after_s` hits it from outside. The blow is SIGKILL unless `number` names another signal. `max_file_bytes` is the length
from which on the disk is full for any file. Prints, for each call, the exit code, the seconds, and how many changes it made.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.forks import mend_torch_in_children

import luthier.stages.run
from luthier.cli.main import run

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate")
assert luthier.stages.run, "imported before the first fork, so that each call starts at once"


def _watch(hit_at: int | None, number: int, count: mmap.mmap) -> None:
    """Count the changes to the file system, and send this process a signal just before the one with that number."""

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event in _CHANGES:
            n_seen = int.from_bytes(count[:8], "little") + 1
            if n_seen == hit_at:
                os.kill(os.getpid(), number)
            count[:8] = n_seen.to_bytes(8, "little")

    sys.addaudithook(hook)


def call(
    folder: str,
    arguments: list[str],
    event: int | None = None,
    after_s: float | None = None,
    number: int = signal.SIGKILL,
    max_file_bytes: int | None = None,
) -> dict[str, Any]:
    """One call of the command line in a child."""
    # Memory and pipes, for a child whose disk is full must still be able to count and to speak.
    count = mmap.mmap(-1, 8)
    pipes = {name: os.pipe() for name in ("out", "err")}
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            os.dup2(pipes["out"][1], 1)
            os.dup2(pipes["err"][1], 2)
            _watch(event, number, count)
            if max_file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
            code = run(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    if after_s is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, number))
        signal.setitimer(signal.ITIMER_REAL, after_s)
    status = os.waitpid(child, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, 0)
    for name, (reading, writing) in pipes.items():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            Path(folder).with_suffix(f".{name}.txt").write_bytes(pipe.read())
    n_changes = int.from_bytes(count[:8], "little")
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began, "n_changes": n_changes}


if __name__ == "__main__":
    mend_torch_in_children()
    for line in sys.stdin:
        print(json.dumps(call(**json.loads(line))), flush=True)
