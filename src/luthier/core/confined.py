"""A function of somebody else's, run in a process that has given up its rights; values go in and out as JSON.

For a user's own filters, and for graders that came with a request. What the process cannot do is written down, with what
this does not protect against, in docs/confinement.md.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from luthier.core.jsonvalue import Json

Right = Literal["network", "files", "calls"]
"""What can be taken away: reaching other machines, opening files, and every system call that computing does not need."""
RIGHTS: frozenset[str] = frozenset(get_args(Right))

_WORKER = Path(__file__).with_name("confined_worker.py")
_CHUNK = 1 << 16
_INTRUDED = "it wrote into the answers"
_WORDS: Mapping[int, str] = {
    signal.SIGXCPU: "it used up its processor time",
    signal.SIGSEGV: "it crashed (segmentation fault)",
    signal.SIGKILL: "it was killed",
}


@dataclass(frozen=True)
class Limits:
    """What a confined process may use.

    Attributes:
        memory_bytes: of address space, Python itself included.
        call_s: seconds of the clock for one call, and of the processor.
        start_s: seconds of the clock to start and to load the function.
        reply_bytes: of one answer as JSON.

    """

    memory_bytes: int = 1 << 30
    call_s: float = 10.0
    start_s: float = 60.0
    reply_bytes: int = 16 << 20


class ConfinedError(Exception):
    """Something that the function did: what it raised, or which limit it ran into.

    Attributes:
        problem: what happened, as a sentence without a full stop.
        line: the line of the function's file that it came through, None where none is known.

    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class CannotConfineError(Exception):
    """The machine cannot take a right away that was to be taken; nothing has been run."""

    def __init__(self, lacking: Iterable[str]) -> None:
        self.lacking = tuple(sorted(lacking))
        super().__init__(f"this machine cannot take away: {', '.join(self.lacking)}")


class Confined:
    """One function, in a process of its own that is started at the first call and killed when this is closed.

    Not for two threads at once. The function keeps its module's state between calls, as functions do; whoever needs
    pure functions has to ask for them.

    Args:
        source: the text of the module that defines it.
        function: its name there. It takes one JSON value and returns one.
        name: what messages call the module.
        limits: what it may use.
        taken: the rights that must have been taken away before anything is run.

    """

    def __init__(
        self, source: str, function: str, name: str, limits: Limits = Limits(), taken: frozenset[str] = RIGHTS
    ) -> None:
        self._source, self._function, self._name = source, function, name
        self._limits, self._taken = limits, taken
        self._process: subprocess.Popen[bytes] | None = None
        self._rest, self._unsent = b"", memoryview(b"")
        self._n_calls = 0
        self._renewed_s = -math.inf
        self._end: weakref.finalize[Any, Any] | None = None

    def call(self, value: Json) -> Json:
        """What the function returns for a value.

        Raises:
            ConfinedError: it raised, took too long, used too much, or returned what is no JSON.
            CannotConfineError: the machine cannot confine it as was asked.

        """
        (found,) = self.call_all([value])
        return found

    def call_all(self, values: Sequence[Json]) -> Iterator[Json]:
        """What the function returns for each of some values, one after the other, as `call` would.

        All of them are sent at once, so that neither side waits for the other between two; each has its own time.
        """
        process = self._process or self._start()
        first = self._n_calls + 1
        self._n_calls += len(values)
        self._unsent = memoryview(b"".join(_line([number, value]) for number, value in enumerate(values, first)))
        n_left = len(values)
        try:
            for number in range(first, first + n_left):
                self._allow_time(process)
                said = self._answer(process, self._limits.call_s)
                n_left -= 1
                yield self._value(said, number, is_last=n_left == 0)
        finally:
            if n_left:  # nobody waits for what comes yet
                self.close()

    def _value(self, said: dict[str, Any], number: int, is_last: bool) -> Json:
        if said.get("number") != number or not {"error", "value"} & set(said) or (is_last and self._rest):
            self.close()
            raise ConfinedError(_INTRUDED)
        if "error" in said:
            raise _raised(said["error"], self._name)
        return said["value"]  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._end is not None:
            self._end()
        self._process, self._end, self._rest, self._unsent = None, None, b"", memoryview(b"")

    def _start(self) -> subprocess.Popen[bytes]:
        # Nothing of the environment is passed on. PYTHONHASHSEED makes the order of sets the same in every process, which is
        # why the interpreter is not asked to ignore its environment (-I); without paths of the caller's it has none to heed.
        fixed = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
            [sys.executable, "-P", "-s", "-B", str(_WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=fixed, cwd="/", start_new_session=True, close_fds=True, bufsize=0,
        )  # fmt: skip
        self._process, self._rest, self._renewed_s = process, b"", -math.inf
        self._end = weakref.finalize(self, _kill, process)
        assert process.stdin is not None and process.stdout is not None, "both are pipes"
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        told: dict[str, Json] = {
            "name": self._name, "source": self._source, "function": self._function, "most_bytes": self._limits.reply_bytes,
            "memory_bytes": self._limits.memory_bytes, "cpu_s": _whole_seconds(self._limits.start_s),
        }  # fmt: skip
        lacking = self._taken - set(self._ask(process, told, self._limits.start_s)["held"])
        if lacking:
            self.close()
            raise CannotConfineError(lacking)
        said = self._ask(process, "go", self._limits.start_s)
        if "ready" not in said:
            self.close()
            if "missing" in said:
                there = ", ".join(said["missing"]) or "none"
                raise ConfinedError(f"it defines no function {self._function}; there are: {there}")
            raise _raised(said["error"], self._name) if "error" in said else ConfinedError(_INTRUDED)
        return process

    def _allow_time(self, process: subprocess.Popen[bytes]) -> None:
        """Let a call have its own seconds of the processor: what earlier calls used does not count.

        Renewed once in a while and not for every call: between two renewals no more than the clock's time can be used up.
        """
        now = time.monotonic()
        if now - self._renewed_s < self._limits.call_s or not hasattr(resource, "prlimit"):  # only Linux has it
            return
        self._renewed_s = now
        wanted = _cpu_seconds(process.pid) + _whole_seconds(2 * self._limits.call_s)
        with contextlib.suppress(OSError, ValueError):
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_CPU)
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (wanted if hard < 0 else min(wanted, hard), hard))

    def _ask(self, process: subprocess.Popen[bytes], value: Json, seconds: float) -> dict[str, Any]:
        """Send a line and read the only one that answers it."""
        self._unsent = memoryview(_line(value))
        said = self._answer(process, seconds)
        if self._rest:
            self.close()
            raise ConfinedError(_INTRUDED)
        return said

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        """Read a line, within a time, and send what is not sent yet; the process does not outlive a failure to answer."""
        assert process.stdin is not None and process.stdout is not None, "both are pipes"
        try:
            said = json.loads(self._exchange(process.stdin, process.stdout, seconds))
            if not isinstance(said, dict):
                raise ValueError
        except (BrokenPipeError, EOFError):
            problem = _ended(process)
            self.close()
            raise ConfinedError(problem) from None
        except ValueError:
            self.close()
            raise ConfinedError(_INTRUDED) from None
        except BaseException:
            self.close()
            raise
        if "too_long" in said:
            raise ConfinedError(f"it returned {said['too_long']:,} bytes as JSON, and {self._limits.reply_bytes:,} are allowed")
        return said

    def _exchange(self, into: IO[bytes], out: IO[bytes], seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(out.fileno(), select.POLLIN)
        is_registered = False
        while True:
            if b"\n" in self._rest:
                found, _, self._rest = self._rest.partition(b"\n")
                return found
            if self._unsent:
                with contextlib.suppress(BlockingIOError):
                    self._unsent = self._unsent[os.write(into.fileno(), self._unsent) :]
            if self._unsent and not is_registered:
                waiting.register(into.fileno(), select.POLLOUT)
                is_registered = True
            elif not self._unsent and is_registered:
                waiting.unregister(into.fileno())
                is_registered = False
            remaining = deadline - time.monotonic()
            ready = waiting.poll(max(remaining, 0) * 1000)
            if not ready and remaining <= 0:
                raise ConfinedError(f"it took longer than {seconds:g} s")
            if any(number == out.fileno() for number, _ in ready):
                with contextlib.suppress(BlockingIOError):
                    chunk = os.read(out.fileno(), _CHUNK)
                    if not chunk:
                        raise EOFError
                    self._rest += chunk
                    if b"\n" not in chunk and len(self._rest) > self._limits.reply_bytes + _CHUNK:
                        raise ConfinedError(f"it wrote more than {self._limits.reply_bytes:,} bytes")


def _line(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode() + b"\n"


def _raised(error: Mapping[str, Any], name: str) -> ConfinedError:
    place = f"{name}:{error['line']}, `{error['text']}`, raised " if error["line"] else f"{name} raised "
    said = f"{error['type']}: {error['message']}" if error["message"] else str(error["type"])
    return ConfinedError(place + said, error["line"])


def _ended(process: subprocess.Popen[bytes]) -> str:
    """Why a process is no longer there."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "it closed the conversation"
    return _WORDS.get(-code, f"it ended with code {code}" if code >= 0 else f"it was ended by signal {-code}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it may have started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()


def _whole_seconds(seconds: float) -> int:
    """Seconds as the system counts them, one more than asked so that the clock's limit comes first."""
    return int(seconds) + 2


def _cpu_seconds(pid: int) -> int:
    """The seconds of the processor that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK") + 1
