"""Rendering: examples to their rows, in this process and, where that pays, in further ones beside it.

Templates are written by Python, one at a time in a process whatever its threads; so further processors help only through
further processes. Starting one takes seconds: whether it pays is told from the time that the first examples took.
The rows are the same either way.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TypeAlias

import torch

from luthier.core import fresh
from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.objectives import Objective
from luthier.text.renderer import Renderer
from luthier.text.rows import Row

Found: TypeAlias = tuple[Row, ...] | LuthierError

AT_ONCE = 256
"""Examples that go to a process at once."""
MOST_PROCESSES = 8
"""More would wait for the one that collects their rows."""
START_S = 6.0
"""What starting a process costs, the libraries that it reads included; it has to save as much again."""
_TOLD_AFTER_S = 1.0


def rendered(examples: Sequence[AnyExample], objective: Objective, renderer: Renderer) -> Iterator[Found]:
    """The rows of each example in order, or why it has none."""
    began = time.monotonic()
    for start in range(0, len(examples), AT_ONCE):
        yield from _some(examples[start : start + AT_ONCE], objective, renderer)
        done, spent = start + AT_ONCE, time.monotonic() - began
        n = processes_worth(spent / done * (len(examples) - done), torch.get_num_threads()) if spent > _TOLD_AFTER_S else 1
        work = _packed(objective, renderer) if n > 1 else None
        if work is not None:
            yield from _by_processes(examples[done:], objective, renderer, work, n)
            return


def processes_worth(left_s: float, n_threads: int) -> int:
    """How many processes to share out work that would take one `left_s` seconds; 1 where more do not pay.

    The machine's threads say how many processors may be used; all of them, since this process then only collects.
    """
    n = min(MOST_PROCESSES, n_threads)
    return n if n > 1 and left_s * (1 - 1 / n) > 2 * START_S else 1


def _some(examples: Sequence[AnyExample], objective: Objective, renderer: Renderer) -> list[Found]:
    found: list[Found] = []
    for example in examples:
        try:
            found.append(objective.rows(example, renderer))
        except LuthierError as error:
            found.append(error)
    return found


def _packed(objective: Objective, renderer: Renderer) -> bytes | None:
    """What a process needs to know; None for a tokenizer that cannot be handed on."""
    try:
        return pickle.dumps((objective, renderer))
    except (pickle.PicklingError, TypeError, AttributeError):
        return None


def _by_processes(
    examples: Sequence[AnyExample], objective: Objective, renderer: Renderer, work: bytes, n_processes: int
) -> Iterator[Found]:
    """The same, shared out; a part whose process has died is rendered here."""
    processes = [_start() for _ in range(n_processes)]
    idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
    ended = threading.Event()

    def ask(start: int) -> list[Found]:
        part = examples[start : start + AT_ONCE]
        process = idle.get()
        try:
            return _exchange(process, pickle.dumps(list(part)))
        except (EOFError, OSError, pickle.UnpicklingError):
            return [] if ended.is_set() else _some(part, objective, renderer)
        finally:
            idle.put(process)

    def begin(process: subprocess.Popen[bytes]) -> None:
        try:
            _write(process, work)
        finally:
            idle.put(process)

    pool = ThreadPoolExecutor(n_processes)  # each thread waits for one process
    try:
        for process in processes:
            pool.submit(begin, process)
        for found in pool.map(ask, range(0, len(examples), AT_ONCE)):
            yield from found
    finally:
        ended.set()
        for process in processes:
            process.kill()
        pool.shutdown(cancel_futures=True)
        for process in processes:
            process.communicate()


def _start() -> subprocess.Popen[bytes]:
    environment = fresh.environment(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    words = fresh.command(__name__)
    return subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - ours


def _write(process: subprocess.Popen[bytes], message: bytes) -> None:
    assert process.stdin is not None, "it is a pipe"
    process.stdin.write(len(message).to_bytes(8, "big") + message)
    process.stdin.flush()


def _exchange(process: subprocess.Popen[bytes], message: bytes) -> list[Found]:
    assert process.stdout is not None, "it is a pipe"
    _write(process, message)
    found: list[Found] = pickle.loads(_read(process.stdout))  # noqa: S301 - from a process that we have started
    return found


def _read(stream: IO[bytes]) -> bytes:
    """One message: its length in 8 bytes, and it. EOFError where the stream has ended."""
    size = stream.read(8)
    message = stream.read(int.from_bytes(size, "big")) if len(size) == 8 else b""
    if len(size) < 8 or len(message) < int.from_bytes(size, "big"):
        raise EOFError
    return message


def serve(asked: IO[bytes], answer: Callable[[bytes], object]) -> None:
    """The other side: the work first, then parts of examples, each answered by its rows, until the stream ends."""
    try:
        objective, renderer = pickle.loads(_read(asked))  # noqa: S301 - from the process that has started this one
        while True:
            found = pickle.dumps(_some(pickle.loads(_read(asked)), objective, renderer))  # noqa: S301 - the same
            answer(len(found).to_bytes(8, "big") + found)
    except EOFError:
        return


def main() -> None:
    """The program. What libraries print must not get among the rows; Ctrl-C is for the process that waits for this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rows = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    serve(sys.stdin.buffer, lambda message: _write_all(rows, message))


def _write_all(stream: IO[bytes], message: bytes) -> None:
    left = memoryview(message)
    while left:
        left = left[stream.write(left) :]


if __name__ == "__main__":
    main()
