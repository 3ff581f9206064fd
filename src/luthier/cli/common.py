"""What commands share: the arguments that several take, and how results are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file.", show_default=False)]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides an option of the recipe, e.g. `--set train.epochs=1`.", show_default=False),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder of runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout; everything else goes to stderr.")]
RUNS = Path("runs")


def say(text: str) -> None:
    """Tell people, on standard error."""
    typer.echo(text, err=True)


def out(text: str) -> None:
    """Write to standard output."""
    typer.echo(text)


def result(value: Mapping[str, Any], as_json: bool, tell: Callable[[], None]) -> None:
    """A command's result, for a program or for people."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))
    else:
        tell()
