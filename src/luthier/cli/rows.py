"""The commands about the rows themselves: how many are enough, what changed, taking somebody's out, and all of them for other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from luthier.cli.common import RUNS, AsJson, Overrides, RecipePath, RunName, Runs, out, result, say


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


def rows(
    name: RunName,
    to: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="OUT", help="A .jsonl, .json, .csv, .tsv, .parquet, .conll or .txt file.", show_default=False),
    ],
    side: Annotated[
        str | None, typer.Option("--side", metavar="SIDE", help="train, validation or test; all by default.", show_default=False)
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", metavar="LAYOUT", help="Such as `openai-chat` or `alpaca`; the source's by default.", show_default=False),
    ] = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Write the kept rows of a run to a file for other tools; rows that cleaning left alone come out as they went in.

    Example: `luthier rows tickets -o clean.jsonl --side train`
    """
    from luthier.stages.rows_out import write_rows

    found = write_rows(name, to, side, layout, runs)
    result(found.as_dict(), as_json, lambda: say(f"{found.n_rows:,} rows written to {to} ({found.layout})"))
