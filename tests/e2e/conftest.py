"""What the end-to-end tests share: a tiny model, and a recipe for each task."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.made_models import Calls, made_words, make_model, messages_of, recipe, write_rows

Recipes = Callable[..., Path]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that trains in milliseconds."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command is given in."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


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
