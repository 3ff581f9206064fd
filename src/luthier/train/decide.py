"""The plan of a run that begins: cuts, attention kernel, recomputation and memory, from what was measured on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from luthier import __version__
from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json
from luthier.models.attention.kernels import KERNELS, MAX_KEPT_KEYS, KernelName, measure_kernels
from luthier.models.network import Network
from luthier.objectives import Objective
from luthier.text.batching import CutPlan
from luthier.text.rows import Row
from luthier.train.allocator import Keeper
from luthier.train.costs import BEYOND, Memory, fit_costs, fit_memory, measure, shape_of, shapes, thin_bytes
from luthier.train.plan import Foreseen, Plan, make_plan
from luthier.train.precision import Precision
from luthier.train.record import Record, machine

LONGEST = 8192
"""Costs are measured with rows of no more than so many tokens."""
SHARE = 0.6
"""Of the memory that is there beside the model, a run takes no more than this."""
SLACK = 1.1
"""What lies free between blocks may take so many times what was foreseen; then it is given back."""
_N_STEPS, _N_ROWS, _TRUNK = 64, 512, 512
_MB = 2**20


@dataclass(frozen=True, eq=False)
class Subject:
    """What is planned for: a network with its method attached, what it is told, and the longest row that it may be given."""

    network: Network
    objective: Objective
    longest: int


def decide(subject: Subject, cuts: CutPlan, steps: Sequence[Sequence[Row]], precision: Precision) -> Plan:
    """The plan for steps such as these.

    Args:
        subject: the network and what it is told.
        cuts: the layout, and the nodes that no micro-batch may exceed; what is cheapest below that is found here.
        steps: the rows of some of the run's steps.
        precision: the number type, chosen before.

    """
    network = subject.network
    network.attention_kernel = kernel = choose_kernel(network, cuts.layout)
    budget = budget_bytes(network)
    whole = max(float(cuts.features(rows)[1]) for rows in steps)
    context = min(subject.longest, LONGEST)
    largest = shapes(context, int(whole))[-1]
    about = {**machine(network.device), **shape_of(network, subject.objective), "layout": cuts.layout, "kernel": kernel, "context": context}
    record = Record({**about, "version": __version__})
    name = f"micro-batches up to {largest.trunk + largest.n_rows * largest.own} nodes"
    found = record.recall(name, lambda: measure(network, subject.objective, cuts, context, int(whole), budget))
    memory = fit_memory(found, network, cuts.layout)
    # Of micro-batches none sees more a node than its densest row, or than a whole step, whose rows may stand on a long trunk.
    some = [rows for step in steps for rows in (step, *([row] for row in step))]
    density = max(_kept_pairs(cuts, rows) / float(cuts.features(rows)[1]) for rows in some)
    fits = min(cuts.max_nodes, memory.most_nodes(budget / SLACK, density))
    chosen = replace(cuts, max_nodes=max(1, fits), costs=fit_costs(found, beyond_on(network.device)))
    parts = [(int(chosen.features(part)[1]), _kept_pairs(chosen, part)) for rows in steps for part in chosen.cut(rows)]
    nodes = max(n_nodes for n_nodes, _ in parts)
    if max(nodes, subject.longest) > fits and len(network.recomputable) > 1:
        thin = record.recall("recomputed", lambda: {"bytes_per_node": thin_bytes(network, subject.objective, cuts, context)})
        memory = replace(memory, thin=float(str(thin["bytes_per_node"])))
        chosen = replace(chosen, recompute_over=max(0, fits))
    return replace(make_plan(chosen, precision, network.device), kernel=kernel, memory=_foreseen(memory, chosen, parts, density, budget))


def _kept_pairs(cuts: CutPlan, rows: Sequence[Row]) -> float:
    """Pairs of a micro-batch whose weights are kept for the gradient: those of rows that are not too long for it."""
    short = [row for row in rows if row.n_read <= MAX_KEPT_KEYS]
    return float(cuts.features(short)[2]) if short else 0.0


def beyond_on(device: torch.device) -> float:
    """How much more a node of a very large micro-batch costs: more where caches matter."""
    return BEYOND if device.type == "cpu" else 0.0


def choose_kernel(network: Network, layout: str) -> KernelName:
    """The faster of the kernels of a forest's attention on this machine, for heads like this model's; measured once."""
    config = network.decoder.config.get_text_config()
    n_heads = int(config.num_attention_heads)
    width = int(getattr(config, "head_dim", None) or config.hidden_size // n_heads)
    if network.device.type != "cpu" or layout == "padded" or len(KERNELS) == 1:
        return network.attention_kernel
    dtype = network.compute_dtype
    about: dict[str, Json] = {**machine(network.device), "heads": n_heads, "head_width": width, "type": str(dtype), "version": __version__}

    def timed() -> dict[str, Json]:
        return {str(name): seconds for name, seconds in measure_kernels(n_heads, width, _TRUNK, dtype).items()}

    seconds = Record(about).recall("attention", timed)
    return min(KERNELS, key=lambda name: float(str(seconds[name])))


def budget_bytes(network: Network) -> float:
    """The memory that training may take above the loaded model: what `LUTHIER_MEMORY_MB` says, else a share of the rest.

    By default it goes by what the machine (or the accelerator, or the container) has in all, not by what happens to be
    free: that would be another plan each time.

    Raises:
        LuthierError: `LUTHIER_MEMORY_MB` is no number of MB.

    """
    said = os.environ.get("LUTHIER_MEMORY_MB")
    if said:
        if not said.isdecimal() or int(said) == 0:
            raise LuthierError("LUTHIER_MEMORY_MB", f"is {said!r}", "give a whole number of MB, such as 4000, or unset it")
        return float(said) * _MB
    model: int = sum(one.numel() * one.element_size() for one in network.decoder.parameters())
    return max(SHARE * (total_bytes(network.device) - model), 64.0 * _MB)


def total_bytes(device: torch.device) -> int:
    """The memory of the accelerator, or of the machine as far as the container may use it."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if path.is_file() and (said := path.read_text(encoding="ascii").strip()).isdecimal():
            found.append(int(said))
    return min(found)


def _foreseen(memory: Memory, cuts: CutPlan, parts: Sequence[tuple[int, float]], density: float, budget: float) -> Foreseen:
    """The memory of the dearest of the micro-batches, which hold `parts` nodes and kept pairs, `density` pairs a node at most."""
    over = cuts.recompute_over
    peak = max(memory.peak(n_nodes, over is not None and n_nodes > over, n_pairs) for n_nodes, n_pairs in parts)
    thin = None if memory.thin is None else round(memory.thin)
    nodes = max(n_nodes for n_nodes, _ in parts)
    return Foreseen(round(peak / _MB), round(budget / _MB), nodes, round(memory.per_node + memory.per_pair * density), thin)


def keeper_for(plan: Plan, rest_bytes: int) -> Keeper | None:
    """What looks after the memory of a process that held `rest_bytes` with its model loaded; None where nothing was foreseen."""
    if plan.memory is None:
        return None
    return Keeper(rest_bytes + round(SLACK * plan.memory.peak_mb * _MB))


def some_steps(n_steps: int, batch_rows: int) -> range:
    """Which steps are looked at to decide: the first ones, fewer where they have many rows."""
    return range(min(n_steps, _N_STEPS, max(1, 4 * _N_ROWS // batch_rows)))
