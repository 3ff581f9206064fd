"""What a page lists is what there is: tables of the docs against tables of the code."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_args

from luthier.core.options import kind_of
from luthier.data.pipeline import DEFAULT_STEPS
from luthier.data.steps import AnyStep

CLEANING = Path(__file__).resolve().parents[2] / "docs" / "cleaning.md"


def test_the_page_on_cleaning_lists_every_step_its_options_and_whether_it_runs_by_itself() -> None:
    listed = {}
    for line in CLEANING.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].startswith("`"):
            options = set(re.findall(r"`(\w+)`", cells[4]))
            listed |= dict.fromkeys(re.findall(r"`(\w+)`", cells[1]), (cells[3] == "yes", options))
    by_default = {kind_of(type(step)) for step in DEFAULT_STEPS}
    there = {kind_of(step): step for step in get_args(AnyStep)}
    assert set(listed) == set(there)
    assert {name for name, (runs, _) in listed.items() if runs} == by_default
    for name, (_, options) in listed.items():
        fields = {field.name for field in dataclasses.fields(there[name])} - {"kind"}
        assert options == fields or name.startswith("gopher"), f"{name} has {sorted(fields)}"
    gopher = {field.name for name in ("gopher_quality", "gopher_repetition") for field in dataclasses.fields(there[name])} - {"kind"}
    assert listed["gopher_quality"][1] <= gopher
