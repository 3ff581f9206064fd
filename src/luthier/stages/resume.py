"""Resume: a fresh process goes on from a checkpoint file of a run, for the proof that this is as if it had never stopped.

    python -m luthier.stages.resume RUN STEP FOLDER

goes on from the anchor of `STEP` of the run in `RUN`, by the way that `tune` takes when it goes on, until the digest of
a few steps later is written. Everything is written to `FOLDER`; of the run, files are only read, so that the process
that holds the run's lock can wait for this one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.core import fresh
from luthier.core.files import read_json
from luthier.core.proofs import Found, NotApplicable, Proof
from luthier.core.runs import Run
from luthier.prove import anchors
from luthier.prove.anchors import N_FURTHER, Anchors, newest
from luthier.prove.resuming import resumed_equals_straight, too_dear
from luthier.stages.prepare import load_side
from luthier.stages.recipe import load_recipe
from luthier.stages.tune import assemble, device, held_dtype, start
from luthier.train import checkpoints
from luthier.train.allocator import keep_freed_memory
from luthier.train.journal import Journal, read_entries
from luthier.train.loop import fit
from luthier.train.plan import Plan, differences, read_plan, settle_plan, surroundings_of
from luthier.train.state import TrainState

_POLL_S = 0.2


class Enough(Exception):
    """The steps that were wanted have been taken."""


@dataclass(frozen=True)
class StopAfter:
    """A listener that ends training when `step` steps are taken, the journal written."""

    step: int

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        """Raise `Enough` where it is time."""
        if state.step >= self.step:
            journal.sync()
            raise Enough


def go_on(run: Run, since: int, folder: Path) -> None:
    """Go on from the run's anchor of step `since`, in `folder`, which gets a journal of its own."""
    keep_freed_memory()
    recipe = load_recipe(run.recipe)
    fingerprint = fingerprint_of(run)
    plan, _ = settle_plan(run.plan, fingerprint, _no_plan, device())
    ready = assemble(recipe, load_side(run.folder, "train"), (), held_dtype(recipe.method, plan.precision))
    training = start(recipe, ready, plan, fingerprint)
    copy = Run(folder)
    place = checkpoints.folder_of(copy.checkpoints, since)
    shutil.copytree(checkpoints.folder_of(anchors.folder_of(run), since), place, copy_function=_link)
    options = replace(training.options, save_every_s=float("inf"))
    listeners = (Anchors(anchors.folder_of(copy), training.stream.n_steps), StopAfter(since + N_FURTHER))
    try:
        fit(training.state, ready.objective, training.stream, plan.cuts, options, folder, listeners=listeners)
    except Enough:
        return


def fingerprint_of(run: Run) -> str:
    """The fingerprint of the training that the run's plan belongs to."""
    found = read_json(run.plan)
    assert isinstance(found, Mapping), "a plan is an object"
    return str(found["fingerprint"])


def prove_resuming(run: Run, pause: Callable[[], None], tokens_of_a_process: int) -> Found:
    """Let a fresh process go on from the run's newest anchor, and compare what it did with what the run did.

    Args:
        run: the run, trained to its end.
        pause: called while the process is waited for; raises where somebody has asked to stop.
        tokens_of_a_process: tokens that can be trained within a minute; more are a tenth of the training at most.

    """
    entries = list(read_entries(run.metrics))
    kept = newest(entries)
    n_steps = sum(entry["event"] == "step" for entry in entries)
    if kept is None:
        return NotApplicable(f"training took {n_steps} steps; one to go on from and {N_FURTHER} further ones are needed")
    since = int(kept["since"])
    dear = too_dear(entries, since, tokens_of_a_process)
    if dear is not None:
        return dear
    plan = read_plan(run.plan, fingerprint_of(run))
    assert plan is not None, "the plan is the one whose fingerprint was read"
    folder = run.folder / "resumed.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        problem = _fresh_process(run, since, folder, pause)
        if problem:
            return Proof(False, f"a fresh process could not go on from the checkpoint file of step {since}: {problem}")
        elsewhere = differences(plan.surroundings, surroundings_of(device()))
        return resumed_equals_straight(entries, list(read_entries(Run(folder).metrics)), since, elsewhere)
    finally:
        shutil.rmtree(folder)


def _fresh_process(run: Run, since: int, folder: Path, pause: Callable[[], None]) -> str:
    """Run this module as a program; gives the last line of its complaint, '' where it had none."""
    command = fresh.command("luthier.stages.resume", str(run.folder.resolve()), str(since), str(folder.resolve()))
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=fresh.environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)  # noqa: S603 - ours
        try:
            while process.poll() is None:
                pause()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
            pause()
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    return "" if process.returncode == 0 else f"it ended with {process.returncode}: {lines[-1] if lines else 'it said nothing'}"


def _link(source: str, target: str) -> str:
    """The same file under another name where the file system allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _no_plan() -> Plan:
    raise AssertionError("a run that is trained has its plan")


def main(arguments: Sequence[str]) -> None:
    """The program: RUN STEP FOLDER."""
    run, step, folder = arguments
    go_on(Run(Path(run)), int(step), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
