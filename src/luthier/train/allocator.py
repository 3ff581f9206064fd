"""What a process keeps in memory: by default glibc hands large freed blocks back, and faults them in afresh at each step."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MOST_KERNELS = 256
"""Kernels for products that oneDNN keeps, each made for one size of its inputs, about a quarter of a megabyte; its default is 1,024."""
MOST_DESCRIBED = 128
"""The same kernels' descriptions that PyTorch keeps beside them, each as large again; its default is 1,024.

A micro-batch meets some 70 sizes. What is not found here is found among oneDNN's kernels, at the same speed (1.2 ms for
the product of (1,000, 256) and (256, 768) with 1,024 descriptions and with one; 1.6 ms where the kernel has to be made).
"""
RARELY = 4
"""What lies free is given back after no fewer than so many micro-batches: the next one has to fault it in afresh."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_HUGE, _PAD = 2**30, 256 * 2**20
_LISTING = Path("/proc/self/statm")


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed blocks for the next step; gives whether it could be asked.

    Only the process's own memory is concerned. Kernels are kept by oneDNN, up to `MOST_KERNELS`, and their descriptions by
    PyTorch, up to `MOST_DESCRIBED`, unless the environment says otherwise; both ask for that number when they make the
    first one.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(MOST_KERNELS))
    os.environ.setdefault("LRU_CACHE_CAPACITY", str(MOST_DESCRIBED))
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, _HUGE), (_M_TRIM_THRESHOLD, _HUGE), (_M_TOP_PAD, _PAD))
    return all(bool(mallopt(name, value)) for name, value in settings)


def held_bytes() -> int | None:
    """What the process holds in memory now; None on a system that does not say."""
    if not _LISTING.is_file():
        return None
    return int(_LISTING.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE


def give_back() -> None:
    """Give back what is freed, where the allocator can: what it keeps for the next step, and what lies between blocks in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if _LISTING.is_file() else None
    if trim is not None:
        trim(0)


@dataclass
class Keeper:
    """Sees to it that what is freed and kept does not pile up: blocks of ever other sizes leave gaps between them.

    Beyond `most_bytes`, what lies free is given back, `RARELY`: where that is exceeded again soon, more is needed than was
    foreseen, and the bound is raised to what is held. No number that is computed hangs on it. `held` says what the
    process holds, and `free` gives back what lies free.
    """

    most_bytes: int
    since: int = RARELY
    held: Callable[[], int | None] = held_bytes
    free: Callable[[], None] = give_back

    def look(self) -> None:
        """Look at what the process holds, after a micro-batch."""
        held = self.held()
        self.since += 1
        if held is None or held <= self.most_bytes:
            return
        if self.since > RARELY:
            self.free()
            self.since = 0
        else:
            self.most_bytes = held
