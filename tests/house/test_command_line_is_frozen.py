"""The command line is a promise: a change to it is made here too, deliberately."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import typer

from luthier.cli.commands import app

RUNS = ("--runs", "DIR", "runs")
JSON = ("--json", "", False)
SET = ("--set", "KEY=VALUE", None)
RECIPE = ("RECIPE", "required")

# Command → its arguments (name, whether it must be given), then its options (names, what they take, default).
FROZEN: dict[str, list[tuple[object, ...]]] = {
    "demo": [RUNS, JSON],
    "new": [("NAME", "required"), ("--data", "FILE", "required"), JSON],
    "check": [RECIPE, SET, ("--page", "FILE", None), RUNS, JSON],
    "run": [RECIPE, SET, RUNS, JSON],
    "prepare": [RECIPE, SET, RUNS, JSON],
    "tune": [RECIPE, SET, RUNS, JSON],
    "evaluate": [RECIPE, SET, RUNS, JSON],
    "show": [("RECIPE|RUN", "required"), ("--rows", "N", 3), ("--against", "RUN", None), RUNS, JSON],
    "curve": [RECIPE, SET, RUNS, JSON],
    "erase": [("COLUMN", "required"), ("VALUE", "required"), ("--sources", "", False), ("--yes", "", False), RUNS, JSON],
    "rows": [("RUN", "required"), ("-o --out", "OUT", "required"), ("--side", "SIDE", None), ("--layout", "LAYOUT", None), RUNS, JSON],
    "compare": [("RUN RUN…", "required"), ("--page", "FILE", None), RUNS, JSON],
    "report": [("RUN", "required"), RUNS, JSON],
    "predict": [
        ("RUN", "required"), ("FILE", "required"), ("-o --out", "OUT", "required"), ("--abstain-below", "P", 0.0), RUNS, JSON,
    ],
    "chat": [("RUN", "required"), ("--temperature", "T", None), ("--seed", "N", None), RUNS],
    "serve": [
        ("RUN…", "optional"), ("--base", "MODEL", None), ("--host", "H", "127.0.0.1"), ("--port", "P", 8000), ("--keys", "FILE", None),
        ("--without-report", "", False), ("--log-tokens", "FILE", None), ("--set", "LIMIT=N", None), RUNS,
    ],
    "bench": [
        ("MODEL", "required"), ("ROWS", "required"), ("--steps", "N", 16), ("--warmup", "N", 3), ("--batch", "N", 16),
        ("--lr", "RATE", 2e-4), ("--full", "", False), ("--seed", "N", 0), JSON,
    ],
    "key": [("FILE", "required"), JSON],
    "unmask": [("RUN", "required"), ("FILE", "required"), ("-o --out", "OUT", "required"), ("--secrets", "DIR", None), RUNS, JSON],
}  # fmt: skip
HEAVY = ("torch", "transformers", "sklearn", "matplotlib", "polars", "scipy", "trafilatura", "peft")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def described(parameter: Any) -> tuple[object, ...]:
    """A parameter as `FROZEN` has it."""
    if parameter.param_type_name == "argument":
        return parameter.metavar, "required" if parameter.required else "optional"
    takes = "" if parameter.is_flag else parameter.metavar
    default = "required" if parameter.required else parameter.default
    return " ".join(parameter.opts), takes, default if isinstance(default, int | float | None) else str(default)


def test_the_commands_are_the_frozen_ones_in_their_order() -> None:
    assert list(COMMANDS) == list(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_a_command_takes_what_it_took(name: str) -> None:
    assert [described(one) for one in COMMANDS[name].params] == FROZEN[name]


@pytest.mark.parametrize("name", FROZEN)
def test_a_command_says_what_it_does_and_gives_an_example_of_itself(name: str) -> None:
    first, _, rest = (COMMANDS[name].help or "").partition("\n")
    assert first.endswith(".")
    assert f"Example: `luthier {name}" in rest
    assert all(one.help for one in COMMANDS[name].params), "every argument and option says what it is"


ALL_HELPS = """
import contextlib, io, json, sys
from luthier.cli.main import run
said = {}
for name in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*name.split(), "--help"])
    said[name] = [code, out.getvalue()]
print(json.dumps({"said": said, "modules": sorted(sys.modules)}))
"""


def test_every_help_shows_the_example_and_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", ALL_HELPS, json.dumps(["", *FROZEN])], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert {name: code for name, (code, _) in found["said"].items() if code} == {}
    for name in FROZEN:
        assert f"luthier {name}" in found["said"][name][1].partition("Example:")[2], name
        assert name in found["said"][""][1]
    assert [name for name in HEAVY if name in found["modules"]] == []
