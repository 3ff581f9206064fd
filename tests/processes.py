"""This process and all below it: which there are, what they were started with, and where they listen."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path


def below() -> list[int]:
    """This process and all below it."""
    pids = [os.getpid()]
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
    return pids


def cmdline(pid: int) -> str:
    """The words that a process was started with."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def listening() -> dict[str, str]:
    """Where this process and all below it listen: number of the socket → address."""
    addresses = {}
    for name, family_of in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                words = bytes.fromhex(fields[1].partition(":")[0])
                address = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                addresses[fields[9]] = socket.inet_ntop(family_of, address)
    mine = {}
    for pid in below():
        links = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()]
        mine |= {link: addresses[link[8:-1]] for link in links if link.startswith("socket:") and link[8:-1] in addresses}
    return mine
