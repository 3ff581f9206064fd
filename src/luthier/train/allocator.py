"""The C allocator's settings: by default glibc hands large freed blocks back, and faults them in afresh at each step."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_HUGE, _PAD = 2**30, 256 * 2**20


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed blocks for the next step; gives whether it could be asked.

    Only the process's own memory is concerned, and its peak hardly grows: each step needs about what the last one did.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, _HUGE), (_M_TRIM_THRESHOLD, _HUGE), (_M_TOP_PAD, _PAD))
    return all(bool(mallopt(name, value)) for name, value in settings)
