"""The files and models that the steps of `[prepare]` name: where they are, and what stands in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeVar

from luthier.core.errors import Complaints, LuthierError
from luthier.core.files import expanded, file_hash
from luthier.core.jsonvalue import Json
from luthier.data.decisions import NamesFiles
from luthier.data.pipeline import Prepare
from luthier.data.source.survey import survey
from luthier.models.load import base_hash

T = TypeVar("T")


def rooted_steps(prepare: Prepare, folder: Path) -> Prepare:
    """The section with relative paths taken from the folder of the recipe."""
    return dataclasses.replace(
        prepare,
        steps=tuple(_rooted(step, folder) for step in prepare.steps),
        augment=tuple(_rooted(step, folder) for step in prepare.augment),
    )


def shipped_steps(prepare: Prepare) -> Prepare:
    """The section as it goes with a model: files by their names and hashes, not by where this machine has them."""
    return dataclasses.replace(prepare, steps=tuple(one.shipped() if isinstance(one, NamesFiles) else one for one in prepare.steps))


def models_of(prepare: Prepare) -> tuple[str, ...]:
    """The models that the section names, each once, in order."""
    named = [getattr(one, "model", None) for one in (*prepare.steps, *prepare.augment)]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def step_hashes(prepare: Prepare) -> dict[str, Json]:
    """SHA-256 of each file that a step reads, and of each model's files; of a hub id, of its name.

    Raises:
        LuthierError: files or models that are not there; all of them at once.

    """
    found: dict[str, Json] = {}
    complaints = Complaints()
    for step in prepare.steps:
        for name in step.files() if isinstance(step, NamesFiles) else ():
            try:
                path = Path(name)
                paths = [path] if path.is_file() else [one for found in survey(name, "auto", None) for one in found.paths]
                found |= {str(one): file_hash(one) for one in paths}
            except LuthierError as error:
                complaints.extend(error)
    for name in models_of(prepare):
        try:
            found[f"model {name}"] = base_hash(name)
        except LuthierError as error:
            complaints.add(f"[prepare] model = {name!r}", error.problem, error.fix)
    complaints.raise_if_any()
    return found


def _rooted(step: T, folder: Path) -> T:
    if isinstance(step, NamesFiles):
        return step.rooted(folder)
    model = getattr(step, "model", None)
    if not isinstance(model, str):
        return step
    return dataclasses.replace(step, model=_rooted_model(model, folder))  # type: ignore[type-var]


def _rooted_model(name: str, folder: Path) -> str:
    if name.startswith("~"):
        return str(expanded(name))
    return str((folder / name).resolve()) if name.startswith(".") or (folder / name / "config.json").is_file() else name
