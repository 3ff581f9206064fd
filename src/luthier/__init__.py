"""Luthier: tune a language model to your work, prove that it got better, serve it, and keep it in tune."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["__version__", "run"]
__version__ = "0.1.0"


def run(recipe: str | Path, *, overrides: Sequence[str] = (), runs_folder: str | Path = "runs") -> dict[str, Any]:
    """Do the whole loop, as `luthier run` does, and give the report.

    Args:
        recipe: path of a recipe.
        overrides: `section.option=value` each, as `--set` takes them.
        runs_folder: the folder of runs.

    Raises:
        luthier.core.errors.LuthierError: everything that is wrong with the recipe or the data.

    """
    from luthier.stages.run import run as run_recipe  # imported here, so that `import luthier` stays quick

    return run_recipe(recipe, overrides=overrides, runs_folder=runs_folder)
