"""Work that is cut into pieces, done here or by worker processes.

A worker is a fresh interpreter, not a fork (threads and forks do not mix), and it does not import the program that
started it. It speaks over its standard input and output, in a session of its own, so that Ctrl-C reaches the parent alone;
when the parent is gone, however it went, it meets the end of its input and goes too.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeAlias

from luthier.core import fresh
from luthier.core.errors import LuthierError, LuthierErrors
from luthier.data.engine import P

Answer: TypeAlias = tuple[str, Any]
"""What became of a piece: ("done", None), ("refused", the errors that were raised) or ("failed", a traceback)."""
_LENGTH = struct.Struct("<Q")
_FIRST_HERE = 4
"""So many pieces are done here before workers are started, which takes them about a second."""
MOST_WORKERS = 4


def usable_processors() -> int:
    """How many processors this process may use, up to `MOST_WORKERS`."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, n)


@dataclass(frozen=True)
class Local:
    """Pieces are done by this process, and by further ones of this machine where there are more than a few."""

    n_workers: int = 1

    def work(self, do: Callable[[P], None], pieces: Iterable[P], done: Callable[[P], None], folders: Sequence[Path]) -> None:
        """Do all of them; see `Engine`. All processes are of this machine, and see what this one sees."""
        with contextlib.ExitStack() as stack:
            crew: _Crew[P] | None = None
            for k, piece in enumerate(pieces):
                if self.n_workers == 1 or k < _FIRST_HERE:
                    do(piece)
                    done(piece)
                    continue
                if crew is None:
                    crew = stack.enter_context(_Crew(do, self.n_workers))
                for finished in crew.give(piece):
                    done(finished)
            if crew is not None:
                for finished in crew.finish():
                    done(finished)


HERE = Local()


class _Crew(Generic[P]):
    """Worker processes, each with one piece at a time."""

    def __init__(self, do: Callable[[P], None], n_workers: int) -> None:
        words, there = fresh.command("luthier.data.execution.workers"), fresh.environment(**of_a_worker())
        self._workers = [
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=there)  # noqa: S603 - ours
            for _ in range(n_workers)
        ]
        self._idle = list(self._workers)
        self._at_work: dict[int, tuple[subprocess.Popen[bytes], P]] = {}
        self._selector = selectors.DefaultSelector()
        for worker in self._workers:
            _send(_pipe(worker.stdin), do)
            self._selector.register(_pipe(worker.stdout), selectors.EVENT_READ, worker)

    def __enter__(self) -> _Crew[P]:
        return self

    def __exit__(self, *of_error: object) -> None:
        self._selector.close()
        for worker in self._workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                with contextlib.suppress(OSError):
                    _pipe(pipe).close()

    def give(self, piece: P) -> Iterator[P]:
        """Hand a piece to a worker, as soon as there is an idle one; the pieces that are finished until then."""
        while not self._idle:
            yield from self._collect()
        worker = self._idle.pop()
        self._at_work[worker.pid] = worker, piece
        try:
            _send(_pipe(worker.stdin), piece)
        except BrokenPipeError:
            self._lost(worker)

    def finish(self) -> Iterator[P]:
        """The pieces that are still being worked on, when they are finished."""
        while self._at_work:
            yield from self._collect()

    def _collect(self) -> Iterator[P]:
        for key, _ in self._selector.select():
            worker = key.data
            try:
                answer = _receive(_pipe(worker.stdout))
            except EOFError:
                self._lost(worker)
            _, piece = self._at_work.pop(worker.pid)
            self._idle.append(worker)
            raise_told(answer)
            yield piece

    def _lost(self, worker: subprocess.Popen[bytes]) -> None:
        problem = f"a process that worked on them ended by itself (code {worker.wait()}), as when memory has run out"
        raise LuthierError("the rows", problem, "free memory, and give the same command again: it goes on from here")


def of_a_worker() -> dict[str, str]:
    """The environment that is particular to workers: what this process can import, they can, for a step may be of anybody's making."""
    return {"PYTHONPATH": os.pathsep.join(one or os.getcwd() for one in sys.path), "OMP_NUM_THREADS": "1"}


def answer_to(do: Callable[[P], None], piece: P) -> Answer:
    """Do a piece in a worker; what became of it, as it can be told to another process."""
    try:
        do(piece)
    except LuthierError as error:
        return "refused", [(one.where, one.problem, one.fix) for one in error.errors]
    except Exception:  # whatever it is, it is raised again in the process that gave the piece
        return "failed", traceback.format_exc()
    return "done", None


def raise_told(answer: Answer) -> None:
    """Raise what was raised in a worker."""
    how, told = answer
    if how == "refused":
        errors = tuple(LuthierError(*one) for one in told)
        raise errors[0] if len(errors) == 1 else LuthierErrors(errors)
    if how == "failed":
        raise RuntimeError(f"in a worker process:\n{told}")


def serve() -> None:
    """Be a worker: read what to do, and then pieces until there are no more."""
    pipe_in, pipe_out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a step prints must not get between the answers.
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        do = _receive(pipe_in)
        while True:
            _send(pipe_out, answer_to(do, _receive(pipe_in)))
    # A half-written answer to a parent that is gone is of no use to anybody.
    os._exit(0)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "workers are started with pipes"
    return pipe


def _send(pipe: IO[bytes], value: object) -> None:
    content = pickle.dumps(value)
    pipe.write(_LENGTH.pack(len(content)) + content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return pickle.loads(content)  # noqa: S301 (from our own process, over a pipe of ours)


if __name__ == "__main__":
    serve()
