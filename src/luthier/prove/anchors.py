"""What a training keeps so that a fresh process can go on from a checkpoint file and be compared with what followed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from luthier.core.runs import Run
from luthier.train import checkpoints
from luthier.train.journal import Entry, Journal
from luthier.train.optim import optimizer_tensors, trained_parameters
from luthier.train.state import TrainState

N_FURTHER = 3
"""Steps that are taken again from an anchor."""
_FACTOR = 8


def folder_of(run: Run) -> Path:
    """Where the anchors of a run stand: beside its checkpoints, which come and go without them."""
    return run.checkpoints / "anchors"


@dataclass
class Anchors:
    """A listener: saves the state after 1, 8, 64, … steps, and `N_FURTHER` steps later writes a digest of it to the journal.

    Only the newest anchor whose digest is written stays. The steps grow by a factor of eight, so that a training that
    ends early has one all the same, and a long one has saved no more than a handful. Trainings of fewer than four
    steps have none.
    """

    folder: Path
    n_steps: int
    _tidied: bool = field(default=False, init=False)

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Save or record where it is due."""
        if not self._tidied:
            for unfinished in self.folder.glob("*.tmp"):
                shutil.rmtree(unfinished)
            self._tidied = True
        if state.step == 0:
            checkpoints.prune(self.folder, keep=set())
        elif self._is_anchor(state.step):
            # One that stands here already belongs to steps that have since been taken again, perhaps on another machine.
            checkpoints.prune(self.folder, keep={step for step in checkpoints.steps_saved(self.folder) if step < state.step})
            checkpoints.save(state, self.folder)
        elif self._is_anchor(state.step - N_FURTHER):
            journal.add("digest", state.step, since=state.step - N_FURTHER, sha256=digest(state))
            checkpoints.prune(self.folder, keep={state.step - N_FURTHER})

    def _is_anchor(self, step: int) -> bool:
        if step < 1 or step + N_FURTHER > self.n_steps:
            return False
        while step % _FACTOR == 0:
            step //= _FACTOR
        return step == 1


@torch.no_grad()
def digest(state: TrainState) -> str:
    """SHA-256 over the names, shapes and bits of the trained tensors and of the optimizer's, as hex."""
    found = hashlib.sha256()
    tensors = {**trained_parameters(state.network), **optimizer_tensors(state.network, state.optimizers)}
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def newest(entries: Iterable[Entry]) -> Entry | None:
    """The last digest of a journal, whose anchor is the one that was kept; None where none was written."""
    return max((entry for entry in entries if entry["event"] == "digest"), key=lambda entry: int(entry["step"]), default=None)
