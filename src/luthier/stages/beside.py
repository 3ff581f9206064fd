"""What preparing has to know from outside its run: whose sides it takes over, and what must not come back."""

from __future__ import annotations

from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import file_hash
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run, find_run
from luthier.data.kept.erased import erased_in, list_hash
from luthier.stages.prepare import Beside
from luthier.stages.recipe import Recipe

_WHERE = "recipe.toml [data] split_from"


def beside_of(recipe: Recipe, run: Run, runs: Path) -> Beside:
    """What the recipe and the folder of runs say.

    Raises:
        LuthierError: the run that is named is not there, is this one, or has no rows yet.

    """
    name = recipe.data.split_from
    if name is None:
        return Beside(None, erased_in(runs))
    other = find_run(runs, name)
    if other.folder.resolve() == run.folder.resolve():
        raise LuthierError(_WHERE, f"names this very run, {name}", "name the run to compare with, or remove it")
    if not other.split.is_file() or not other.kept.is_file():
        raise LuthierError(_WHERE, f"names {name}, whose rows are not prepared yet", "run `luthier prepare` on its recipe first")
    return Beside(other.data, erased_in(runs))


def beside_hashes(beside: Beside, runs: Path) -> dict[str, Json]:
    """Both by content, for the stage's fingerprint; nothing where there is neither."""
    found: dict[str, Json] = {}
    if beside.taken is not None:
        found["split_from"] = file_hash(Run(beside.taken.parent).split)
    erased = list_hash(runs)
    return found if erased is None else {**found, "erased": erased}
