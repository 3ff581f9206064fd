"""Fresh processes of our own: a module of this package as a program, with the same interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import luthier


def command(module: str, *arguments: str) -> list[str]:
    """The words that run a module; -P keeps the working folder out, where a file must not pass for a library."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**changed: str) -> dict[str, str]:
    """The environment, in which the same package is found where it is not installed but was put on Python's path."""
    root = Path(luthier.__file__).parents[1]
    if root.name in ("site-packages", "dist-packages"):
        return {**os.environ, **changed}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])), **changed}
