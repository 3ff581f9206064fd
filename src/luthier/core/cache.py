"""The folder of what may be made again at any time: kept to save work, never to be relied on.

It is the one that the environment variable `LUTHIER_CACHE` names, else `~/.cache/luthier`. Whatever lies in it may be
removed at any time.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from luthier.core.files import expanded

MOST_BYTES = 2 * 2**30
"""What the files of one kind may take up together: days of work on data of the usual size, and little beside one base model."""


def cache_folder() -> Path:
    """Where such files are kept."""
    said = os.environ.get("LUTHIER_CACHE")
    return expanded(said) if said else Path.home() / ".cache" / "luthier"


def make_room(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove the files of a folder that were used longest ago, until the others take up `most_bytes` at most."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may have removed it
            found.append((path.stat().st_mtime_ns, path.name, path.stat().st_size, path))
    n_bytes = sum(size for _, _, size, _ in found)
    for _, _, size, path in sorted(found):
        if n_bytes <= most_bytes:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        n_bytes -= size
