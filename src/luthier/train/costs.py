"""What micro-batches cost here, in seconds and in memory: measured on a few made-up ones, the model and its method as they are."""

from __future__ import annotations

import mmap
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import nn

from luthier.core.jsonvalue import Json
from luthier.models.network import Network
from luthier.objectives import Objective
from luthier.text.batching import Costs, CutPlan, Layout
from luthier.text.rows import Row, make_row
from luthier.train.allocator import give_back, held_bytes
from luthier.train.loop import accumulate

T = TypeVar("T")
LIMIT_S = 3.5
"""The first round ends after about so long, but for the largest micro-batch; what it did not come to is continued in proportion."""
LARGEST_S = 12.0
"""The two turns of the largest micro-batch may take so long together."""
AGREE = 0.05
"""Two turns that differ by no more than this share are believed; else there is a third while there is time."""
LEAST_GROWN, LEAST_GAPS, MOST_GAPS = 16 * 2**20, 1.08, 2.0
"""Gaps are told from a growth of so many bytes on, and are taken to make it so many times as large, at the least and at the most.

At the least, since a run's sizes are more than those that were measured (eleven runs grew by 0.96 to 1.19 times what was
foreseen without it: docs/log.md, 2026-11-22).
"""
BEYOND = 0.15
"""Where measuring does not reach: on a CPU a node over `KNEE` is taken to cost so much more than others do (docs/log.md, 2026-11-22)."""
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


def made_up(cuts: CutPlan, context: int, most_nodes: int, n_vocabulary: int) -> list[list[Row]]:
    """The rows of these micro-batches, by how many nodes they are in the layout at hand: where nothing is shared, trunks count often."""
    found = [(i, shape.rows(n_vocabulary)) for i, shape in enumerate(shapes(context, most_nodes))]
    sized = [(float(cuts.features(rows)[1]), i, rows) for i, rows in found]
    return [rows for n_nodes, i, rows in sorted(sized, key=lambda one: one[:2]) if i < 2 or n_nodes <= most_nodes]


@dataclass(frozen=True)
class Memory:
    """Bytes above the loaded model: `fixed`, and for each node of the largest micro-batch `per_node`, its gradient included.

    `per_pair` is what is kept of each pair of a node and one that it sees: its weight in each head of each layer.
    `states` is what the optimizer holds of the trained tensors. Where a micro-batch is recomputed, a node takes `thin`.
    """

    fixed: float
    per_node: float
    states: float
    thin: float | None = None
    per_pair: float = 0.0

    def peak(self, n_nodes: int, recomputed: bool = False, n_pairs: float = 0.0) -> float:
        """The most memory that steps with micro-batches of so many nodes hold at once."""
        rate = self.thin if recomputed and self.thin is not None else self.per_node
        return self.states + self.fixed + rate * n_nodes + (0.0 if recomputed else self.per_pair * n_pairs)

    def most_nodes(self, budget: float, pairs_per_node: float = 0.0) -> int:
        """The largest micro-batch that stays within `budget` bytes; 0 where none does."""
        rate = self.per_node + self.per_pair * pairs_per_node
        return max(0, int((budget - self.states - self.fixed) / max(rate, 1.0)))


def measure(network: Network, objective: Objective, cuts: CutPlan, context: int, most_nodes: int, budget: float) -> dict[str, Json]:
    """Seconds and memory of made-up micro-batches, forward and backward; the network is left as it was.

    Memory is that of the process, which keeps what is freed: after each micro-batch of a first round it has grown to what
    the largest so far has needed, and after the second to what it takes where sizes alternate, which leaves more gaps
    between blocks. The first round also makes the kernels that the second finds. The least of a micro-batch's turns
    counts; they lie apart, so that nothing that disturbs one disturbs all. On one thread of a CPU the processor's time is
    taken, from which busy neighbours take nothing away, without what it took to fault memory in: that is paid once, and
    not again by each step.
    """
    turn = _Turn(network, objective, cuts, _seconds_of_a_fault() if _is_alone(network) else 0.0)
    made: list[list[Row]] = []
    features: list[list[float]] = []
    seconds: list[float] = []
    grown: list[int] = []
    began, rest_at = turn.clock(), at_rest(network)

    def take(rows: list[Row], left_s: float) -> bool:
        size = cuts.features(rows)
        if len(made) >= 2 and _goes_too_far(size, features, seconds, grown, left_s, budget):
            return False
        # The kernels' own preparation belongs to no micro-batch.
        seconds.append(min(turn(rows) for _ in range(1 if made else 3)))
        made.append(rows)
        features.append(size.tolist())
        grown.append(max(0, _held(network) - rest_at))
        return True

    batches = made_up(cuts, context, most_nodes, network.n_vocabulary)
    take_in_time(batches, take, lambda: turn.clock() - began, lambda rows: float(cuts.features(rows)[1]))
    second = [turn(rows) for rows in made]
    for i, (before, after) in enumerate(zip(seconds, second, strict=True)):
        agreed = abs(after - before) <= AGREE * min(before, after) or turn.clock() - began > 2 * LIMIT_S
        seconds[i] = min(before, after, *(() if agreed else (turn(made[i]),)))
    alternating = max(0, _held(network) - rest_at)
    at_rest(network)  # the run itself begins without the gaps that these have left in memory
    return {"features": [*features], "seconds": [*seconds], "grown_bytes": [*grown], "alternating_bytes": alternating}


def take_in_time(
    batches: Sequence[T], take: Callable[[T, float], bool], spent_s: Callable[[], float], n_nodes: Callable[[T], float]
) -> None:
    """Take batches, which come by size, as far as time goes, and the largest that can be had in any case.

    `take` is given a batch and the seconds that two turns of it may take, and says whether it took it. The largest is worth
    more time than others: neither memory nor what a node costs can be told from small ones.
    """
    *first, last = batches
    left = [batch for batch in first if not take(batch, LIMIT_S - 2 * spent_s())]
    most = max((n_nodes(batch) for batch in first if batch not in left), default=0.0)
    for batch in (last, *reversed(left)):
        if (batch is last or n_nodes(batch) > most) and take(batch, LARGEST_S):
            return


def _goes_too_far(
    size: NDArray[np.float64], features: list[Any], seconds: list[Any], grown: list[Any], left_s: float, budget: float
) -> bool:
    """Whether a micro-batch would take more time than is left, or more memory than there is, going by those before it."""
    more = float(size[1]) / max(float(one[1]) for one in features)
    return bool(2 * max(seconds) * more > left_s or max(grown) * more > budget)


@dataclass(frozen=True, eq=False)
class _Turn:
    """Runs one micro-batch, the making of it included, and gives its seconds; no gradient and no draw is left behind."""

    network: Network
    objective: Objective
    cuts: CutPlan
    fault_s: float

    @property
    def clock(self) -> Callable[[], float]:
        """On one thread of a CPU the processor's time."""
        return time.process_time if _is_alone(self.network) else time.perf_counter

    def __call__(self, rows: Sequence[Row]) -> float:
        """Seconds, without those for memory that was faulted in."""
        network, clock = self.network, self.clock
        was_training, recomputed = network.training, network.n_recomputed
        with torch.random.fork_rng(devices=[network.device] if network.device.type == "cuda" else []):
            network.train()
            faults, began = _faults(), clock()
            sums = accumulate(network, self.objective, [self.cuts.make(rows).to(network.device)])
            float(sums["loss_nats"])
            if network.device.type == "cuda":
                torch.cuda.synchronize(network.device)
            spent, faults = clock() - began, _faults() - faults
        network.train(was_training)
        network.n_recomputed = recomputed
        for parameter in network.parameters():
            parameter.grad = None
        return max(spent - faults * self.fault_s, 0.1 * spent)


def _is_alone(network: Network) -> bool:
    """Whether one thread of a CPU does all the work, so that the processor's time is the work's."""
    return network.device.type == "cpu" and torch.get_num_threads() == 1


def _faults() -> int:
    """Pages that the process has faulted in without reading a file."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _seconds_of_a_fault(n_pages: int = 4096) -> float:
    """Seconds of the processor's time to fault a page in: fresh ones against the same again, the least of three turns."""
    found = []
    for _ in range(3):
        with mmap.mmap(-1, n_pages * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as fresh:  # as the heap's pages are
            times = []
            for _ in range(2):
                began = time.process_time()
                fresh[:: mmap.PAGESIZE] = bytes(n_pages)
                times.append(time.process_time() - began)
        found.append(max(0.0, times[0] - times[1]) / n_pages)
    return min(found)


def thin_bytes(network: Network, objective: Objective, cuts: CutPlan, context: int) -> float:
    """Bytes that a node of a micro-batch takes which is recomputed in all the layers that can be, measured at one small size."""
    network.n_recomputed = network.recomputable[-1]
    try:
        rows = shapes(context, 512)[-1].rows(network.n_vocabulary)
        before = at_rest(network)
        for _ in range(2):
            _Turn(network, objective, cuts, 0.0)(rows)
        return max(0.0, _held(network) - before) / float(cuts.features(rows)[1])
    finally:
        network.n_recomputed = 0


def fit_costs(found: Mapping[str, Any], beyond: float) -> Costs:
    """The costs nearest to what was measured, by relative error, none below 0 (Lawson & Hanson, 1974, chapter 23).

    Where the measurements cannot tell costs apart, as where a model is so slow that few were made, calls and nodes are
    taken to cost rather than pairs, sources or rows: a slight penalty on these sees to it. A node over `KNEE` is taken to
    cost more than those of the largest micro-batch do with all that hangs on them, by the share `beyond`. Below it, nothing
    makes smaller micro-batches the cheaper ones but padding: what measurements seemed to say of them was the noise of a
    busy machine (docs/log.md, 2026-11-22).
    """
    features, seconds = np.array(found["features"])[:, :-1], np.maximum(np.array(found["seconds"]), 1e-6)
    scaled = features / seconds[:, None]
    unit = np.where(scaled.max(0) > 0, scaled.max(0), 1.0)
    doubted = DOUBT * np.eye(len(unit))[2:]
    weights, _ = nnls(np.concatenate([scaled / unit, doubted]), np.r_[np.ones(len(seconds)), np.zeros(len(doubted))])
    largest = features[features[:, 1].argmax()]
    of_a_node = float(largest[1:] @ (weights / unit)[1:] / largest[1])
    call, node, pair, source, row, over = (float(f"{value:.4g}") for value in (*(weights / unit), beyond * of_a_node))
    return Costs(call, node, pair, source, row, over)


def fit_memory(found: Mapping[str, Any], network: Network, layout: Layout) -> Memory:
    """A straight line through what the process had grown to at half of the most nodes and at the most, the weights of pairs apart.

    All of it is as much more as the process had grown by when the sizes had alternated: by gaps between blocks. Where it had hardly
    grown at all, or only its peak can be asked for and was reached before, nothing is known of gaps, and the least is taken.
    """
    most: dict[float, float] = {}
    per_pair = bytes_of_a_pair(network, layout)
    for size, grown in zip(found["features"], found["grown_bytes"], strict=True):
        most[size[1]] = max(grown - per_pair * size[2], *most.values(), 0.0)
    large = max(most)
    small = max((n for n in most if n <= large / 2), default=min(most))
    rate = (most[large] - most[small]) / max(large - small, 1.0)
    grown = max(found["grown_bytes"])
    gaps = min(MOST_GAPS, max(LEAST_GAPS, found["alternating_bytes"] / grown)) if grown > LEAST_GROWN else LEAST_GAPS
    fixed = max(0.0, most[large] - rate * large)
    # States for the optimizer: two numbers for each that is trained.
    trained = sum(one.numel() * one.element_size() for one in network.parameters() if one.requires_grad)
    return Memory(round(gaps * fixed), round(gaps * rate, 1), 2 * trained, per_pair=gaps * per_pair)


def bytes_of_a_pair(network: Network, layout: Layout) -> float:
    """What is kept of a pair for the gradient where attention is computed by products: its weight in each head of each layer."""
    if layout == "padded" or network.device.type != "cpu" or network.attention_kernel != "products":
        return 0.0
    config = network.decoder.config.get_text_config()
    return float(config.num_hidden_layers * config.num_attention_heads * network.compute_dtype.itemsize)


def at_rest(network: Network) -> int:
    """Give back what is freed, so that growth shows from here on; gives what is held then."""
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(network.device)
        return int(torch.cuda.memory_allocated(network.device))
    give_back()
    return _held(network)


def _held(network: Network) -> int:
    """Bytes that the process holds; on an accelerator the most that its tensors have held."""
    if network.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(network.device))
    held = held_bytes()
    # Elsewhere, macOS above all, only the peak can be asked for, in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if held is None else held


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
