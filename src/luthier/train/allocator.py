"""What a process keeps in memory: by default glibc hands large freed blocks back, and faults them in afresh at each step."""

from __future__ import annotations

import ctypes
import os
import sys

MOST_KERNELS = 256
"""Kernels for products that oneDNN keeps, each made for one size of its inputs and about a megabyte large; its default is 1,024."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_HUGE, _PAD = 2**30, 256 * 2**20


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed blocks for the next step; gives whether it could be asked.

    Only the process's own memory is concerned, and its peak hardly grows: each step needs about what the last one did.
    Kernels are kept by oneDNN, up to `MOST_KERNELS` unless the environment says otherwise; it asks for that number when it
    makes the first one.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(MOST_KERNELS))
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, _HUGE), (_M_TRIM_THRESHOLD, _HUGE), (_M_TOP_PAD, _PAD))
    return all(bool(mallopt(name, value)) for name, value in settings)
