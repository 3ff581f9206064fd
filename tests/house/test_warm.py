"""What begins at once does what `python` does: so much hangs on it that it is held against the interpreter itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.warm import warm_python

PROGRAM = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get("SAID"), "HOME" in os.environ, __name__, sys.stdin.read()]))
print("spoken", file=sys.stderr)
{end}
"""
ENDS = {"runs out": "", "exits": "sys.exit(3)", "refuses": "sys.exit('no')", "fails": "raise ValueError('no')", "leaves": "sys.exit()"}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_a_program_is_given_the_same_says_the_same_and_ends_the_same(end: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(end=end))
    environment = {"SAID": "so", "PATH": os.environ["PATH"]}
    words = [program, "a", "--b"]
    cold, warm = (
        subprocess.run([*python, *words], input="in", cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        for python in ([sys.executable], warm_python())
    )
    assert (warm.returncode, warm.stdout) == (cold.returncode, cold.stdout)
    said = [found.stderr.splitlines() for found in (warm, cold)]
    assert (said[0][0], said[0][-1]) == (said[1][0], said[1][-1])


def test_a_module_is_run_as_a_program() -> None:
    cold, warm = (
        subprocess.run([*python, "-m", "calendar", "2026", "11"], capture_output=True, text=True, check=True).stdout
        for python in ([sys.executable], warm_python())
    )
    assert warm == cold and "November 2026" in warm


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_the_process_and_whoever_asked_for_it(number: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint('reading', flush=True)\nsys.stdin.read()\n")
    reading, writing = os.pipe()
    asked = subprocess.Popen([*warm_python(), program], stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(reading)
    assert asked.stdout is not None and asked.stdout.readline() == "reading\n"
    asked.send_signal(number)
    asked.communicate()
    assert asked.returncode != 0
    with pytest.raises(BrokenPipeError):
        for _ in range(10**6):
            os.write(writing, b"x")
    os.close(writing)
