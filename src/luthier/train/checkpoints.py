"""Training states on the disk: safetensors and JSON in a folder that is either whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json
from luthier.core.jsonvalue import Json
from luthier.train.optim import load_optimizer_tensors, optimizer_tensors, trained_parameters
from luthier.train.state import TrainState

_TENSORS, _OPTIMIZER, _STATE = "tensors.safetensors", "optimizer.safetensors", "state.json"
_UNFINISHED = ".tmp"


def folder_of(checkpoints: Path, step: int) -> Path:
    """The folder of the state after `step` steps."""
    return checkpoints / f"step-{step:06d}"


def steps_saved(checkpoints: Path) -> list[int]:
    """The steps whose states are there, in order."""
    found = checkpoints.glob("step-*") if checkpoints.is_dir() else ()
    return sorted(int(folder.name.removeprefix("step-")) for folder in found if folder.name.removeprefix("step-").isdigit())


def save(state: TrainState, checkpoints: Path) -> Path:
    """Save the trained tensors, the optimizer's and the clock; a state that is there already is left as it is.

    Everything is written to `<folder>.tmp`, synced and renamed: a kill leaves the whole folder or none.
    """
    folder = folder_of(checkpoints, state.step)
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        _write(trained_parameters(state.network), unfinished / _TENSORS)
        _write(optimizer_tensors(state.network, state.optimizers), unfinished / _OPTIMIZER)
        clock: dict[str, Json] = {"format": 1, "step": state.step, "units": state.units, "fingerprint": state.fingerprint}
        write_json(unfinished / _STATE, clock)
        _sync(unfinished)
        unfinished.rename(folder)
        _sync(checkpoints)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise LuthierError(str(folder), f"it could not be written: {error}", "free space, then give the same command again") from error
    return folder


def restore(state: TrainState, checkpoints: Path) -> int | None:
    """Bring the state to the newest checkpoint of its fingerprint; gives its step, or None where there is none.

    Whatever was left unfinished is removed, and so are checkpoints of another fingerprint: they belong to a training
    that has since been given other rows or another recipe.
    """
    for leftover in checkpoints.glob("*" + _UNFINISHED) if checkpoints.is_dir() else ():
        shutil.rmtree(leftover)
    for step in reversed(steps_saved(checkpoints)):
        folder = folder_of(checkpoints, step)
        clock = _clock(folder)
        if clock["fingerprint"] != state.fingerprint:
            _remove(folder)
            continue
        load_tensors(state, folder)
        load_optimizer_tensors(state.network, state.optimizers, _read(folder / _OPTIMIZER))
        state.step, state.units = int(clock["step"]), int(clock["units"])
        return state.step
    return None


@torch.no_grad()
def load_tensors(state: TrainState, folder: Path) -> None:
    """Read the trained tensors of a checkpoint into the network; clock and optimizer stay as they are."""
    found = _read(folder / _TENSORS)
    parameters = trained_parameters(state.network)
    assert found.keys() == parameters.keys(), f"{folder} has the fingerprint of this training and other tensors"
    for name, parameter in parameters.items():
        parameter.copy_(found[name])


def prune(checkpoints: Path, keep: set[int]) -> None:
    """Remove the states of all steps but those in `keep`."""
    for step in steps_saved(checkpoints):
        if step not in keep:
            _remove(folder_of(checkpoints, step))


def _remove(folder: Path) -> None:
    # Renamed first, so that a kill in between leaves no half folder under the name of a whole one.
    gone = folder.with_name(folder.name + _UNFINISHED)
    folder.rename(gone)
    shutil.rmtree(gone)


def _clock(folder: Path) -> Mapping[str, Any]:
    clock = read_json(folder / _STATE)
    assert isinstance(clock, Mapping), "save writes an object"
    return clock


def _write(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    _sync(path)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise LuthierError(str(path), f"it cannot be read: {error}", f"remove {path.parent} to go on from an earlier state") from error
    return tensors


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
