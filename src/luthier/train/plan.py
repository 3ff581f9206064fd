"""`plan.json`: everything that shapes the arithmetic of a run, decided once and used again when it goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from luthier.core.files import read_json, write_json
from luthier.core.jsonvalue import Json
from luthier.models.attention import SEAM
from luthier.models.attention.kernels import KERNELS, KernelName
from luthier.text.batching import Costs, CutPlan
from luthier.train.precision import Precision
from luthier.train.record import processor

FORMAT = 3


@dataclass(frozen=True)
class Surroundings:
    """What a run finds rather than decides; where it differs, equal sums may differ in their last bits."""

    device: str
    processor: str
    torch: str
    transformers: str

    def __str__(self) -> str:
        return f"{self.device}, {self.processor}, torch {self.torch}, transformers {self.transformers}"


@dataclass(frozen=True)
class Foreseen:
    """The memory that training is foreseen to take above the loaded model, in MB, and what it may take.

    `n_nodes` are those of the largest micro-batch of the steps that were looked at; a node takes `node_bytes`, or
    `recomputed_bytes` in a micro-batch that is computed again for its gradient (None where none has to be).
    """

    peak_mb: int
    budget_mb: int
    n_nodes: int
    node_bytes: int
    recomputed_bytes: int | None = None


@dataclass(frozen=True)
class Plan:
    """The cuts, the attention, the number type, the threads and the memory of a run, and the surroundings in which it began.

    `kernel` computes a forest's attention on a CPU. Without `memory`, nothing was measured.
    """

    cuts: CutPlan
    precision: Precision
    threads: int
    surroundings: Surroundings
    attention: str = SEAM
    kernel: KernelName = "products"
    memory: Foreseen | None = None


def surroundings_of(device: torch.device) -> Surroundings:
    """Where we are: the device, the processor's vector instructions, and the libraries' versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return Surroundings(name, processor(), str(torch.__version__), str(transformers.__version__))


def make_plan(cuts: CutPlan, precision: Precision, device: torch.device) -> Plan:
    """The plan of a run that begins here and now."""
    return Plan(cuts, precision, torch.get_num_threads(), surroundings_of(device))


def settle_plan(path: Path, fingerprint: str, decide: Callable[[], Plan], device: torch.device) -> tuple[Plan, tuple[str, ...]]:
    """The plan in `path` if it is this training's, else a new one, written there.

    The number of threads is set as the plan says. The second result says in which ways a run that goes on here cannot
    be bit-equal to one that was never interrupted; nothing else hinders it.
    """
    found = read_plan(path, fingerprint)
    if found is None:
        plan = decide()
        write_json(path, {"format": FORMAT, "fingerprint": fingerprint, **_as_json(plan)})
        return plan, ()
    torch.set_num_threads(found.threads)
    return found, differences(found.surroundings, surroundings_of(device))


def differences(before: Surroundings, now: Surroundings) -> tuple[str, ...]:
    """One sentence for each thing that differs."""
    return tuple(
        f"not bit-equal: {item.name} differs ({getattr(before, item.name)} before, {getattr(now, item.name)} now)"
        for item in dataclasses.fields(Surroundings)
        if getattr(before, item.name) != getattr(now, item.name)
    )


def _as_json(plan: Plan) -> dict[str, Json]:
    return dataclasses.asdict(plan)


def read_plan(path: Path, fingerprint: str) -> Plan | None:
    """The plan of the training with this fingerprint, if the file holds it; for a kernel that this build of PyTorch lacks, the other."""
    if not path.is_file():
        return None
    found: Any = read_json(path)
    if not isinstance(found, Mapping) or found.get("fingerprint") != fingerprint or found.get("format") != FORMAT:
        return None
    costs = Costs(**found["cuts"]["costs"])
    memory = None if found["memory"] is None else Foreseen(**found["memory"])
    kernel: KernelName = found["kernel"] if found["kernel"] in KERNELS else "products"
    return Plan(
        CutPlan(**{**found["cuts"], "costs": costs}), Precision(**found["precision"]), found["threads"],
        Surroundings(**found["surroundings"]), found["attention"], kernel, memory,
    )  # fmt: skip
