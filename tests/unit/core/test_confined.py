"""A confined function computes, and can do nothing else; what it does wrong is told with its place."""

from __future__ import annotations

import gc
import math
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.core.confined import RIGHTS, CannotConfineError, Confined, ConfinedError, Limits
from luthier.core.confined_worker import _CALLS, _FCNTL, _IOCTL, _OPENAT, _PRLIMIT
from luthier.core.jsonvalue import Json

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can take every right away")

QUICK = Limits(call_s=20.0)
TRIES = '''
import ctypes, os, signal, socket, subprocess, threading, resource, fcntl, sys, tempfile, multiprocessing
def attempt(what):
    path, code = what
    space = dict(globals(), path=path)
    try:
        exec(code, space)
    except BaseException as error:
        return type(error).__name__
    return "did it: " + repr(space.get("got"))[:200]
'''


@pytest.fixture(scope="module")
def tries() -> Iterator[Confined]:
    """A function that runs what it is given, as the worst of functions would."""
    confined = Confined(TRIES, "attempt", "tries.py", QUICK)
    yield confined
    confined.close()


def run(source: str, value: Json = None, limits: Limits = QUICK, name: str = "f") -> Json:
    """One call of a function in a process of its own."""
    confined = Confined(source, name, "own.py", limits)
    try:
        return confined.call(value)
    finally:
        confined.close()


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "ä\ud800\u2028", [1, [2]], {"a": {"b": ["c"]}}])
def test_a_value_comes_back_as_the_function_returns_it(value: Json) -> None:
    assert run("def f(x):\n    return [x, x]", value) == [value, value]


def test_values_larger_than_any_pipe_go_both_ways() -> None:
    text = "x" * 3_000_000
    assert run("def f(x):\n    return x + 'y'", text) == text + "y"


COUNTS = """
n = 0
def f(x):
    global n
    n += 1
    if x == "boom": raise KeyError(n)
    if x == "slow":
        while True: pass
    return [n, x]
"""


def test_many_values_are_answered_in_order_by_one_process_as_one_by_one() -> None:
    values: list[Json] = [*range(300), "x" * 300_000, None, *range(300)]
    confined = Confined(COUNTS, "f", "own.py", QUICK)
    assert list(confined.call_all(values)) == [[n, value] for n, value in enumerate(values, 1)]
    assert confined.call("more") == [len(values) + 1, "more"] and list(confined.call_all([])) == []
    confined.close()


@pytest.mark.parametrize(("bad", "said"), [
    ("boom", 'own.py:6, `if x == "boom": raise KeyError(n)`, raised KeyError: 3'), ("slow", "0.5 s"),
])  # fmt: skip
def test_what_goes_wrong_among_many_comes_after_the_answers_before_it(bad: str, said: str) -> None:
    confined = Confined(COUNTS, "f", "own.py", Limits(call_s=0.5))
    found = []
    with pytest.raises(ConfinedError) as caught:
        for one in confined.call_all(["a", "b", bad, "c", "d"]):
            found.append(one)
    assert found == [[1, "a"], [2, "b"]] and said in caught.value.problem
    # What it would have said of the others is waited for by nobody: the next call gets its own answer.
    assert confined.call("e") == [1, "e"]
    confined.close()


def test_whoever_stops_listening_gets_no_stale_answer() -> None:
    confined = Confined(COUNTS, "f", "own.py", QUICK)
    for one in confined.call_all(["a", "b", "c"]):
        assert one == [1, "a"]
        break
    assert confined.call("z") == [1, "z"]
    confined.close()


def test_each_of_many_values_has_its_own_time() -> None:
    slow = "import time\ndef f(x):\n    time.sleep(x)\n    return x"
    confined = Confined(slow, "f", "own.py", Limits(call_s=0.6))
    assert list(confined.call_all([0.25] * 4)) == [0.25] * 4
    confined.close()


FORGES = """
import os
pipe = None
def f(x):
    for number in range(3, 10):
        try:
            if os.fstat(number).st_mode & 0o010000 and os.write(number, b"") == 0: break
        except OSError: continue
    os.write(number, ('{"value": "forged", "number": %d}\\n' % x).encode())
    return "mine"
"""


@pytest.mark.parametrize("values", [[1, 2, 3], [2, 3, 4], [1, 1, 1], [9, 9, 9]])
def test_forged_answers_among_many_are_told(values: list[int]) -> None:
    confined = Confined(FORGES, "f", "own.py", QUICK)
    with pytest.raises(ConfinedError, match="it wrote into the answers"):
        list(confined.call_all([*values]))
    confined.close()


def test_a_function_may_use_the_libraries_that_are_installed() -> None:
    assert run("import numpy, re, json, datetime, collections\ndef f(x):\n    return float(numpy.array(x).mean())", [1, 2, 6]) == 3.0


FORBIDDEN = {
    "a socket of the internet": "got = socket.socket()",
    "a socket of the machine": "got = socket.socket(socket.AF_UNIX)",
    "a pair of sockets": "got = socket.socketpair()",
    "a look-up of names": "got = socket.getaddrinfo('localhost', 80)",
    "a file of the user's": "got = open(path).read()",
    "a list of the user's files": "got = os.listdir(os.path.dirname(path))",
    "the root folder": "got = os.listdir('/')",
    "the machine's users": "got = open('/etc/passwd').read()",
    "another process's memory": "got = open('/proc/%d/mem' % os.getppid(), 'rb')",
    "the parent's environment": "got = open('/proc/%d/environ' % os.getppid(), 'rb').read()",
    "a new file": "got = open(path + '.new', 'w')",
    "a new file without a mode": "got = os.open(path + '.new', os.O_CREAT)",
    "a file opened to append": "got = open(path, 'a')",
    "a file opened by a call of the kernel's own": "got = ctypes.CDLL(None).syscall(2, path.encode(), 2) >= 0 or 1 / 0",
    "a temporary file": "got = tempfile.TemporaryFile()",
    "a folder": "os.mkdir(path + '.folder')",
    "a removal": "os.unlink(path)",
    "a rename": "os.rename(path, path + '.moved')",
    "a change of rights": "os.chmod(path, 0o777)",
    "a change of folder": "os.chdir('/')",
    "a fork": "got = os.fork()",
    "a process": "got = subprocess.run(['true'])",
    "a program in its place": "os.execv(sys.executable, [sys.executable, '-c', ''])",
    "a thread": "threading.Thread(target=print).start()",
    "a signal to the parent": "os.kill(os.getppid(), 0)",
    "a signal to itself": "os.kill(os.getpid(), signal.SIGTERM)",
    "a signal by way of a file": "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "typing into a terminal": "fcntl.ioctl(0, 0x5412, b'x')",
    "more processor time": "resource.setrlimit(resource.RLIMIT_CPU, (10**6, resource.RLIM_INFINITY))",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    "limits of the parent": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "shared memory": "got = multiprocessing.shared_memory.SharedMemory(create=True, size=10)",
    "a file in memory": "got = os.memfd_create('x')",
    "tracing": "got = ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 or 1 / 0",
    "another name space": "got = ctypes.CDLL(None).unshare(0x10000000) == 0 or 1 / 0",
    "the kernel's keys": "got = ctypes.CDLL(None).syscall(250, 0, -3, 0) >= 0 or 1 / 0",
    "the ring of requests to the kernel": "got = ctypes.CDLL(None).syscall(425, 8, 0) >= 0 or 1 / 0",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_function_can_only_compute(tries: Confined, tmp_path: Path, what: str) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("mine", encoding="utf-8")
    said = tries.call([str(path), FORBIDDEN[what]])
    assert isinstance(said, str) and not said.startswith("did it"), said
    assert [one.name for one in tmp_path.iterdir()] == ["secret.txt"] and path.read_text(encoding="utf-8") == "mine"


def test_what_is_forbidden_is_possible_outside(tmp_path: Path) -> None:
    # Else the test above would hold of a machine that can do none of it.
    (tmp_path / "a").write_text("x", encoding="utf-8")
    os.rename(tmp_path / "a", tmp_path / "b")
    socket.socket().close()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    assert os.waitpid(pid, 0)[1] == 0


def test_nothing_of_the_user_s_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "hidden")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    source = """
import os, sys
def f(x):
    return [dict(os.environ), os.getcwd(), sys.path, sys.argv, os.uname().nodename, [i for i in range(3, 64) if is_open(i)]]
def is_open(i):
    try:
        os.fstat(i)
    except OSError:
        return False
    return True
"""
    with open(__file__, encoding="utf-8") as held_open:
        os.set_inheritable(held_open.fileno(), True)
        said = run(source)
    assert isinstance(said, list)
    environment, folder, path, arguments, host, descriptors = said
    assert set(environment) == {"PYTHONHASHSEED", "PYTHONUTF8", "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    assert folder == "/" and host != os.uname().nodename
    assert str(Path(__file__).parent) not in path and "" not in path
    assert len(arguments) == 1 and len(descriptors) == 2, "only the two ends of the conversation are open"


def test_what_it_prints_goes_nowhere_and_it_can_ask_nobody() -> None:
    source = """
import os, sys
def f(x):
    print("printed")
    print("told", file=sys.stderr)
    os.write(1, b"written")
    try:
        return input()
    except EOFError:
        return x
"""
    assert run(source, "and still it answers") == "and still it answers"


def test_sets_have_one_order_in_every_process() -> None:
    source = "def f(x):\n    return list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})"
    assert run(source) == run(source)


INTRUDE = """
import os
def intrude(what):
    for i in range(3, 9):
        try:
            os.write(i, what)
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(x):\n    return bytearray(4 << 30)", "own.py:2, `return bytearray(4 << 30)`, raised MemoryError"),
        ("def f(x):\n    while True:\n        pass", "it took longer than 0.5 s"),
        ("import time\ndef f(x):\n    time.sleep(100)", "it took longer than 0.5 s"),
        ("import signal\nsignal.signal(24, signal.SIG_IGN)\ndef f(x):\n    while True: pass", "it took longer than 0.5 s"),
        ("import os\ndef f(x):\n    os._exit(7)", "it ended with code 7"),
        ("import ctypes\ndef f(x):\n    ctypes.string_at(0)", "it crashed (segmentation fault)"),
        ("def f(x):\n    return 'y' * 300_000", "it returned 300,027 bytes as JSON, and 200,000 are allowed"),
        ("def f(x):\n    return {1, 2}", "own.py raised TypeError: Object of type set is not JSON serializable"),
        ("def f(x):\n    return float('nan')", "own.py raised ValueError: Out of range float values are not JSON compliant"),
        ("def f(x):\n    return g(1)\ndef g(y):\n    return y / 0", "own.py:4, `return y / 0`, raised ZeroDivisionError: division by zero"),
        ("import json\ndef f(x):\n    return json.loads('{')", "own.py:3, `return json.loads('{')`, raised JSONDecodeError"),
        ("def f(x):\n    exit(3)", "own.py:2, `exit(3)`, raised SystemExit: 3"),
        ("def f(x):\n    raise KeyboardInterrupt", "own.py:2, `raise KeyboardInterrupt`, raised KeyboardInterrupt"),
        ("def f(x):\n    return f(x)", "own.py:2, `return f(x)`, raised RecursionError"),
        ("def f(x)\n    return 1", "own.py:1, `def f(x)`, raised SyntaxError"),
        ("x = 1\n1 / 0", "own.py:2, `1 / 0`, raised ZeroDivisionError"),
        ("def g(x): pass\nf = 3", "it defines no function f; there are: g"),
        ("def f(): pass", "own.py raised TypeError: f() takes 0 positional arguments but 1 was given"),
        (INTRUDE + "intrude(b'{\"value\": true}\\n')\ndef f(x): return 1", "it wrote into the answers"),
        (INTRUDE + "def f(x): intrude(b'{\"value\": true}\\n')", "it wrote into the answers"),
        (INTRUDE + "def f(x): intrude(b'{}\\n')", "it wrote into the answers"),
        (INTRUDE + "def f(x): intrude(b'[' * 100)", "it wrote into the answers"),
        (INTRUDE + "def f(x): intrude(b'[' * 400_000)", "it wrote more than 200,000 bytes"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_with_its_place(source: str, said: str) -> None:
    with pytest.raises(ConfinedError) as caught:
        run(source, limits=Limits(call_s=0.5, reply_bytes=200_000))
    assert caught.value.problem.startswith(said)


def test_after_an_exception_the_process_goes_on_and_after_a_kill_a_new_one_comes() -> None:
    source = "n = 0\ndef f(x):\n    global n\n    n += 1\n    if x == 'raise': 1 / 0\n    while x == 'hang': pass\n    return n"
    confined = Confined(source, "f", "own.py", Limits(call_s=0.5))
    assert confined.call("go") == 1
    with pytest.raises(ConfinedError, match="ZeroDivisionError"):
        confined.call("raise")
    assert confined.call("go") == 3
    with pytest.raises(ConfinedError, match="longer"):
        confined.call("hang")
    assert confined.call("go") == 1
    confined.close()
    assert confined.call("go") == 1
    confined.close()


def test_processor_time_is_counted_for_calls_and_not_for_the_life_of_the_process() -> None:
    source = """
import resource, time
def f(x):
    end = time.process_time() + x
    while time.process_time() < end: pass
    return [time.process_time(), resource.getrlimit(resource.RLIMIT_CPU)[0]]
"""
    confined = Confined(source, "f", "own.py", Limits(call_s=30.0))
    first = confined.call(1.2)
    confined._renewed_s = -math.inf
    second = confined.call(0)
    confined.close()
    assert isinstance(first, list) and isinstance(second, list)
    assert 30.0 <= first[1] - first[0] <= 65.0, "not far above what one call may take"
    assert second[1] > first[1], "what the first call used does not count for the second"


def test_nothing_is_left_running_when_it_is_forgotten() -> None:
    confined = Confined("import os\ndef f(x):\n    return os.getpid()", "f", "own.py", QUICK)
    pid = confined.call(None)
    assert isinstance(pid, int) and Path(f"/proc/{pid}").exists()
    del confined
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()


def test_a_right_that_cannot_be_taken_away_stops_everything_before_the_function_is_loaded() -> None:
    confined = Confined("1 / 0", "f", "own.py", QUICK, frozenset({"gravity"}))
    with pytest.raises(CannotConfineError) as caught:
        confined.call(None)
    assert caught.value.lacking == ("gravity",)


def test_this_machine_can_take_every_right_away(tries: Confined) -> None:
    assert {"network", "files", "calls"} == RIGHTS
    assert tries.call(["", "got = 1"]) == "did it: 1"


HEADERS = {"x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), "aarch64": Path("/usr/include/asm-generic/unistd.h")}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_of_system_calls_are_those_of_the_kernel_s_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    numbers: dict[str, int] = {}
    for line in HEADERS[machine].read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] == "#define" and words[1].startswith("__NR") and words[2].isdigit():
            numbers[words[1].removeprefix("__NR3264_").removeprefix("__NR_")] = int(words[2])
    numbers.setdefault("newfstatat", numbers.get("fstatat", -1))
    assert {name: numbers[name] for name in _CALLS[machine]} == _CALLS[machine]
    assert (numbers["openat"], numbers["fcntl"], numbers["ioctl"], numbers["prlimit64"]) == (
        _OPENAT[machine], _FCNTL[machine], _IOCTL[machine], _PRLIMIT[machine],
    )  # fmt: skip
    assert not {"socket", "clone", "clone3", "fork", "vfork", "execve", "kill", "ptrace", "openat2", "unlink", "bpf"} & set(_CALLS[machine])
