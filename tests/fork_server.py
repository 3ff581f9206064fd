"""Python in processes of its own that begin at once: forked from a program that has paid for the imports, and for one run.

    python fork_server.py SOCKET              waits for calls, until its standard input ends
    python fork_server.py SOCKET call WORD…   is such a call: `python WORD…`, here, with this environment, standard input and output

WORD… is `-m MODULE ARGUMENT…`, `PROGRAM ARGUMENT…`, or `luthier ARGUMENT…` for the command line as it is installed. A call ends
when its process ends, with its exit code, and hands on the signals that ask it to stop.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

STANDARD = (0, 1, 2)


def wait_for_calls(path: Path) -> None:
    """Fork a process for each call, until whoever started this one is gone; then all of them end."""
    from tests.forks import mend_torch_in_children

    from luthier.core import fresh

    mend_torch_in_children()
    with _unheard():
        _begin(path.parent / "first")
    # The processes that a call starts in its turn come from here too.
    fresh.command = lambda module, *arguments: [sys.executable, "-SE", __file__, str(path), "call", "-m", module, *arguments]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks this process how they ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        print("ready", flush=True)
        while listener in select.select([listener, STANDARD[0]], [], [])[0]:
            caller, _ = listener.accept()
            request, files, _, _ = socket.recv_fds(caller, 1_000_000, len(STANDARD))
            if os.fork() == 0:
                listener.close()
                _answer(caller, json.loads(request), files)
            for one in (*files, caller.detach()):
                os.close(one)
    shutil.rmtree(path.parent)
    os.killpg(0, signal.SIGKILL)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What is said meanwhile goes nowhere; by the numbers of the files, so that nothing keeps another `sys.stdout` for later."""
    kept = [os.dup(one) for one in STANDARD[1:]]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for one in STANDARD[1:]:
        os.dup2(nowhere, one)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for one, before in zip(STANDARD[1:], kept, strict=True):
            os.dup2(before, one)
            os.close(before)
        os.close(nowhere)


def _begin(folder: Path) -> None:
    """Import everything, and run the smallest recipe once: much is loaded at its first use, which each call would pay for again."""
    from tests.e2e.conftest import write_recipe
    from tests.made_models import make_model

    import luthier.stages.serve
    from luthier.cli.main import run

    assert luthier.stages.serve
    folder.mkdir()
    recipe = write_recipe(folder, make_model(folder / "tiny"), "classify", 60)
    assert run(["run", str(recipe), "--runs", str(folder)]) in (0, 3)
    shutil.rmtree(folder)


def _answer(caller: socket.socket, request: dict[str, object], files: list[int]) -> None:
    """In the child: say who it is, do what was asked, say how it ended."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for mine, theirs in zip(STANDARD, files, strict=True):
            os.dup2(theirs, mine)
            os.close(theirs)
        os.chdir(str(request["folder"]))
        words, environment = request["words"], request["environment"]
        assert isinstance(words, list) and isinstance(environment, dict)
        os.environ.clear()
        os.environ.update(environment)
        # Whoever asked sends nothing more: what comes is that it is gone, and the signal of that ends this process.
        fcntl.fcntl(caller, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(caller, fcntl.F_SETFL, os.O_ASYNC)
        caller.sendall(array.array("q", [os.getpid()]).tobytes())
        code = _run(words)
        sys.stdout.flush()
        sys.stderr.flush()
        fcntl.fcntl(caller, fcntl.F_SETFL, 0)
        caller.sendall(array.array("q", [code]).tobytes())
    finally:
        os._exit(code)


def _run(words: list[str]) -> int:
    """What `python WORD…` does; gives the exit code."""
    sys.argv = words[1:] if words[0] == "-m" else words
    try:
        if words[0] == "luthier":
            from luthier.cli.main import main

            main()
        elif words[0] == "-m":
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def call(path: str, words: list[str]) -> int:
    """Ask for one call and wait for its end; gives the exit code, as a shell would."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        request = {"folder": os.getcwd(), "words": words, "environment": dict(os.environ)}
        socket.send_fds(server, [json.dumps(request).encode()], list(STANDARD))
        process = array.array("q", server.recv(8))[0]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: os.kill(process, received))
        said = server.recv(8)
        return array.array("q", said)[0] if said else 128 + signal.SIGKILL


if __name__ == "__main__":
    if len(sys.argv) == 2:
        wait_for_calls(Path(sys.argv[1]))
    else:
        sys.exit(call(sys.argv[1], sys.argv[3:]))
