"""Proofs about loss and gradient: a forest computes what padded rows compute, and any cut of a step gives the same.

Both are taken on the trained tensors of the trained model, in float32, by the loop's own accumulation and the forward pass
and attention kernel that training took; padded rows to compare a forest with are computed by the family's own forward pass.
Where a model has learnt its rows by heart, the gradient is a small difference of large numbers, and float32 rounding alone
may exceed the bound; the same is then computed in float64, and has to keep the same bound there. Families take their norms in
float32 even then, so that for the gradient both sides take training's forward pass, and the family's has to give the same loss.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from luthier.core.draws import permutation
from luthier.core.proofs import Found, NotApplicable, Proof
from luthier.methods.lora import adapted
from luthier.models.network import Network
from luthier.objectives import Objective
from luthier.text.batching import CutPlan
from luthier.text.rows import Row
from luthier.train.loop import accumulate
from luthier.train.optim import trained_parameters

BOUND = 1e-5
"""The largest relative difference in float32, of the loss and of the norm of the gradient over all trained tensors."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is proven about: a tuned network in float32 whose trained tensors ask for a gradient, its objective, and its cuts.

    The network computes as it did in training: by the same forward pass and attention kernel.
    """

    network: Network
    objective: Objective
    cuts: CutPlan
    seed: int


@dataclass(frozen=True, eq=False)
class Step:
    """Loss in nats and gradient of some rows, the gradient by tensor name in float64, and the nodes that were computed."""

    loss: float
    gradient: dict[str, Tensor]
    n_nodes: int
    n_batches: int


@dataclass(frozen=True)
class Gap:
    """By how much two computations of the same step differ, relative to the second."""

    loss: float
    gradient: float

    @property
    def holds(self) -> bool:
        """Whether both keep the bound."""
        return self.loss <= BOUND and self.gradient <= BOUND

    def worse(self, other: Gap) -> Gap:
        """The larger of each."""
        return Gap(max(self.loss, other.loss), max(self.gradient, other.gradient))

    def __str__(self) -> str:
        return f"the loss by {self.loss:.1e} and the gradient by {self.gradient:.1e}"


def ask_for_gradients(network: Network) -> None:
    """Mark the tensors that were trained as training marked them: adapters and head, or, without adapters, everything."""
    layers = [layer for _, layer in adapted(network)]
    network.requires_grad_(not layers)
    for layer in layers:
        layer.lora.requires_grad_(True)
    if network.head is not None:
        network.head.requires_grad_(True)


def forest_equals_padded(subject: Subject, rows: Sequence[Row], why_padded: str = "", limit: int = 0) -> Found:
    """Compare the forest of the rows (and the layout that training used, if that is another) with the rows padded.

    Args:
        subject: what was trained.
        rows: a few telling rows.
        why_padded: why the probe chose padding, '' where it chose the forest.
        limit: the tokens beyond which rows were left out of the choice for their cost, 0 where none was.

    """
    if subject.cuts.layout == "padded":
        return NotApplicable(f"rows were padded: {why_padded}")
    layouts = dict.fromkeys(("forest", subject.cuts.layout))

    def compare() -> tuple[Gap, str]:
        in_padded, gap = replace(subject.cuts, layout="padded", max_nodes=_longest(rows)), Gap(0.0, 0.0)
        with _by_the_family(subject.network):
            padded = step_of(subject, rows, in_padded)
        if subject.network.blocks is not None and next(subject.network.decoder.parameters()).dtype == torch.float64:
            again = step_of(subject, rows, in_padded)
            gap, padded = Gap(relative_gap(again, padded).loss, 0.0), again
        found = [step_of(subject, rows, replace(subject.cuts, layout=layout)) for layout in layouts]
        for one in found:
            gap = gap.worse(relative_gap(one, padded))
        return gap, f"{found[0].n_nodes:,} nodes for {padded.n_nodes:,} padded tokens"

    said = f"{len(rows)} rows (the longest, those that share most, drawn ones{_limited(limit)})"
    return _judged(subject, compare, said, f"{' and '.join(layouts)} and padded rows")


@contextlib.contextmanager
def _by_the_family(network: Network) -> Iterator[None]:
    """Within, the family's own forward pass computes."""
    blocks, network.blocks = network.blocks, None
    try:
        yield
    finally:
        network.blocks = blocks


def any_cut_same_gradient(subject: Subject, rows: Sequence[Row], limit: int = 0) -> Found:
    """Compare one micro-batch of all rows with one a row and with unequal cuts, in other orders; `limit` as above."""
    rows = _that_fit(rows, subject.cuts.max_nodes)
    if len(rows) < 2:
        return NotApplicable("there are no two training rows that fit into one micro-batch, so there is nothing to cut")
    n_tokens = sum(row.n_tokens for row in rows)
    cuts = subject.cuts

    def compare() -> tuple[Gap, str]:
        whole = step_of(subject, rows, replace(cuts, max_nodes=len(rows) * _longest(rows)))
        gap, sizes = Gap(0.0, 0.0), [str(whole.n_batches)]
        for number, most in enumerate((1, max(_longest(rows), n_tokens * 2 // 3), max(_longest(rows), n_tokens // 3))):
            mixed = [rows[i] for i in permutation(len(rows), subject.seed, "cut", number)]
            found = step_of(subject, mixed, replace(cuts, max_nodes=most))
            gap = gap.worse(relative_gap(found, whole))
            sizes.append(str(found.n_batches))
        return gap, f"cut into {', '.join(sizes[:-1])} and {sizes[-1]} micro-batches"

    return _judged(subject, compare, f"{len(rows)} rows{_limited(limit)}", "cuts")


def _limited(limit: int) -> str:
    return f", of those of up to {limit:,} tokens, so that proofs cost a small share of training" if limit else ""


def step_of(subject: Subject, rows: Sequence[Row], cuts: CutPlan) -> Step:
    """Loss and gradient of one step on these rows, cut in this way; nothing is changed by it."""
    network = subject.network
    network.zero_grad(set_to_none=True)
    batches = [batch.to(network.device) for batch in cuts.batches(rows)]
    sums = accumulate(network, subject.objective, batches, rows=rows)
    found = {name: one.grad.double() for name, one in trained_parameters(network).items() if one.grad is not None}
    network.zero_grad(set_to_none=True)
    return Step(float(sums["loss_nats"]), found, sum(batch.n_nodes for batch in batches), len(batches))


def relative_gap(found: Step, wanted: Step) -> Gap:
    """|Δloss| / |loss| and ‖Δgradient‖ / ‖gradient‖ over all trained tensors taken as one vector."""
    assert found.gradient.keys() == wanted.gradient.keys(), "the same tensors are trained"
    apart = sum(float((found.gradient[name] - one).square().sum()) for name, one in wanted.gradient.items()) ** 0.5
    norm = sum(float(one.square().sum()) for one in wanted.gradient.values()) ** 0.5
    return Gap(_ratio(abs(found.loss - wanted.loss), abs(wanted.loss)), _ratio(apart, norm))


def _ratio(apart: float, whole: float) -> float:
    """`apart` / `whole`; infinite where that is no number, unless nothing is apart."""
    if apart == 0:
        return 0.0
    return apart / whole if whole > 0 and math.isfinite(apart) else math.inf


def _judged(subject: Subject, compare: Callable[[], tuple[Gap, str]], rows: str, what: str) -> Proof:
    """Compare in float32, and once more in float64 where rounding may have been what made the difference."""
    gap, sizes = compare()
    said = f"over {rows}, {sizes}, {what} differ in {gap}, relatively; the bound is {BOUND:.0e}"
    if gap.holds:
        return Proof(True, f"float32: {said}")
    with exact(subject.network):
        again, _ = compare()
    return Proof(again.holds, f"float32: {said}; in float64 they differ in {again}, so it {'is' if again.holds else 'is not'} rounding")


@contextlib.contextmanager
def exact(network: Network) -> Iterator[None]:
    """The network in float64, and as it was afterwards: every float32 number is a float64 one."""
    before = network.compute_dtype
    network.double()
    network.compute_dtype = torch.float64
    try:
        yield
    finally:
        network.float()
        network.compute_dtype = before


def _longest(rows: Sequence[Row]) -> int:
    return max(row.n_tokens for row in rows)


def _that_fit(rows: Sequence[Row], max_nodes: int) -> list[Row]:
    """The rows, the shortest first, as long as one micro-batch holds them all."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: row.n_tokens):
        if (len(found) + 1) * row.n_tokens <= max_nodes:
            found.append(row)
    return found
