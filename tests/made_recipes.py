"""A small recipe of every kind of section that there is, for the tests of reading and writing recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import pytest
from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.loading import loads, option, required


@dataclass(frozen=True)
class Full:
    """All weights."""

    kind: Literal["full"] = "full"


@dataclass(frozen=True)
class LoRA:
    """Low-rank."""

    kind: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] = option(16, about="width of the update", why="enough for most tasks")
    alpha: float = option(32.0, about="scale")
    targets: tuple[str, ...] | Literal["all"] = option("all", about="layers")


AnyMethod: TypeAlias = Full | LoRA


@dataclass(frozen=True)
class Lengths:
    """Drops by length."""

    kind: Literal["length"] = "length"
    most: int = 100


@dataclass(frozen=True)
class Near:
    """Drops near-duplicates."""

    kind: Literal["near"] = "near"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8


AnyStep: TypeAlias = Lengths | Near


@dataclass(frozen=True)
class Prepare:
    """Cleaning."""

    steps: tuple[AnyStep, ...] = option((Lengths(most=5), Near()), about="what is done, in order")


@dataclass(frozen=True)
class Data:
    """Rows."""

    source: str = required(about="a file or folder")
    fields: Mapping[str, str] = option({}, about="which column is which")
    split: Mapping[str, float] = option({"train": 0.9, "test": 0.1}, about="shares")
    folder: Path | None = option(None, about="where to put it")


@dataclass(frozen=True)
class Train:
    """Steps."""

    epochs: Annotated[int, Field(ge=1)] = option(3, about="passes", why="validation stops it earlier")
    lr: float = option(1e-4, about="peak learning rate")
    schedule: Literal["cosine", "linear", "constant"] = option("cosine", about="shape")
    resume: bool = option(False, about="go on")
    patience: int | None = option(None, about="early stopping")

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        if self.schedule == "constant" and "patience" in given:
            yield "patience", "does nothing with a constant schedule", "remove it"


@dataclass(frozen=True)
class Recipe:
    """All; the learning rate is pretended to do nothing in full tuning."""

    name: str = required(about="the run's name")
    data: Data = required(about="rows")
    method: AnyMethod = option(LoRA(), about="how the model may change", why="it is cheap")
    train: Train = option(Train(), about="training")
    prepare: Prepare = option(Prepare(), about="cleaning")
    second: Train | None = option(None, about="a second stage")

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        if isinstance(self.method, Full) and "train.lr" in given:
            yield "train.lr", "does nothing in full tuning", "remove it"


MINIMAL = 'name = "x"\n[data]\nsource = "rows.csv"\n'


def complaints(text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    """What is said of a recipe that is refused."""
    with pytest.raises(LuthierError) as caught:
        loads(Recipe, text, overrides=overrides)
    return [str(one) for one in caught.value.errors]
