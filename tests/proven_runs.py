"""Whole tiny runs for tests of their proofs: prepared and tuned once for each task and method."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.e2e.conftest import write_recipe
from tests.made_models import made_words, make_model, write_rows

from luthier.core.runs import Run
from luthier.stages.prove import prove
from luthier.stages.recipe import Recipe, load_recipe
from luthier.stages.run import opened, run_tune

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}}


@dataclass(frozen=True)
class Made:
    """A run that is prepared and tuned."""

    recipe: Recipe
    run: Run
    tuned: Mapping[str, Any]

    def proofs(self) -> dict[str, Any]:
        """Every proof, made now."""
        return prove(self.recipe, self.run, self.tuned, lambda: None)

    def copied(self, place: Path) -> Made:
        """The same run in another folder, where its files may be spoilt."""
        shutil.copytree(self.run.folder, place / self.run.name)
        return replace(self, run=Run(place / self.run.name))


def tuned(folder: Path, model: Path, task: str, **options: object) -> Made:
    """Write rows and a recipe, prepare and tune. Three steps, unless `options` say otherwise: then nothing can be resumed."""
    folder.mkdir(exist_ok=True)
    made = write_recipe(folder, model, task, 60, **{"train__learning_rate": 0.02, **options})
    if task == "chat":
        draw = random.Random(3)
        write_rows(folder / "chats.jsonl", [tool_chat(draw, i) for i in range(60)])
    recipe = load_recipe(made)
    with opened(recipe, folder / "runs", lambda text: None) as job:
        found = run_tune(job)
    return Made(recipe, Run(folder / "runs" / recipe.name), found)


def tool_chat(draw: random.Random, i: int) -> dict[str, object]:
    """A conversation of two questions; every other one looks something up, and some say what they thought or leave a turn untrained."""
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"x": made_words(draw, 1)})}}
    looked_up = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": made_words(draw, 2)},
    ]  # fmt: skip
    first = {"role": "assistant", "content": made_words(draw, 2), "weight": 0 if i % 5 == 0 else 1}
    last = {"role": "assistant", "content": made_words(draw, 2), **({"reasoning_content": made_words(draw, 2)} if i % 3 == 0 else {})}
    turns = [{"role": "user", "content": made_words(draw, 3)}, *(looked_up if i % 2 else []), first]
    return {"messages": [*turns, {"role": "user", "content": made_words(draw, 3)}, last], **({"tools": [TOOL]} if i % 2 else {})}


class Runs:
    """Runs by name, each made when it is first asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.models = {"chatml": make_model(home / "plain"), "thinking": make_model(home / "thinking", "thinking", 512)}
        self._made: dict[str, Made] = {}

    def get(self, task: str, method: str, **options: object) -> Made:
        """The run of a task by a method."""
        name = json.dumps([task, method, options])
        if name not in self._made:
            model = self.models["thinking" if task == "chat" else "chatml"]
            self._made[name] = tuned(self.home / f"run {len(self._made)}", model, task, method__kind=method, **options)
        return self._made[name]


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change a file's text; a change that changes nothing is a mistake of the test."""
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def edit_rows(run: Run, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the kept rows of a run."""
    with gzip.open(run.kept, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    change(rows)
    with gzip.open(run.kept, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
