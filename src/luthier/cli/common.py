"""What commands share: the arguments that several take, and how results are told."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
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


def program() -> str:
    """How to call this program again from here: by its name where the shell would find this very file, else by its path."""
    called, found = Path(sys.argv[0]), shutil.which("luthier")
    if called.name == "luthier" and called.is_file() and not (found and Path(found).samefile(called)):
        return shlex.quote(str(called))
    return "luthier" if found else f"{shlex.quote(sys.executable)} -m luthier"


def in_folder(runs: Path) -> str:
    """What a line to type needs so that it looks in the same folder of runs."""
    return "" if runs == RUNS else f" --runs {shlex.quote(str(runs))}"
