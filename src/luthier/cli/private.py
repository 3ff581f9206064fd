"""The command that turns placeholders back into what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli.common import RUNS, AsJson, RunName, Runs, result, say


def unmask(
    name: RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file with placeholders: JSON(L), CSV, TSV or text.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Where it goes with what they stand for.", show_default=False)],
    secrets: Annotated[
        Path | None,
        typer.Option("--secrets", metavar="DIR", help="The folder of keys; LUTHIER_SECRETS by default.", show_default=False),
    ] = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Turn placeholders of a run's replaced personal data back, with the key that made them.

    Example: `luthier unmask tickets answers.jsonl -o readable.jsonl`
    """
    from luthier.stages.unmask import unmask as turn_back

    found = turn_back(name, file, out, secrets, runs)
    others = f"; {found['unknown']:,} are not this run's and stay" if found["unknown"] else ""
    result(found, as_json, lambda: say(f"{found['turned_back']:,} placeholders turned back in {out}, which only you can read{others}"))
