"""The folder of one run: what lies where, which stages are done, and who may write to it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier import __version__
from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json
from luthier.core.jsonvalue import Json
from luthier.core.plain_words import nearest

_MARK = "luthier run"


@dataclass(frozen=True)
class Run:
    """One run's folder and the paths in it; nothing is created by asking for a path."""

    folder: Path

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.folder.resolve().name

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.toml"

    @property
    def plan(self) -> Path:
        """Everything that shapes arithmetic, decided once."""
        return self.folder / "plan.json"

    @property
    def data(self) -> Path:
        """The folder of kept and dropped rows, split and profile."""
        return self.folder / "data"

    @property
    def kept(self) -> Path:
        """The rows that are used, each with its side."""
        return self.data / "kept.jsonl.gz"

    @property
    def dropped(self) -> Path:
        """The rows that are not used, each with its reason."""
        return self.data / "dropped.jsonl.gz"

    @property
    def cleaning(self) -> Path:
        """What each step read, kept, dropped and changed."""
        return self.data / "cleaning.json"

    @property
    def split(self) -> Path:
        """The side of each row, and the certificate."""
        return self.data / "split.json"

    @property
    def profile(self) -> Path:
        """What the rows are like."""
        return self.data / "profile.json"

    @property
    def metrics(self) -> Path:
        """What training measured, one line for each step that measured."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of states that training can go on from."""
        return self.folder / "checkpoints"

    @property
    def proofs(self) -> Path:
        """What the run proved about itself."""
        return self.folder / "proofs.json"

    @property
    def evaluation(self) -> Path:
        """The folder of scores, report and figures."""
        return self.folder / "evaluation"

    @property
    def scores(self) -> Path:
        """One line for each judged answer of each system."""
        return self.evaluation / "scores.jsonl.gz"

    @property
    def report(self) -> Path:
        """The report, by the report contract."""
        return self.evaluation / "report.json"

    @property
    def bundle(self) -> Path:
        """The folder that is shipped."""
        return self.folder / "bundle"

    @property
    def lock_file(self) -> Path:
        """Marks the folder as a run and says which process writes to it."""
        return self.folder / ".lock"

    def done(self, stage: str) -> Path:
        """The file that says that a stage is done, and for which inputs."""
        return self.folder / f"{stage}.done"


def fingerprint(parts: Json) -> str:
    """SHA-256 of a JSON value, as hex; the order of an object's keys does not matter."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stage_is_done(run: Run, stage: str, fingerprint: str, stage_format: int = 1) -> bool:
    """Whether a stage was finished for the same fingerprint, by code whose output has the same format.

    Args:
        run: the run.
        stage: the stage's name, such as `prepare`.
        fingerprint: of its part of the recipe and of the hashes of what it reads.
        stage_format: the stage's integer, raised whenever its output would change.

    """
    found = _done(run, stage)
    return found.get("fingerprint") == fingerprint and found.get("format") == stage_format


def mark_done(run: Run, stage: str, fingerprint: str, detail: Json = None, stage_format: int = 1) -> None:
    """Record that a stage is finished; call it after the last of its files is in place."""
    content: dict[str, Json] = {"fingerprint": fingerprint, "format": stage_format, "luthier": __version__, "detail": detail}
    write_json(run.done(stage), content)


def done_detail(run: Run, stage: str) -> Json:
    """The detail that `mark_done` recorded, None if the stage is not done."""
    return _done(run, stage).get("detail")


@contextlib.contextmanager
def lock(run: Run) -> Iterator[Run]:
    """The run's folder, created if need be, for this process alone until the block ends.

    The operating system holds the lock, so one left by a process that died, however it died, is free again.

    Raises:
        LuthierError: another process is at work in the folder, or it holds files that are not a run's.

    """
    refuse_foreign(run.folder)
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        file = run.lock_file.open("a+", encoding="utf-8")
    except OSError as error:
        problem = f"it cannot be written to: {error.strerror or error}"
        raise LuthierError(str(run.folder), problem, "choose another folder with --runs") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise LuthierError(str(run.lock_file), f"it cannot be locked: {error.strerror}", "use a folder on a local disk") from error
            file.seek(0)
            holder = file.read().removeprefix(_MARK).strip(" ,\n") or "another process"
            fix = "wait for it, stop it, or give the run another name"
            raise LuthierError(str(run.folder), f"{holder} is at work in this run", fix) from error
        file.truncate(0)
        file.write(f"{_MARK}, process {os.getpid()}\n")
        file.flush()
        yield run


def is_run(folder: Path) -> bool:
    """Whether a folder is a run of ours: its lock says so, or it has a recipe and a finished stage."""
    mark = folder / ".lock"
    if mark.is_file() and mark.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        return True
    return (folder / "recipe.toml").is_file() and any(folder.glob("*.done"))


def refuse_foreign(folder: Path) -> None:
    """Raise if a folder holds anything and is no run of ours, so that nobody's files are written over."""
    if folder.exists() and not folder.is_dir():
        raise LuthierError(str(folder), "it is a file, and a run needs a folder", "give the run another name, or choose another --runs")
    if not folder.is_dir() or is_run(folder):
        return
    # A process killed while it created the lock leaves an empty one, and nothing else.
    found = sorted(item.name for item in folder.iterdir() if not (item.name == ".lock" and item.stat().st_size == 0))
    if found:
        raise LuthierError(
            str(folder), f"it holds {found[0]} and is not a run of Luthier", "give the run another name, or choose another --runs"
        )


def find_run(runs: Path, name: str) -> Run:
    """The run that a user means by a name in the folder of runs, or by a path.

    Raises:
        LuthierError: there is no such run; with the nearest name, or with those that there are.

    """
    for folder in (runs / name, Path(name)):
        if name and is_run(folder):
            return Run(folder)
    known = sorted(item.name for item in runs.iterdir() if is_run(item)) if runs.is_dir() else []
    close = nearest(Path(name).name, known)
    if close:
        fix = f'did you mean "{close}"?'
    elif known:
        fix = "there are " + ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
    else:
        fix = f"there are no runs in {runs} yet: make one with luthier run, or say where they are with --runs"
    raise LuthierError(str(runs / name), "there is no such run", fix)


def _done(run: Run, stage: str) -> Mapping[str, Json]:
    """What a stage's `.done` file says; nothing where it is absent or not ours."""
    try:
        found = read_json(run.done(stage))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}
