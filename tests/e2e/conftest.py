"""What the end-to-end tests share: a tiny model, and a recipe for each task."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.made_models import Calls, Said, luthier, made_words, make_model, messages_of, recipe, write_rows
from tests.warm import warm_command

from luthier.core import fresh

Recipes = Callable[..., Path]


@dataclass(frozen=True)
class Given:
    """A folder in which a command was given with the recipe of `classify`: test by test it is put back as it was then, which costs less."""

    folder: Path
    model: Path
    _said: dict[str, Said] = field(default_factory=dict)

    @property
    def recipe(self) -> Path:
        """The recipe that the command was given with."""
        return self.folder / "classify.toml"

    def after(self, command: str) -> Said:
        """Make the folder what it is after that command, and nothing but it; gives what the command said."""
        kept = self.folder.with_name(command)
        shutil.rmtree(self.folder, ignore_errors=True)
        if command in self._said:
            shutil.copytree(kept, self.folder, symlinks=True)
            return self._said[command]
        self.folder.mkdir()
        write_recipe(self.folder, self.model, "classify", 60)
        with contextlib.chdir(self.folder):
            self._said[command] = luthier(command, self.recipe, "--json")
        shutil.copytree(self.folder, kept, symlinks=True)
        return self._said[command]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that trains in milliseconds."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def _begun_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fresh process of a proof begins at once; `tests/contract/test_proofs.py` starts it as the package does."""
    monkeypatch.setattr(fresh, "command", warm_command)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command is given in."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Given:
    """A folder that comes back to what a command left."""
    return Given(tmp_path_factory.mktemp("given") / "workplace", model)


@dataclass(frozen=True)
class Ran:
    """A run that was made: its recipe, and what the command said."""

    recipe: Path
    said: Said


@pytest.fixture
def ran(given: Given, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """`luthier run RECIPE --json` was given in the present folder, which holds nothing else."""
    said = given.after("run")
    assert said.code in (0, 3), said.err
    monkeypatch.chdir(given.folder)
    return Ran(given.recipe, said)


@pytest.fixture(scope="session")
def recipes(model: Path) -> Recipes:
    """Writes a task's rows and recipe into a folder; further options override the recipe's."""
    return lambda folder, task="classify", n=60, **options: write_recipe(folder, model, task, n, **options)


@pytest.fixture(scope="session")
def calls() -> Iterator[Calls]:
    """Calls in processes of their own."""
    made = Calls()
    yield made
    made.close()


def write_recipe(folder: Path, model: Path, task: str, n: int, **options: object) -> Path:
    """The rows of a task, as somebody might have them, and a recipe for them."""
    draw = random.Random(1)
    source: Path
    if task == "classify":
        source = write_rows(folder / "rows.csv", messages_of(n))
    elif task == "answer":
        source = write_rows(folder / "rows.jsonl", [{"prompt": made_words(draw, 4), "completion": made_words(draw, 2)} for _ in range(n)])
    elif task == "chat":
        source = write_rows(folder / "chats.jsonl", [_chat(draw, i) for i in range(n)])
    else:
        source = folder / "book.txt"
        options = {"data__format": "text", **options}
        source.write_text("\n".join(made_words(draw, 20) for _ in range(n)) + "\n", encoding="utf-8")
    said: dict[str, object] = {
        "name": task, "goal__task": task, "data__source": source.name,
        "data__split": {"train": 0.6, "validation": 0.2, "test": 0.2}, "model__base": model, "method__kind": "lora",
        "train__epochs": 1, "train__batch_rows": 16,
    }  # fmt: skip
    return recipe(folder / f"{task}.toml", **{**said, **options})


def _chat(draw: random.Random, i: int) -> dict[str, object]:
    """An OpenAI conversation of two turns; every other one leaves its first reply untrained."""
    turns = [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": made_words(draw, 3)},
        {"role": "assistant", "content": made_words(draw, 2), "weight": i % 2}, {"role": "user", "content": made_words(draw, 3)},
        {"role": "assistant", "content": made_words(draw, 2)},
    ]  # fmt: skip
    return {"messages": turns}
