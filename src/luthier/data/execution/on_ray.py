"""Pieces of work on Ray: on the cluster that `RAY_ADDRESS` names, else on one of this machine alone that ends when the work does.

A piece is a task of Ray's, and its rows travel to where it is done; what it writes, it writes to the run's folder, which every machine
must see. One that is lost with its process or its machine is begun again elsewhere. Tasks, and not Ray Data or Daft, because rows
are read one after another and cut into pieces while others are being worked on; both engines want to know all their input first.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from luthier import __version__
from luthier.core.errors import LuthierError
from luthier.data.engine import P
from luthier.data.execution.workers import Answer, answer_to, of_a_worker, raise_told

_ADDRESS = "RAY_ADDRESS"
_AHEAD = 2
"""Pieces for each processor that are handed out: one to do, and one to go on with."""
_TRIES = 3
_STORE = 2**27, 2**25
"""Bytes of memory for pieces on their way: on this machine, and for each of its processors. What goes beyond is put on the disk."""
_STOPPING_S = 30.0
_LOOPBACK = ("127.0.0.1", "::1")
_ALONE = {
    # Ray sends usage statistics unless told not to.
    "RAY_USAGE_STATS_ENABLED": "0",
    # By its name for other systems; on any system Ray keeps to the loopback address with it, where it would listen on every network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Other people of this machine have the loopback address too, and whoever may give Ray tasks is us.
    "RAY_AUTH_MODE": "token",
}


def refuse_absent() -> None:
    """Raise if Ray is not installed.

    Raises:
        LuthierError: it is not.

    """
    if importlib.util.find_spec("ray") is None:
        fix = 'pip install "luthier[ray]", or set [data] engine to "local"'
        raise LuthierError("recipe [data] engine", "is ray, and Ray is not installed", fix)


class OnRay:
    """An engine on Ray, which is started, or connected to, when there is a first piece."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._open = contextlib.ExitStack()
        self._is_open = False

    def __enter__(self) -> OnRay:
        return self

    def __exit__(self, *of_error: object) -> None:
        self._open.close()
        self._is_open = False

    def work(self, do: Callable[[P], None], pieces: Iterable[P], done: Callable[[P], None], folders: Sequence[Path]) -> None:
        """Do all of them; see `Engine`.

        Raises:
            LuthierError: Ray could not be reached, or a machine does not see the folders, or has another version of this package.

        """
        waiting = iter(pieces)
        first = next(waiting, None)
        if first is None:
            return
        self._begin()
        import ray

        began, n_pieces, n_rows = time.monotonic(), 0, 0
        task = ray.remote(num_cpus=1, max_retries=_TRIES - 1)(_do)
        at_work: dict[Any, P] = {}
        with contextlib.ExitStack() as stack:
            marks = tuple(stack.enter_context(_mark(folder)) for folder in folders)
            # In a list: a task is handed what a list holds as it is, and only asks for it where its process does not know it yet.
            given = _Given(uuid4().hex, __version__, marks, [ray.put(do)])
            stack.callback(_stop, at_work)
            for piece in chain([first], waiting):
                while len(at_work) >= _AHEAD * _n_processors():
                    _collect(at_work, done)
                at_work[task.remote(given, piece)] = piece
                n_pieces, n_rows = n_pieces + 1, n_rows + piece.n_rows
            while at_work:
                _collect(at_work, done)
        # What other machines wrote into a shared folder is sure to be seen once the folder was opened anew (NFS, close-to-open).
        for folder in folders:
            os.listdir(folder)
        seconds = time.monotonic() - began
        self._say(f"Ray: {n_rows:,} rows in {n_pieces:,} pieces, {seconds:.1f} s, {n_rows / seconds:,.0f} rows/s")

    def _begin(self) -> None:
        """Start Ray or connect to it, once."""
        if self._is_open:
            return
        began = time.monotonic()
        where = self._open.enter_context(_ray())
        self._is_open = True
        import ray

        n_machines = sum(node["Alive"] for node in ray.nodes())
        seconds = time.monotonic() - began
        self._say(f"Ray: {where} in {seconds:.1f} s, machines: {n_machines}, processors: {_n_processors()}")


@contextlib.contextmanager
def _ray() -> Iterator[str]:
    """Ray, ready for tasks, as long as the block lasts; gives what was done for that, in words."""
    address = os.environ.get(_ADDRESS, "")
    is_ours = address in ("", "local")
    if "ray" in sys.modules and importlib.import_module("ray").is_initialized():
        yield "used as this process has it"
        return
    with contextlib.ExitStack() as stack:
        if is_ours:
            stack.enter_context(_environment({**_ALONE, "RAY_AUTH_TOKEN": _token()}))
            if not _imported_alone():
                fix = f"call ray.init() before, name a cluster by {_ADDRESS}, or use the local engine"
                raise LuthierError("Ray", "was imported before, by something else, and would listen on every network", fix)
        import ray

        folder = stack.enter_context(_folder()) if is_ours else None
        stack.callback(ray.shutdown)
        if is_ours:
            _init(address="local", include_dashboard=False, _temp_dir=str(folder), **_sizes())
            _refuse_network(ray.util.get_node_ip_address())
        else:
            _init(address=address)
        yield f"started {ray.__version__} on this machine" if is_ours else f"connected {ray.__version__} to {address}"


@cache
def _token() -> str:
    """What whoever gives tasks to a cluster of ours has to know; one for this process, for Ray reads it once."""
    return secrets.token_hex(32)


@cache
def _imported_alone() -> bool:
    """Import Ray as it is to be for a cluster of our own, and say whether that was not too late: it looks at the environment once."""
    is_first = "ray" not in sys.modules
    importlib.import_module("ray")
    return is_first


def _init(address: str, **how: Any) -> None:
    import ray

    before = signal.getsignal(signal.SIGTERM)
    try:
        # What Ray starts here takes over the environment, and with it where modules are found.
        with _environment(of_a_worker() if address == "local" else {}):
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **how)
    except Exception as error:  # Ray has errors of many kinds for this, some of them plain
        if address == "local":
            raise LuthierError("Ray", f"could not be started: {_first_line(error)}", 'set [data] engine to "local"') from error
        fix = f"start the cluster, or correct {_ADDRESS}; without it, Ray is started on this machine"
        raise LuthierError(_ADDRESS, f"{address} cannot be used: {_first_line(error)}", fix) from error
    finally:
        # Ray puts a handler of its own in the place of ours, by which a run is stopped between two pieces.
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _sizes() -> dict[str, int]:
    """How much of this machine a cluster of our own takes."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"num_cpus": n, "object_store_memory": _STORE[0] + n * _STORE[1]}


def _refuse_network(at: str) -> None:
    if at not in _LOOPBACK:
        fix = f"start a cluster of your own and name it by {_ADDRESS}, or use the local engine"
        raise LuthierError("Ray", f"listens on {at}, and not on this machine alone", fix)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for Ray's sockets and logs. Paths of sockets have a hundred characters, and some systems' temporary folders take half."""
    made = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if os.path.isdir("/tmp") else None)  # noqa: S108 (nobody knows its name)
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _environment(changed: dict[str, str]) -> Iterator[None]:
    """The environment with these changes, which processes that are started take over."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    """A file by which a folder is known from another machine."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = folder / f".seen-{uuid4().hex}"
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Given:
    """What a process of the cluster has to know of the work: its name, what must be there, and where what is done is kept."""

    name: str
    version: str
    marks: tuple[Path, ...]
    held: list[Any]

    def missing(self, at: str) -> tuple[str, str, str] | None:
        """Asked on the machine of this address: what is not there, as an error."""
        where = f"the machine {at} of the Ray cluster"
        if self.version != __version__:
            return where, f"has luthier {__version__}, and not {self.version}", f"install luthier {self.version} there"
        unseen = [str(mark.parent) for mark in self.marks if not mark.exists()]
        fix = "have all machines share it under this path, or name another with --runs (for keys: LUTHIER_SECRETS)"
        return (where, f"does not see {' and '.join(unseen)}", fix) if unseen else None


_known: dict[str, Callable[[Any], None]] = {}
"""In a process of the cluster: what it does to pieces, which may have taken long to make ready."""


def _do(given: _Given, piece: Any) -> Answer:
    """In a process of the cluster: do a piece. A machine may have come later than the work, so each process looks around first."""
    if given.name not in _known:
        import ray

        missing = given.missing(ray.util.get_node_ip_address())
        if missing:
            return "refused", [missing]
        _known.clear()
        _known[given.name] = ray.get(given.held[0])
    return answer_to(_known[given.name], piece)


def _n_processors() -> int:
    """How many the cluster has now; one that grows when there is work may have none yet."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 0)))


def _collect(at_work: dict[Any, P], done: Callable[[P], None]) -> None:
    """Wait for a piece, and tell of it."""
    import ray

    ready, _ = ray.wait(list(at_work))
    for one in ready:
        try:
            answer = ray.get(one)
        except ray.exceptions.RayTaskError as error:
            problem = f"a process there cannot do the work: {_last_line(error)}"
            raise LuthierError("the Ray cluster", problem, f"install luthier {__version__} and what it needs on all machines") from error
        except ray.exceptions.RayError as error:
            problem = f"a process that worked on them was lost {_TRIES} times, as when memory has run out: {_first_line(error)}"
            raise LuthierError("the rows", problem, "free memory, and give the same command again: it goes on from here") from error
        piece = at_work.pop(one)
        raise_told(answer)
        done(piece)


def _stop(at_work: dict[Any, Any]) -> None:
    """Stop the pieces that are being worked on: what they write must not come after whatever comes now."""
    import ray

    if not at_work:
        return
    with contextlib.suppress(ray.exceptions.RayError):
        for one in at_work:
            ray.cancel(one, force=True)
        ray.wait(list(at_work), num_returns=len(at_work), timeout=_STOPPING_S)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _last_line(error: BaseException) -> str:
    """Of an error of Ray's with a traceback: what was raised."""
    return str(error).strip().rpartition("\n")[2][:200]
