"""Asking for help, or importing the package, waits for none of the heavy libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "luthier"
HEAVY = {"torch", "transformers", "sklearn", "matplotlib", "polars", "scipy", "trafilatura", "peft", "ray"}
CORE = sorted(f"luthier.core.{path.stem}" for path in (SOURCE / "core").glob("*.py") if path.stem != "__init__")
REPORT = """
import json, sys
sys.stderr.write("MODULES " + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded(program: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded at the end of a program."""
    done = subprocess.run([sys.executable, "-c", program + REPORT], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stderr.rpartition("MODULES ")[2])
    return set(names)


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("import luthier") & HEAVY == set()


def test_importing_the_whole_core_loads_nothing_heavy() -> None:
    assert loaded("\n".join(f"import {name}" for name in CORE)) & HEAVY == set()


HELP = """
import runpy, sys
sys.argv = ["luthier", "--help"]
try:
    runpy.run_module("luthier.cli.main", run_name="__main__")
except SystemExit as stopped:
    assert not stopped.code, stopped.code
else:
    raise AssertionError("--help did not exit")
"""


@pytest.mark.skipif(not (SOURCE / "cli" / "main.py").exists(), reason="the command line is not written yet")
def test_help_loads_nothing_heavy() -> None:
    assert loaded(HELP) & HEAVY == set()


def test_the_law_itself_sees_a_heavy_import() -> None:
    assert "scipy" in loaded("import scipy")
