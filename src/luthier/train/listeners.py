"""What watches training between steps. Listeners write to the journal; they never touch a gradient or a parameter."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from luthier.core.errors import LuthierError
from luthier.core.progress import Bar
from luthier.objectives import Objective
from luthier.text.batching import CutPlan
from luthier.text.rows import Row
from luthier.train import checkpoints
from luthier.train.journal import Journal
from luthier.train.spread import remembered, spread_over
from luthier.train.state import TrainState


class Listener(Protocol):
    """Called in order at each step boundary, the one before the first step included (`state.step` is 0 there)."""

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Look, and note what there is to note; `is_last` says that no step follows."""
        ...


@dataclass(frozen=True)
class Validation:
    """The loss on the validation rows every `every` steps, before the first and after the last: Σ totals / Σ counts."""

    objective: Objective
    rows: Sequence[Row]
    cuts: CutPlan
    every: int

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Evaluate where it is due."""
        if state.step % self.every and not is_last:
            return
        began = time.monotonic()
        sums = evaluate(state, self.objective, self.rows, self.cuts)
        if not math.isfinite(sums["loss_nats"]):
            problem = f"the loss on the validation rows is {sums['loss_nats']}"
            raise LuthierError(f"step {state.step}", problem, "lower [train] learning_rate; a third of it is a good try")
        journal.add("validation", state.step, **sums, seconds=round(time.monotonic() - began, 3))


@dataclass(frozen=True)
class EarlyStop:
    """Ends training when `patience` evaluations in a row have not been better than the best."""

    patience: int

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Stop where patience has run out."""
        last = journal.last_validation
        if is_last or last is None or last["step"] != state.step or journal.n_without_improvement < self.patience:
            return
        best = journal.best
        assert best is not None, "there was an evaluation"
        journal.add("stop", state.step, reason=f"{self.patience} evaluations without one better than that of step {best['step']}")


@dataclass
class Checkpoints:
    """Saves at each new best, when `save_every_s` seconds of work have passed, and at the end; keeps the newest and the best."""

    folder: Path
    save_every_s: float
    _saved_at: float = field(default_factory=time.monotonic)

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Save where it is due."""
        best = journal.best
        is_best = best is not None and best["step"] == state.step
        is_due = state.step > 0 and time.monotonic() - self._saved_at >= self.save_every_s
        if is_best or is_due or is_last or journal.stopped:
            self.save(state, journal)

    def save(self, state: TrainState, journal: Journal) -> None:
        """Save now, the journal first: no checkpoint may know of a step whose lines are lost."""
        journal.sync()
        checkpoints.save(state, self.folder)
        self.prune(state, journal)
        self._saved_at = time.monotonic()

    def prune(self, state: TrainState, journal: Journal) -> None:
        """Keep the state of this step, which is saved, and the best one's."""
        best = journal.best
        checkpoints.prune(self.folder, {state.step} | ({best["step"]} if best is not None else set()))


@dataclass(frozen=True)
class Progress:
    """Shows the newest losses beside the bar."""

    bar: Bar

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Advance by one step and show the losses."""
        steps = journal.of("step")
        if not steps or steps[-1]["step"] != state.step:
            return
        said = f"loss {steps[-1]['loss_nats']:.3f}"
        last = journal.last_validation
        self.bar.note(said if last is None else f"{said}, validation {last['loss_nats']:.3f} at step {last['step']}")


@torch.no_grad()
def evaluate(state: TrainState, objective: Objective, rows: Sequence[Row], cuts: CutPlan) -> dict[str, float]:
    """The loss in nats and its standard error, and the objective's metrics and the rows as sums, of the network as it is, without draws."""
    network = state.network
    network.eval()
    totals: dict[str, float] = {}
    counts: dict[str, float] = {}
    metrics: dict[str, float] = {"n_rows": len(rows)}
    spread = spread_over(objective, rows)
    for part in cuts.cut(rows):
        batch = cuts.make(part).to(network.device)
        read = remembered(network(batch))
        found = objective.loss(read, batch)
        spread.add(read, batch, part)
        for into, sums in ((totals, found.totals), (counts, objective.count(batch)), (metrics, found.metrics)):
            for name, value in sums.items():
                into[name] = into.get(name, 0.0) + float(value)
    network.train()
    loss = sum(total / counts[name] for name, total in totals.items() if counts[name])
    return {"loss_nats": loss, **spread.as_fields(totals, counts), **metrics}
