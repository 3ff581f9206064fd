"""In which number type products are taken: bfloat16 where it pays, decided once a run by what the processor has."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

PAYS_FROM = 1.3
"""On a CPU, bfloat16 must be so many times faster than float32: its gradients are coarser, so a tie goes to float32."""
_ROWS, _ROUNDS = 512, 5


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


def choose_precision(width: int, device: torch.device) -> Precision:
    """Choose between float32 and bfloat16 for a model of this width on this device."""
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bfloat16", "the accelerator has bfloat16 units")
        return Precision("float32", "the accelerator has no bfloat16 units")
    if lacks_matrix_units():
        # Known, not measured: near the threshold a timing could fall either way, and the same recipe give two results.
        return Precision("float32", "this x86 processor has no matrix units for bfloat16 (AMX), and without them it is the slower type")
    return precision_of(measure_speedup(width))


def lacks_matrix_units() -> bool:
    """Whether this is an x86 processor that says of itself that it has no AMX; False where it cannot be asked."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    found = ask() if ask is not None else {}
    return found.get("architecture") == "x86_64" and not found.get("amx_bf16", True)


def held_for_use(trained: str, device: torch.device) -> torch.dtype:
    """The type in which weights that were held in `trained` while tuning are held for use on this device.

    The same one, so that a model answers as it was trained; float32, which holds every bfloat16 number, where the device
    is slow in the other.
    """
    if trained != "bfloat16":
        return torch.float32
    slow = lacks_matrix_units() if device.type == "cpu" else not torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.float32 if slow else torch.bfloat16


def precision_of(speedup: float) -> Precision:
    """What a CPU computes in whose bfloat16 products are so many times faster than its float32 ones."""
    name = "bfloat16" if speedup >= PAYS_FROM else "float32"
    said = f"bfloat16 products of this width are {speedup:.2g} times as fast as float32 here"
    return Precision(name, f"{said} (from {PAYS_FROM:g} on it pays)")


def measure_speedup(width: int) -> float:
    """How many times faster a CPU does the products of one layer in bfloat16 than in float32, casting included."""
    weight, states = torch.ones(4 * width, width), torch.ones(_ROWS, width)
    times = {dtype: [_seconds(states, weight, dtype) for _ in range(_ROUNDS)] for dtype in (torch.float32, torch.bfloat16)}
    # The first round pays for the kernels' preparation.
    plain, half = (statistics.median(times[dtype][1:]) for dtype in (torch.float32, torch.bfloat16))
    return plain / half


@torch.no_grad()
def _seconds(states: torch.Tensor, weight: torch.Tensor, dtype: torch.dtype) -> float:
    began = time.perf_counter()
    for _ in range(3):
        (states.to(dtype) @ weight.to(dtype).T).to(states.dtype)
    return time.perf_counter() - began
