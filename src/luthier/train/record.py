"""What was measured on this machine, kept between runs, so that the same recipe gives the same plan here tomorrow.

One small JSON file for each machine and shape of model, in the cache's folder (`core/cache.py`). It may be removed at any
time: what it held is measured anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from luthier.core.cache import cache_folder
from luthier.core.errors import LuthierError
from luthier.core.files import read_json, text_hash, write_json
from luthier.core.jsonvalue import Json

FORMAT = 4
"""Raised when what is measured, or how, changes."""
VECTOR_UNITS = frozenset({
    "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
    "asimd", "sve", "sve2", "bf16", "i8mm",
})  # fmt: skip


@dataclass(frozen=True)
class Record:
    """What is known of one subject: `about` says of which machine, and of which shape of model where that matters."""

    about: Mapping[str, Json]

    @property
    def path(self) -> Path:
        """The record's file."""
        key = text_hash(json.dumps({"format": FORMAT, **self.about}, sort_keys=True))
        return cache_folder() / "measured" / f"{key[:24]}.json"

    def recall(self, name: str, measure: Callable[[], dict[str, Json]]) -> dict[str, Json]:
        """What was measured under `name`, or else what `measure` finds now, which is written down.

        A record that is damaged counts as none. One that cannot be written is done without: the next run measures again.
        """
        known = self._read().get(name)
        if isinstance(known, dict):
            return known
        found = measure()
        before = self._read()  # another process may have been measuring the same; the first to finish is believed
        first = before.get(name)
        if isinstance(first, dict):
            return first
        with contextlib.suppress(LuthierError, OSError):
            self._write({**before, name: found})
        return found

    def _read(self) -> dict[str, Json]:
        try:
            whole = read_json(self.path)
        except (LuthierError, OSError):
            return {}
        found = whole.get("found") if isinstance(whole, dict) else None
        return found if isinstance(found, dict) and whole == self._whole(found) else {}

    def _write(self, found: dict[str, Json]) -> None:
        # Under a name of its own first: two processes that write at once must not meet in one temporary file.
        own = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        write_json(own, self._whole(found))
        os.replace(own, self.path)

    def _whole(self, found: dict[str, Json]) -> dict[str, Json]:
        """The file's content; its digest shows what was damaged or edited."""
        return {"about": {"format": FORMAT, **self.about}, "found": found, "sha256": text_hash(json.dumps(found, sort_keys=True))}


def machine(device: torch.device) -> dict[str, Json]:
    """What measurements depend on beside the model: the processor, the accelerator, the library, and the threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "device": name,
        "processor": processor(),
        "model": _listed("model name") or platform.processor(),
        "cpus": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


@cache
def processor() -> str:
    """The processor's kind and those of its vector units that kernels choose by."""
    flags = _listed("flags") or _listed("Features")
    return " ".join([platform.machine(), torch.backends.cpu.get_cpu_capability(), *sorted(set(flags.split()) & VECTOR_UNITS)])


@cache
def _listed(name: str) -> str:
    """What the first processor in `/proc/cpuinfo` says of itself under this name, '' where there is nothing."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(errors="replace").splitlines() if listing.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
