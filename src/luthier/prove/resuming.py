"""Proof that a training that goes on in a fresh process from a checkpoint file is the training that was never stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.core.proofs import Found, NotApplicable, Proof
from luthier.prove.anchors import N_FURTHER
from luthier.train.journal import Entry, without_times


def too_dear(entries: Sequence[Entry], since: int, tokens_of_a_process: int) -> NotApplicable | None:
    """Why the steps after `since` are not taken again: they are over a tenth of the training, and over a minute's work.

    Args:
        entries: the run's journal.
        since: the step of the checkpoint.
        tokens_of_a_process: tokens that can be trained within a minute.

    """
    steps = [(int(entry["step"]), int(entry["n_tokens"])) for entry in entries if entry["event"] == "step"]
    n_all = sum(n_tokens for _, n_tokens in steps)
    n_again = sum(n_tokens for step, n_tokens in steps if since < step <= since + N_FURTHER)
    if n_again <= max(tokens_of_a_process, n_all // 10):
        return None
    again = f"{N_FURTHER} of them again ({n_again:,} tokens)"
    return NotApplicable(f"training took {len(steps)} steps: {again} would be over a tenth of it and over a minute's work")


def resumed_equals_straight(straight: Sequence[Entry], resumed: Sequence[Entry], since: int, elsewhere: Sequence[str]) -> Found:
    """Compare two journals over the steps after `since`: the losses, the gradients' norms, the rates, and the states' digest.

    Args:
        straight: the run's journal.
        resumed: the journal of the process that went on from the checkpoint file.
        since: the step of the checkpoint.
        elsewhere: in which ways this machine is not the one that the run began on; then bits may differ.

    """
    wanted, found = (_steps(entries, since) for entries in (straight, resumed))
    from_the_file = all(entry["step"] > since for entry in resumed)
    same_steps = from_the_file and wanted["step"] == found["step"] and len(wanted["step"]) == N_FURTHER
    same_state = wanted["digest"] == found["digest"] and len(wanted["digest"]) == 1
    losses = [entry["loss_nats"] for entry in wanted["step"]]
    said = f"a fresh process went on from the checkpoint file of step {since} for {len(found['step'])} steps"
    if same_steps and same_state:
        shown = ", ".join(f"{loss:.4f}" for loss in losses)
        return Proof(True, f"{said}: losses ({shown} nats), gradient norms and the SHA-256 of parameters and moments, bit for bit")
    if not from_the_file:
        return Proof(False, f"a fresh process did not take up the checkpoint file of step {since} and began at the beginning")
    if elsewhere:
        return NotApplicable(f"bits are only equal on the machine that the run began on: {'; '.join(elsewhere)}")
    other = [entry["loss_nats"] for entry in found["step"]]
    gap = max((abs(one - two) for one, two in zip(losses, other, strict=False)), default=None)
    losses_said = "the steps differ" if gap is None else f"losses differ by up to {gap:.1e} nats"
    state_said = "the state is the same" if same_state else "parameters or moments have another SHA-256"
    return Proof(False, f"{said}: {losses_said}, {state_said}; every bit has to be the same")


def _steps(entries: Sequence[Entry], since: int) -> dict[str, list[dict[str, Any]]]:
    """The entries of the steps after `since`, by event and without times."""
    near = [without_times(entry) for entry in entries if since < entry["step"] <= since + N_FURTHER]
    return {event: [entry for entry in near if entry["event"] == event] for event in ("step", "digest")}
