"""The folder in which rows are worked on: what a killed process left there is gone on from, if it was for the same."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import DamagedFileError, read_json, write_json
from luthier.core.runs import fingerprint
from luthier.data.engine import Engine
from luthier.data.execution.streamed import ROWS_IN_SHARD, Work
from luthier.data.execution.workers import HERE

FOLDER = ".work"
FORMAT = 1
"""Raised whenever what lies in the folder would be different for the same rows and steps."""
_MARK = "made_for.json"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


@contextlib.contextmanager
def workplace(
    home: Path,
    made_for: str | None = None,
    engine: Engine = HERE,
    rows_in_shard: int = ROWS_IN_SHARD,
    pause: Callable[[], None] = lambda: None,
) -> Iterator[Work]:
    """A place to work in, inside `home`; it is gone when the block ends well or with an error that is the user's.

    Where somebody asked to stop, the disk is full, or the process is killed, it stays, and is there again for work of the same mark.

    Args:
        home: the run's `data` folder.
        made_for: a hash of everything that the work depends on; None for work that nobody will go on with.
        engine: as in `Work`, and so the others.
        rows_in_shard: see there.
        pause: see there.

    """
    folder = home / FOLDER
    absent = [one for one in (home, home.parent) if not one.exists()]
    mark = None if made_for is None else fingerprint({"for": made_for, "format": FORMAT, "rows_in_shard": rows_in_shard})
    try:
        if mark is None or _mark_of(folder) != mark:
            _remove(folder)
            home.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)  # rows lie in it as they came, with all that the steps are to mask or drop
            write_json(folder / _MARK, {"mark": mark})
        yield Work(folder, engine, rows_in_shard, pause)
    except LuthierError:
        _remove(folder)
        with contextlib.suppress(OSError):
            for one in absent:
                one.rmdir()
        raise
    except OSError as error:
        if error.errno not in _NO_ROOM or not str(error.filename or home).startswith(str(home)):
            raise
        fix = "free space, or choose a folder on another disk with --runs"
        raise LuthierError(str(folder), f"rows could not be written there: {error.strerror}", fix) from error
    _remove(folder)


def clear(home: Path) -> None:
    """Remove what work that nobody will go on with has left in `home`: it holds rows as they came."""
    if (home / FOLDER).exists():
        _remove(home / FOLDER)


def _remove(folder: Path) -> None:
    """Remove the folder, its mark first: what is left of it after a kill must not be taken for whole."""
    (folder / _MARK).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _mark_of(folder: Path) -> object:
    try:
        found = read_json(folder / _MARK)
    except (FileNotFoundError, DamagedFileError):
        return None
    return found.get("mark") if isinstance(found, dict) else None
