"""The loop: methods change the model, objectives score it, listeners watch it, and nothing else enters.

    loss of a step  =  Σ over terms of  Σ over micro-batches of total  /  Σ over micro-batches of count

The counts are known before the first forward pass, so any cut of a step into micro-batches gives the same gradient.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from luthier.core.draws import seed_of
from luthier.core.errors import LuthierError
from luthier.core.interrupts import Interrupted, Interruption
from luthier.core.progress import progress
from luthier.core.runs import Run
from luthier.models.network import Network
from luthier.objectives import Objective
from luthier.text.batching import Batch, CutPlan
from luthier.text.rows import Row
from luthier.text.stream import Stream
from luthier.train import checkpoints
from luthier.train.allocator import Keeper
from luthier.train.journal import Journal
from luthier.train.listeners import Checkpoints, EarlyStop, Listener, Progress, Validation
from luthier.train.optim import trained_parameters
from luthier.train.options import Train
from luthier.train.schedule import learning_rate
from luthier.train.state import TrainState


@dataclass(frozen=True)
class FitResult:
    """How training went. The network holds the tensors of `best_step`, which is the last where nothing was validated.

    `resumed_at` is the step that was gone on from, None for a training that began at the beginning.
    """

    best_step: int
    best_loss: float | None
    last_step: int
    n_steps: int
    stopped_early: bool
    resumed_at: int | None


def fit(
    state: TrainState,
    objective: Objective,
    stream: Stream,
    cuts: CutPlan,
    train: Train,
    folder: Path,
    *,
    validation: Sequence[Row] = (),
    listeners: Sequence[Listener] = (),
    interruption: Interruption | None = None,
) -> FitResult:
    """Train to the end of the stream, from the newest checkpoint in the run's folder where there is one.

    Args:
        state: the state before the first step; its network has its method attached.
        objective: what the network is told.
        stream: which rows each step sees.
        cuts: how a step is cut into micro-batches.
        train: the [train] section, its `learning_rate` settled.
        folder: the run's folder; `metrics.jsonl` and `checkpoints/` are written to it.
        validation: rows whose loss says which checkpoint is the best.
        listeners: further watchers, called after the validation and before the checkpoint.
        interruption: asked at each step boundary.

    Raises:
        Interrupted: it was asked to stop; the state is saved.
        LuthierError: the loss or a gradient is not finite, or the disk is full.

    """
    assert train.learning_rate is not None, "the learning rate is settled before training"
    assert state.seed is None or cuts.layout != "forest", "a random pass has no beginnings to share"
    run, n_steps = Run(folder), stream.n_steps
    resumed_at = checkpoints.restore(state, run.checkpoints)
    journal = Journal(run.metrics, state.step)
    saver = Checkpoints(run.checkpoints, train.save_every_s)
    if resumed_at is not None:
        saver.prune(state, journal)  # a kill may have fallen between saving and pruning
    watchers: list[Listener] = [*listeners, saver]
    if validation:
        watchers = [Validation(objective, validation, cuts, train.n_between_evaluations(n_steps)), *watchers]
        watchers[1:1] = [EarlyStop(train.patience)] if train.patience is not None else []
    state.network.train()
    try:
        with progress(n_steps, "tuning", "steps", start=state.step) as bar:
            watchers.append(Progress(bar))
            if state.step == 0:
                _tell(watchers, state, journal, n_steps)
            while state.step < n_steps and not journal.stopped:
                if interruption is not None and interruption.requested:
                    saver.save(state, journal)
                    raise Interrupted(f"stopped after step {state.step} of {n_steps} and saved; the same command goes on from here")
                rate = learning_rate(train, train.learning_rate, state.step, n_steps)
                found = take_step(state, objective, stream.rows(state.step), cuts, rate, train.clip)
                journal.add("step", state.step, **found)
                _tell(watchers, state, journal, n_steps)
                bar.advance()
    finally:
        journal.close()
    return _end(state, journal, run, n_steps, resumed_at)


def take_step(
    state: TrainState, objective: Objective, rows: Sequence[Row], cuts: CutPlan, rate: float, clip: float
) -> dict[str, float]:
    """One step of the optimizer on these rows; gives what there is to say about it.

    Raises:
        LuthierError: nothing in the rows can be learnt, or the loss or the gradient is not finite.

    """
    began = time.monotonic()
    network = state.network
    batches = [batch.to(network.device) for batch in cuts.batches(rows)]
    sums = accumulate(network, objective, batches, state.seed, state.step, rows, cuts, state.keeper)
    norm = nn.utils.clip_grad_norm_(trained_parameters(network).values(), clip)
    said = {name: float(value) for name, value in sums.items()}
    _refuse_non_finite(said["loss_nats"], float(norm), state, rows)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    state.step += 1
    state.units += len(rows)
    sizes = {
        "n_rows": len(rows), "n_tokens": sum(row.n_tokens for row in rows), "n_nodes": sum(batch.n_nodes for batch in batches),
        "n_supervised": sum(batch.n_supervised for batch in batches),
    }  # fmt: skip
    return {**said, "lr": rate, "grad_norm": float(norm), **sizes, "seconds": round(time.monotonic() - began, 4)}


def accumulate(
    network: Network,
    objective: Objective,
    batches: Sequence[Batch],
    seed: int | None = None,
    step: int = 0,
    rows: Sequence[Row] = (),
    cuts: CutPlan | None = None,
    keeper: Keeper | None = None,
) -> dict[str, Tensor]:
    """Add the gradient of one step, however it is cut, to the trained tensors'; gives the loss and the metrics' sums.

    Args:
        network: the network as it stands, its gradients empty.
        objective: what it is told.
        batches: the micro-batches of the step, on the network's device.
        seed: where the draws of a random forward pass come from, None where nothing is drawn.
        step: the number of the step, for the draws and for errors.
        rows: the rows of the step, for errors.
        cuts: says which micro-batches are computed again for their gradient; without it, the network as it is set.
        keeper: looks after the memory that the process holds, after each micro-batch.

    Raises:
        LuthierError: nothing in the rows can be learnt.

    """
    counts = _counts(objective, batches, step, rows)
    sums: dict[str, Tensor] = {}
    # Autocast forgets its copies of trained weights when the outermost context ends: with one around them all, float32 weights
    # are cast once a step. It casts nothing itself.
    with torch.autocast(network.device.type, enabled=False):
        for micro, batch in enumerate(batches):
            if seed is not None:
                torch.manual_seed(seed_of(seed, "forward", step, micro))
            if cuts is not None:
                network.n_recomputed = network.recomputable[-1] if cuts.recomputes(batch) else 0
            found = objective.loss(network(batch), batch)
            loss = torch.stack([total / counts[term] for term, total in found.totals.items()]).sum()
            torch.autograd.backward(loss)
            if keeper is not None:
                keeper.look()
            _add(sums, {"loss_nats": loss, **{name: value for name, value in found.metrics.items() if name not in counts}})
    return sums


def _counts(objective: Objective, batches: Sequence[Batch], step: int, rows: Sequence[Row]) -> dict[str, float]:
    """What each term is divided by: its count over the whole step."""
    counts: dict[str, float] = {}
    for batch in batches:
        for term, count in objective.count(batch).items():
            counts[term] = counts.get(term, 0.0) + count
    if not any(counts.values()):
        problem = f"nothing in its rows can be learnt ({_names(rows)})"
        raise LuthierError(f"step {step + 1}", problem, "remove rows without a reply or a label")
    return {term: count or 1.0 for term, count in counts.items()}


def _add(sums: dict[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name, value in found.items():
        sums[name] = sums[name] + value.detach() if name in sums else value.detach()


def _refuse_non_finite(loss: float, norm: float, state: TrainState, rows: Sequence[Row]) -> None:
    """Raise before a step that would spoil the parameters; what was saved before it is sound."""
    if math.isfinite(loss) and math.isfinite(norm):
        return
    what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norm}"
    fix = "lower [train] learning_rate (a third of it is a good try), or look at these rows"
    raise LuthierError(f"step {state.step + 1}", f"{what}, in the rows {_names(rows)}", fix)


def _names(rows: Sequence[Row], n_shown: int = 16) -> str:
    """The rows' ids, the first few of many."""
    names = list(dict.fromkeys(row.id for row in rows))
    return ", ".join(names[:n_shown]) + (f" and {len(names) - n_shown} more" if len(names) > n_shown else "")


def _tell(watchers: Sequence[Listener], state: TrainState, journal: Journal, n_steps: int) -> None:
    for watcher in watchers:
        watcher(state, journal, state.step == n_steps)


def _end(state: TrainState, journal: Journal, run: Run, n_steps: int, resumed_at: int | None) -> FitResult:
    """Bring the best tensors back into the network and say how it went."""
    best = journal.best
    best_step = state.step if best is None else int(best["step"])
    if best_step != state.step:
        checkpoints.load_tensors(state, checkpoints.folder_of(run.checkpoints, best_step))
    loss = None if best is None else float(best["loss_nats"])
    return FitResult(best_step, loss, state.step, n_steps, journal.stopped, resumed_at)
