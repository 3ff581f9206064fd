"""In which number type products are taken: bfloat16 where it pays, measured once on each machine and then remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from luthier.train.record import Record, machine

PAYS_FROM = 1.3
"""On a CPU, bfloat16 must be so many times faster than float32: its gradients are coarser, so a tie goes to float32."""
_ROWS, _WIDTH, _ROUNDS = 512, 512, 5
_NO_UNITS = "this x86 processor has no bfloat16 unit (neither AVX-512 BF16 nor AMX), and without one it is the slower type"


@dataclass(frozen=True)
class Precision:
    """The type of products, by its name in `torch`, and why it was chosen."""

    name: str
    why: str

    @property
    def dtype(self) -> torch.dtype:
        """The type itself."""
        found = getattr(torch, self.name)
        assert isinstance(found, torch.dtype), f"{self.name} is a number type"
        return found


def choose_precision(device: torch.device, trained: bool = False) -> Precision:
    """Choose between float32 and bfloat16 on this device.

    Args:
        device: where products are taken.
        trained: whether the matrices themselves are trained. They are then held in float32, and bfloat16 costs casting
            them and their gradients; a frozen matrix is held in the type of its products.

    """
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bfloat16", "the accelerator has bfloat16 units")
        return Precision("float32", "the accelerator has no bfloat16 units")
    if lacks_bfloat16_units():
        return Precision("float32", _NO_UNITS)
    name = "bfloat16, trained matrices" if trained else "bfloat16, frozen matrices"
    # Remembered: near the threshold a timing could fall either way, and the same recipe give two results.
    found: dict[str, Any] = Record(machine(device)).recall(name, lambda: dict(measure_speedups(trained)))
    return precision_of(found["one_thread"], found["all_threads"])


def lacks_bfloat16_units() -> bool:
    """Whether this is an x86 processor that says of itself that it multiplies no bfloat16; False where it cannot be asked."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    found = ask() if ask is not None else {}
    return found.get("architecture") == "x86_64" and not (found.get("avx512_bf16", True) or found.get("amx_bf16", True))


def type_for_use(trained: str, device: torch.device) -> torch.dtype:
    """The type for use on this device of weights that were held, or of products that were taken, in `trained` while tuning.

    The same one, so that a model answers as it was trained; float32, which holds every bfloat16 number, where the device
    is slow in the other. That is the same fact by which `choose_precision` decides for frozen matrices.
    """
    return choose_precision(device).dtype if trained == "bfloat16" else torch.float32


def precision_of(one_thread: float, all_threads: float) -> Precision:
    """What a CPU computes in whose bfloat16 products are so many times faster than its float32 ones, on one thread and on all."""
    name = "bfloat16" if min(one_thread, all_threads) >= PAYS_FROM else "float32"
    said = f"bfloat16 products are {one_thread:.2g} times as fast as float32 here on one thread, {all_threads:.2g} times on all"
    return Precision(name, f"{said} (from {PAYS_FROM:g} on it pays)")


def measure_speedups(trained: bool) -> dict[str, float]:
    """How many times faster a CPU does a layer's products and their gradients in bfloat16 than in float32, casting included.

    The fastest of several rounds counts, the two types by turns: beside busy neighbours the others tell of these. On one
    thread the processor's time is taken, from which neighbours take nothing away.
    """
    threads = torch.get_num_threads()
    with using_threads(1):
        found = {"one_thread": _speedup(trained, time.process_time)}
    found["all_threads"] = found["one_thread"] if threads == 1 else _speedup(trained, time.perf_counter)
    return {name: round(value, 3) for name, value in found.items()}


@contextmanager
def using_threads(n: int) -> Iterator[None]:
    """Within, products are taken on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _speedup(trained: bool, clock: Callable[[], float]) -> float:
    types = (torch.float32, torch.bfloat16)
    weight, states = torch.full((4 * _WIDTH, _WIDTH), 0.01), torch.ones(_ROWS, _WIDTH)
    held = {dtype: weight.clone() if trained else weight.to(dtype) for dtype in types}
    best = dict.fromkeys(types, float("inf"))
    for _ in range(_ROUNDS + 1):  # the first round pays for the kernels' preparation, and is never the fastest
        for dtype in types:
            best[dtype] = min(best[dtype], _seconds(states.to(dtype), held[dtype], dtype, trained, clock))
    return best[torch.float32] / max(best[torch.bfloat16], 1e-9)


def _seconds(states: Tensor, weight: Tensor, dtype: torch.dtype, trained: bool, clock: Callable[[], float]) -> float:
    """Of a product and its gradients: of the states, and of the weight in float32 where that is trained."""
    given, master = states.detach().requires_grad_(True), weight.detach().requires_grad_(trained)
    began = clock()
    with torch.autocast("cpu", dtype, enabled=trained and dtype == torch.bfloat16):
        out = functional.linear(given, master)
    torch.autograd.backward(out, torch.ones_like(out))
    return clock() - began
