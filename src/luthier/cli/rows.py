"""The commands about the rows themselves: how many are enough, what changed, and taking somebody's out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from luthier.cli.common import RUNS, AsJson, Overrides, RecipePath, Runs, out, result, say


def curve(recipe: RecipePath, set_: Overrides = None, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """How much is enough? Train on ever more of the rows, five sizes by three seeds, and say what more would bring.

    Example: `luthier curve tickets.toml`
    """
    from luthier.stages.curve import run_curve
    from luthier.stages.recipe import load_recipe
    from luthier.stages.run import opened

    with opened(load_recipe(recipe, set_ or []), runs, say) as job:
        found, page = run_curve(job)
    result({**found.as_dict(), "page": str(page)}, as_json, lambda: out("\n".join([*found.words(), f"Page: {page}"])))


def erase(
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="The column that says whose a row is.", show_default=False)],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="Whose rows; - reads it from standard input, which no shell keeps.", show_default=False)
    ],
    sources: Annotated[bool, typer.Option("--sources", help="Take the rows out of the recipes' source files too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this, only say what would be done.")] = False,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Erase somebody's rows from every run, and name the models that learnt from them.

    Example: `luthier erase customer_id c-1042 --yes`
    """
    from luthier.stages.erase import erase as erase_rows

    whose = sys.stdin.readline().rstrip("\n") if value == "-" else value
    found = erase_rows(column, whose, runs, sure=yes, sources=sources, say=say)
    result(found.as_dict(), as_json, lambda: out(found.as_text()))
