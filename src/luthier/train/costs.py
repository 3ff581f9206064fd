"""What micro-batches cost here, in seconds and in memory: measured on a few made-up ones, the model and its method as they are."""

from __future__ import annotations

import ctypes
import mmap
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import nn

from luthier.core.jsonvalue import Json
from luthier.models.network import Network
from luthier.objectives import Objective
from luthier.text.batching import KNEES, Costs, CutPlan
from luthier.text.rows import Row, make_row
from luthier.train.loop import accumulate

LIMIT_S = 3.5
"""Measuring ends after about so long; what it did not come to is continued in proportion."""
DOUBT = 0.2
"""What a cost beside calls and nodes is held to explain without being needed, as a relative error."""


@dataclass(frozen=True)
class Shape:
    """A made-up micro-batch: `n_rows` rows share their first `trunk` tokens; of `own` further ones each has `trained`."""

    n_rows: int
    trunk: int
    own: int
    trained: int

    def rows(self, n_vocabulary: int) -> list[Row]:
        """Rows of random tokens, the same each time."""
        draw = np.random.default_rng(0)
        begun = draw.integers(0, n_vocabulary, self.trunk).tolist()
        weights = [0.0] * (self.trunk + self.own - self.trained) + [1.0] * self.trained
        return [
            make_row(begun + draw.integers(0, n_vocabulary, self.own).tolist(), weights, id=f"made up {i}", target=0)
            for i in range(self.n_rows)
        ]


def shapes(context: int, most_nodes: int) -> list[Shape]:
    """Micro-batches that tell the costs apart, the small ones first: none has rows or nodes beyond what the run will have."""
    own = max(2, min(128, context))
    found = [Shape(1, 0, min(32, own), 1), Shape(2, 0, own, own // 2)]
    for n in (512, 1024, 2048, 4096):
        whole, branch = min(n, context), max(2, own // 4)
        trunk = min(n // 2, context - branch)
        found.append(Shape(n // own, 0, own, own // 2))
        if n <= 1024:
            found += [Shape(n // whole, 0, whole, min(8, whole - 1)), Shape(max(1, (n - trunk) // branch), trunk, branch, 1)]
    return [shape for i, shape in enumerate(found) if i < 2 or shape.trunk + shape.n_rows * shape.own <= most_nodes]


@dataclass(frozen=True)
class Memory:
    """Bytes above the loaded model: `fixed`, and for each node of the largest micro-batch `per_node`, its gradient included.

    `states` is what the optimizer holds of the trained tensors. Where a micro-batch is recomputed, a node takes `thin`.
    """

    fixed: float
    per_node: float
    states: float
    thin: float | None = None

    def peak(self, n_nodes: int, recomputed: bool = False) -> float:
        """The most memory that steps with micro-batches of so many nodes hold at once."""
        rate = self.thin if recomputed and self.thin is not None else self.per_node
        return self.states + self.fixed + rate * n_nodes

    def most_nodes(self, budget: float) -> int:
        """The largest micro-batch that stays within `budget` bytes; 0 where none does."""
        return max(0, int((budget - self.states - self.fixed) / max(self.per_node, 1.0)))


def measure(network: Network, objective: Objective, cuts: CutPlan, context: int, most_nodes: int, budget: float) -> dict[str, Json]:
    """Seconds and memory of made-up micro-batches, forward and backward; the network is left as it was.

    The fastest of a few turns counts. On one thread of a CPU the processor's time is taken, from which busy neighbours
    take nothing away. Memory is that of the process, which keeps what is freed: after each micro-batch it has grown to
    what the largest so far has needed, the allocator's gaps included.
    """
    clock = time.process_time if network.device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    features: list[Json] = []
    seconds: list[Json] = []
    grown: list[Json] = []
    began, spent = clock(), 0.0
    rest_at = at_rest(network)
    wanted = shapes(context, most_nodes)
    for i, shape in enumerate(wanted):
        rows = shape.rows(network.n_vocabulary)
        size = cuts.features(rows)
        left_s = LIMIT_S - spent
        # The last, which is the largest, is worth as much again for one turn of it: memory cannot be told from small ones.
        if i >= 2 and _goes_too_far(size, features, seconds, grown, 3 * LIMIT_S if i == len(wanted) - 1 else left_s, budget):
            continue
        # More turns of the first one: the kernels' own preparation belongs to no micro-batch.
        turns = [_turn(network, objective, cuts, rows, clock) for _ in range(4 if i == 0 else 2 if left_s > 0 else 1)]
        features.append(size.tolist())
        seconds.append(min(turns))
        grown.append(max(0, _held(network) - rest_at))
        spent = clock() - began
    at_rest(network)  # the run itself begins without the gaps that these have left in memory
    return {"features": features, "seconds": seconds, "grown_bytes": grown}


def _goes_too_far(
    size: NDArray[np.float64], features: list[Any], seconds: list[Any], grown: list[Any], left_s: float, budget: float
) -> bool:
    """Whether a micro-batch would take more time than is left, or more memory than there is, going by those before it."""
    more = float(size[1]) / max(float(one[1]) for one in features)
    return bool(2 * max(seconds) * more > left_s or max(grown) * more > budget)


def _turn(network: Network, objective: Objective, cuts: CutPlan, rows: Sequence[Row], clock: Any) -> float:
    """Seconds of one micro-batch, the making of it included; no gradient and no draw is left behind."""
    was_training, recomputed = network.training, network.n_recomputed
    with torch.random.fork_rng(devices=[network.device] if network.device.type == "cuda" else []):
        network.train()
        began: float = clock()
        sums = accumulate(network, objective, [cuts.make(rows).to(network.device)])
        float(sums["loss_nats"])
        if network.device.type == "cuda":
            torch.cuda.synchronize(network.device)
        ended: float = clock()
    network.train(was_training)
    network.n_recomputed = recomputed
    for parameter in network.parameters():
        parameter.grad = None
    return ended - began


def thin_bytes(network: Network, objective: Objective, cuts: CutPlan, context: int) -> float:
    """Bytes that a node of a micro-batch takes which is recomputed in all the layers that can be, measured at one small size."""
    network.n_recomputed = network.recomputable[-1]
    try:
        rows = shapes(context, 512)[-1].rows(network.n_vocabulary)
        before = at_rest(network)
        for _ in range(2):
            _turn(network, objective, cuts, rows, time.perf_counter)
        return max(0.0, _held(network) - before) / float(cuts.features(rows)[1])
    finally:
        network.n_recomputed = 0


def fit_costs(found: Mapping[str, Any]) -> Costs:
    """The costs nearest to what was measured, by relative error, none below 0 (Lawson & Hanson, 1974, chapter 23).

    Where the measurements cannot tell costs apart, as where a model is so slow that few were made, calls and nodes are
    taken to cost rather than pairs, sources, rows, or nodes over a knee: a slight penalty on these sees to it.
    """
    features, seconds = np.array(found["features"]), np.maximum(np.array(found["seconds"]), 1e-6)
    scaled = features / seconds[:, None]
    unit = np.where(scaled.max(0) > 0, scaled.max(0), 1.0)
    doubted = DOUBT * np.eye(len(unit))[2:]
    weights, _ = nnls(np.concatenate([scaled / unit, doubted]), np.r_[np.ones(len(seconds)), np.zeros(len(doubted))])
    call, node, pair, source, row, *over = (float(f"{value:.4g}") for value in weights / unit)
    assert len(over) == len(KNEES), "each knee has a coefficient"
    return Costs(call, node, pair, source, row, tuple(over))


def fit_memory(found: Mapping[str, Any], network: Network) -> Memory:
    """A straight line through what the process had grown to at half of the most nodes and at the most."""
    most: dict[float, float] = {}
    for size, grown in zip(found["features"], found["grown_bytes"], strict=True):
        most[size[1]] = max(grown, *most.values(), 0.0)
    large = max(most)
    small = max((n for n in most if n <= large / 2), default=min(most))
    rate = (most[large] - most[small]) / max(large - small, 1.0)
    # States for the optimizer: two numbers for each that is trained.
    trained = sum(one.numel() * one.element_size() for one in network.parameters() if one.requires_grad)
    return Memory(fixed=round(max(0.0, most[large] - rate * large)), per_node=round(rate, 1), states=2 * trained)


def at_rest(network: Network) -> int:
    """Give back what is freed, so that growth shows from here on; gives what is held then."""
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(network.device)
        return int(torch.cuda.memory_allocated(network.device))
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if Path("/proc/self/statm").is_file() else None
    if trim is not None:
        trim(0)
    return _held(network)


def _held(network: Network) -> int:
    """Bytes that the process holds; on an accelerator the most that its tensors have held."""
    if network.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(network.device))
    listing = Path("/proc/self/statm")
    if listing.is_file():
        return int(listing.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # elsewhere, macOS above all, only the peak can be asked for, in bytes


def shape_of(network: Network, objective: Objective) -> dict[str, Json]:
    """What the costs of a network depend on beside the machine: its shape, what of it is trained, and in which types."""
    config = network.decoder.config.get_text_config()
    names = (
        "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    )  # fmt: skip
    trained: list[nn.Parameter] = [one for one in network.parameters() if one.requires_grad]
    return {
        **{name: value for name in names if isinstance(value := getattr(config, name, None), int | str)},
        "n_vocabulary": network.n_vocabulary,
        "n_parameters": sum(one.numel() for one in network.parameters()),
        "n_trained": sum(one.numel() for one in trained),
        "held": str(next(network.decoder.parameters()).dtype),
        "computed": str(network.compute_dtype),
        "objective": type(objective).__name__,
        "blocks": network.blocks is not None,
    }
