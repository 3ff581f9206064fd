"""The other side of `confined`: a process of its own that gives up its rights, then runs a function of somebody else's.

It is run as a program by its path, and so uses the standard library alone. What it gives up, in this order: limits
(setrlimit), the machine's network and host name (namespaces), files (Landlock), and every system call that is not
needed to compute (seccomp). Where the machine cannot take one of them away, it says so before it runs anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from typing import Any

# Numbers of system calls: <asm/unistd_64.h> and <asm-generic/unistd.h>. What is not named here is refused: sockets, processes
# and threads, signals, anything that writes, moves or removes a file, and whatever a later kernel may bring.
_CALLS = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
        "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20,
        "access": 21, "select": 23, "sched_yield": 24, "mremap": 25, "mincore": 27, "madvise": 28, "dup": 32, "nanosleep": 35,
        "getpid": 39, "exit": 60, "uname": 63, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98,
        "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131,
        "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219,
        "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "newfstatat": 262, "readlinkat": 267,
        "faccessat": 269, "pselect6": 270, "ppoll": 271, "getcpu": 309, "getrandom": 318, "statx": 332, "faccessat2": 439,
    },
    "aarch64": {
        "getcwd": 17, "dup": 23, "faccessat": 48, "close": 57, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65,
        "writev": 66, "pread64": 67, "pselect6": 72, "ppoll": 73, "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93,
        "exit_group": 94, "futex": 98, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
        "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134,
        "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "uname": 160, "getrlimit": 163, "getrusage": 165, "getcpu": 168,
        "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178,
        "sysinfo": 179, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "mincore": 232, "madvise": 233,
        "getrandom": 278, "statx": 291, "faccessat2": 439,
    },
}  # fmt: skip
_OPENAT = {"x86_64": 257, "aarch64": 56}
_FCNTL = {"x86_64": 72, "aarch64": 25}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FCNTL_ALLOWED = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC; the others can send signals and take leases
_IOCTL_ALLOWED = (0x5401, 0x5413, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX; another can type into a terminal

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_ANY_BIT, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # refused calls fail with EPERM
_CALL, _ARCH = 0, 4

_NEW_NETWORK, _NEW_USER, _NEW_IPC, _NEW_UTS = 0x40000000, 0x10000000, 0x08000000, 0x04000000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _PARENT_DEATH_SIGNAL = 38, 22, 1
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ = (1 << 2) | (1 << 3)
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
MAX_MESSAGE = 300


def limits(memory_bytes: int, n_cpu_seconds: int) -> None:
    """No more memory, processor time, files, processes or core dumps than given; none of them can be raised again."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a stricter limit stands already, or the system has none of the kind
            resource.setrlimit(what, (most, most))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (n_cpu_seconds if hard < 0 else min(n_cpu_seconds, hard), hard))


def no_network(libc: ctypes.CDLL) -> bool:
    """A network, message queues and host name of its own, all empty; False where the machine has no such spaces for users."""
    if libc.unshare(_NEW_USER | _NEW_NETWORK | _NEW_IPC | _NEW_UTS) != 0:
        return False
    libc.sethostname(b"confined", 8)
    return True


def no_files(libc: ctypes.CDLL) -> bool:
    """Only Python, its packages and the system's libraries can be opened, and only for reading; by Landlock."""
    version = int(libc.syscall(_LANDLOCK_CREATE, None, 0, 1))
    if version < 1:
        return False
    rights = _RIGHTS_BY_VERSION.get(version, _RIGHTS_BY_VERSION[5])
    attributes = struct.pack("=Q", rights)
    ruleset = int(libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0))
    if ruleset < 0:
        return False
    for path in _readable():
        with contextlib.suppress(OSError):
            opened = os.open(path, os.O_RDONLY | getattr(os, "O_PATH", 0))
            allowed = _READ if os.path.isdir(path) else 1 << 2
            libc.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, opened), 0)
            os.close(opened)
    done = int(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)) == 0
    os.close(ruleset)
    return done


def _readable() -> Iterator[str]:
    """What the interpreter and its packages are made of."""
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield str(sysconfig.get_config_var("LIBDIR"))
    yield from ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/usr/share/zoneinfo")


def no_calls(libc: ctypes.CDLL) -> bool:
    """Only the system calls of `_CALLS` work, and only as far as they change nothing; by seccomp."""
    machine = platform.machine()
    if machine not in _CALLS or sys.byteorder != "little":
        return False
    program = b"".join(struct.pack("=HBBI", *one) for one in _filter(machine))
    buffer = ctypes.create_string_buffer(program)
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    return int(libc.prctl(_SET_SECCOMP, 2, described, 0, 0)) == 0


def _filter(machine: str) -> list[tuple[int, int, int, int]]:
    """The rules as a program of the Berkeley packet filter: (operation, jump if true, jump if false, value)."""
    rules = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_IF_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _CALL),
        (_JUMP_IF_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for number in _CALLS[machine].values():
        rules += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    rules += _when(_OPENAT[machine], [(_LOAD, 0, 0, _argument(2)), (_JUMP_IF_ANY_BIT, 1, 0, _WRITES), (_RETURN, 0, 0, _ALLOW)])
    for number, allowed in ((_FCNTL[machine], _FCNTL_ALLOWED), (_IOCTL[machine], _IOCTL_ALLOWED)):
        known = [(_JUMP_IF_EQUAL, len(allowed) - i, 0, one) for i, one in enumerate(allowed)]
        rules += _when(number, [(_LOAD, 0, 0, _argument(1)), *known, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)])
    # Limits may be read, which is to say that no new ones are pointed at.
    no_pointer = [one for half in (0, 4) for one in ((_LOAD, 0, 0, _argument(2) + half), (_JUMP_IF_EQUAL, 0, 3 - half // 2, 0))]
    rules += _when(_PRLIMIT[machine], [*no_pointer, (_RETURN, 0, 0, _ALLOW)])
    return [*rules, (_RETURN, 0, 0, _REFUSE)]


def _when(number: int, rules: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The rules for one system call, with a refusal at their end; passed over by the others."""
    rules = [*rules, (_RETURN, 0, 0, _REFUSE)]
    return [(_JUMP_IF_EQUAL, 0, len(rules), number), *rules]


def _argument(index: int) -> int:
    """Where the lower half of a system call's argument lies in what the filter sees."""
    return 16 + 8 * index


def give_up(memory_bytes: int, n_cpu_seconds: int) -> list[str]:
    """Give up all rights that are not needed; what was taken away, of `network`, `files` and `calls`."""
    limits(memory_bytes, n_cpu_seconds)
    if not sys.platform.startswith("linux"):
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PARENT_DEATH_SIGNAL, 9, 0, 0, 0)
    without_network = no_network(libc)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    without_files = no_files(libc)
    without_calls = no_calls(libc)
    # A socket is a system call, so the one implies the other.
    held = {"network": without_network or without_calls, "files": without_files, "calls": without_calls}
    return [name for name, holds in held.items() if holds]


def failure(error: BaseException, name: str, source: str) -> dict[str, Any]:
    """What a person needs to know of an exception: its type, its words, and the last line of their code that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None) if getattr(error, "filename", None) == name else None
    lines = source.splitlines()
    text = lines[line - 1].strip() if line and 0 < line <= len(lines) else ""
    try:
        said = str(error)
    except Exception:  # somebody's own exception may fail to say what it is; its type and place are told all the same
        said = ""
    return {"type": type(error).__name__, "message": said[:MAX_MESSAGE], "line": line, "text": text[:MAX_MESSAGE]}


def serve(ask: int, answer: int) -> None:
    """Read what to do, give up all rights, load the function, then answer each line with one."""
    incoming = os.fdopen(ask, "rb")
    told: dict[str, Any] = json.loads(incoming.readline())
    name, source = told["name"], told["source"]
    write = _writer(answer, told["most_bytes"])
    held = give_up(told["memory_bytes"], told["cpu_s"])
    write({"held": held})
    if json.loads(incoming.readline()) != "go":
        return
    space: dict[str, Any] = {"__name__": "confined", "__file__": name}
    try:
        exec(compile(source, name, "exec"), space)  # noqa: S102 - what this process is for
        function = space.get(told["function"])
        if not callable(function):
            write({"missing": sorted(key for key, value in space.items() if callable(value) and not key.startswith("_"))[:20]})
            return
    except BaseException as error:
        write({"error": failure(error, name, source)})
        return
    write({"ready": True})
    while line := incoming.readline():
        # The answer bears the call's number: what the function itself may have written bears none, whenever it arrives.
        number, value = json.loads(line)
        try:
            write({"value": function(value), "number": number})
        except BaseException as error:
            write({"error": failure(error, name, source), "number": number})


def _writer(answer: int, most_bytes: int) -> Callable[[Any], None]:
    """A function that sends one line, or an error in its place where it would be too long."""

    def write(value: Any) -> None:
        line = json.dumps(value, ensure_ascii=True, allow_nan=False).encode() + b"\n"
        if len(line) > most_bytes:
            line = json.dumps({"too_long": len(line)}).encode() + b"\n"
        while line:
            line = line[os.write(answer, line) :]

    return write


def main() -> None:
    """Keep the two ends of the conversation, and leave nothing where the function could read or print."""
    ask, answer = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    serve(ask, answer)


if __name__ == "__main__":
    main()
