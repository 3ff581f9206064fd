"""Processes of their own that begin at once; all that one process of tests starts come from one `fork_server.py`.

For tests of what processes do. That the installed command begins at all is the matter of those that use `sys.executable`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

import luthier

SERVER = ROOT / "tests" / "fork_server.py"
PATHS = os.pathsep.join([str(Path(luthier.__file__).parents[1]), str(ROOT)])
"""Where Python finds the package that is tested here, and these tests."""


@cache
def _server() -> tuple[Path, subprocess.Popen[str]]:
    """Where the server listens, and itself: it ends when the other side of its standard input does, which is this process."""
    path = Path(tempfile.mkdtemp(prefix="luthier-warm-")) / "calls"
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0,
        env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return path, process


def warm_python() -> list[str]:
    """The words that stand for `sys.executable` in a command of a module (`-m`), a program's file, or `luthier` as it is installed."""
    return [sys.executable, "-SE", str(SERVER), str(_server()[0]), "call"]


def warm_command(module: str, *arguments: str) -> list[str]:
    """What `luthier.core.fresh.command` gives, but for how long the process takes to begin."""
    return [*warm_python(), "-m", module, *arguments]
