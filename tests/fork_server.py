"""The command line in processes of its own that begin at once: forked from a program that has paid for the imports.

    python fork_server.py SOCKET                      waits for calls
    python fork_server.py SOCKET call ARGUMENT…       is such a call: `luthier ARGUMENT…`, here, with this standard input and output

A call ends when its process ends, with its exit code, and hands on the signals that ask it to stop.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import sys

STANDARD = (0, 1, 2)


def wait_for_calls(path: str) -> None:
    """Fork a process for each call, until somebody kills this one."""
    import luthier.stages.run
    import luthier.stages.serve
    from luthier.cli.main import run

    assert luthier.stages.run and luthier.stages.serve, "imported before the first fork, so that each call starts at once"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks this process how they ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            caller, _ = listener.accept()
            request, files, _, _ = socket.recv_fds(caller, 1_000_000, len(STANDARD))
            if os.fork() == 0:
                listener.close()
                _answer(caller, json.loads(request), files, run)
            for one in (*files, caller.detach()):
                os.close(one)


def _answer(caller: socket.socket, request: dict[str, object], files: list[int], run: object) -> None:
    """In the child: say who it is, do what was asked, say how it ended."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for mine, theirs in zip(STANDARD, files, strict=True):
            os.dup2(theirs, mine)
        os.chdir(str(request["folder"]))
        arguments = request["arguments"]
        assert isinstance(arguments, list)
        sys.argv = ["luthier", *arguments]
        caller.sendall(array.array("q", [os.getpid()]).tobytes())
        with contextlib.suppress(SystemExit):
            code = run(arguments)  # type: ignore[operator]
        sys.stdout.flush()
        sys.stderr.flush()
        caller.sendall(array.array("q", [code]).tobytes())
    finally:
        os._exit(code)


def call(path: str, arguments: list[str]) -> int:
    """Ask for one call and wait for its end; gives the exit code, as a shell would."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [json.dumps({"folder": os.getcwd(), "arguments": arguments}).encode()], list(STANDARD))
        process = array.array("q", server.recv(8))[0]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: os.kill(process, received))
        said = server.recv(8)
        return array.array("q", said)[0] if said else 128 + signal.SIGKILL


if __name__ == "__main__":
    if len(sys.argv) == 2:
        wait_for_calls(sys.argv[1])
    else:
        sys.exit(call(sys.argv[1], sys.argv[3:]))
