"""Prepares rows in forked processes and kills them at given moments; run as a program by `test_prepare_kill.py`.

    python prepare_worker.py < calls    each line {"source": "…", "run": "…", "rows_in_shard": 20, "event": 7}

`event` n hits the process with SIGKILL just before its n-th change to the file system, as Python's audit hooks report them,
so also between each sync and its rename. Prints, for each call, the exit code and how many changes were made.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from pathlib import Path

from luthier.data.pipeline import Prepare
from luthier.data.source.reading import Data
from luthier.stages.prepare import Making, prepare

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate")


def call(source: str, run: str, rows_in_shard: int, event: int | None = None, made_for: str | None = "these rows") -> dict[str, int]:
    """One preparing in a child."""
    count = mmap.mmap(-1, 8)
    child = os.fork()
    if child == 0:
        code = 1

        def hook(name: str, args: tuple[object, ...]) -> None:
            if name in _CHANGES:
                n_seen = int.from_bytes(count[:8], "little") + 1
                if n_seen == event:
                    os.kill(os.getpid(), signal.SIGKILL)
                count[:8] = n_seen.to_bytes(8, "little")

        try:
            sys.addaudithook(hook)
            data = Data(source=source, fields={"text": "message", "label": "intent"}, group="customer")
            prepare(data, Prepare(), 0, "labelled", Path(run), making=Making(made_for, rows_in_shard=rows_in_shard))
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return {"code": os.waitstatus_to_exitcode(status), "n_changes": int.from_bytes(count[:8], "little")}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(call(**json.loads(line))), flush=True)
