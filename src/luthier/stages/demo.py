"""Demo: the whole loop on rows written for this project, with the embedded model, offline."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path

from luthier.core.files import write_text
from luthier.core.jsonvalue import Json
from luthier.demo.dirt import dirty_rows, write_csv
from luthier.stages.recipe import load_recipe
from luthier.stages.run import Say, opened, run_all

NAME, FOLDER, ROWS, RECIPE = "demo", "demo-input", "help-desk.csv", "demo.toml"


def run_demo(runs: Path, say: Say) -> dict[str, Json]:
    """Write the workshop's help-desk export and its recipe beside the runs, and do everything; gives the report."""
    folder = runs / FOLDER
    write_csv(dirty_rows().rows, folder / ROWS)
    written = resources.files("luthier.demo").joinpath("recipe.toml").read_text(encoding="utf-8")
    write_text(folder / RECIPE, written)
    say(f"The rows are {folder / ROWS}, the recipe is {folder / RECIPE}: open them, this is all there is to it.")
    with opened(load_recipe(folder / RECIPE), runs, say) as job:
        return run_all(job)


def next_lines(runs: Path, program: str, where: str) -> tuple[str, ...]:
    """What to type after it: open the page, talk to what was tuned, and do the same with rows of one's own.

    Each works as it stands; the last one on the demo's own rows, until somebody puts another file in their place.

    Args:
        runs: the folder of runs that the demo was made in.
        program: how the command is called here, such as `luthier`.
        where: what has to be added for the command to look in that folder, '' where it does by itself.

    """
    rows = shlex.quote(str(runs / FOLDER / ROWS))
    return (f"{program} report {NAME}{where}", f"{program} chat {NAME}{where}", f"{program} new my-task --data {rows}")
