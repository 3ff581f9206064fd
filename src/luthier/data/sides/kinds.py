"""The ways to part rows that a recipe may choose from: the table `AnySplit` of `[data.split]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, TypeGuard, get_args

from pydantic import Field

from luthier.core.options import option, required

Side: TypeAlias = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = get_args(Side)
Threshold: TypeAlias = Annotated[float, Field(ge=0.5, le=1)]
_ALIKE = "Jaccard similarity of character 5-grams from which rows share a side"
_WHY_ALIKE = "one word in ten or twenty differs"

NAMES_OF_SIDES: Mapping[str, Side] = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation", "development": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What columns of published data sets call the sides, in whichever case."""


@dataclass(frozen=True)
class Shares:
    """The shares of the three sides, and how alike two rows may be before they must share a side."""

    train: Annotated[float, Field(gt=0, le=1)] = option(0.8, about="share of the rows to tune on", why="most rows are for learning")
    validation: Annotated[float, Field(ge=0, lt=1)] = option(0.1, about="share of the rows to choose by", why="enough to stop early by")
    test: Annotated[float, Field(ge=0, lt=1)] = option(0.1, about="share of the rows to judge by, never tuned on", why="enough to judge by")
    near_duplicate_threshold: Threshold = option(0.8, about=_ALIKE, why=_WHY_ALIKE)

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Shares that are not shares of one whole."""
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            path = next((name for name in SIDES if name in given), "train")
            yield path, f"makes the shares of train, validation and test add up to {total:g}", "make them add up to 1"

    def share(self, side: Side) -> float:
        """The share of one side."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[side]

    def wants(self, side: Side) -> bool:
        """Whether any row is to stand on a side."""
        return self.share(side) > 0


@dataclass(frozen=True)
class Split(Shares):
    """Drawn so that each label has its share on each side."""

    kind: Literal["stratified"] = "stratified"


@dataclass(frozen=True)
class RandomSplit(Shares):
    """Drawn whatever the labels are; training has a row of each all the same."""

    kind: Literal["random"] = "random"


@dataclass(frozen=True, kw_only=True)
class TimeSplit(Shares):
    """By a column of moments: the newest rows are the test, those before them the validation rows; equal moments stay together."""

    kind: Literal["time"] = "time"
    column: str = required(about="the column of moments: numbers, ISO 8601, or dates as e-mails write them")
    format: str | None = option(
        None, about='how other moments are written, as in Python\'s strptime: "%d/%m/%Y"', why="ISO 8601 and numbers need none"
    )


@dataclass(frozen=True, kw_only=True)
class ByColumn:
    """As a column says: `train`, `dev`, `test` and their like, or what `sides` names."""

    kind: Literal["column"] = "column"
    column: str = required(about="the column that says a row's side")
    sides: Mapping[str, Side] = option(
        {}, about="value in the column → train, validation or test, beside the usual names", why="train, dev, val, test … need no telling"
    )
    near_duplicate_threshold: Threshold = option(0.8, about=_ALIKE, why=_WHY_ALIKE)

    def wants(self, side: Side) -> bool:
        """Whether any row is to stand on a side: which do is the column's to say."""
        return side in SIDES


@dataclass(frozen=True)
class Folds:
    """One of k folds is the test: over the runs with fold = 1, 2, … k each row is tested once.

    Rows that training needs, being the only ones of their label, are tested in none.
    """

    folds: Annotated[int, Field(ge=2, le=1000)] = option(5, about="how many folds there are", why="a fifth to judge by each time")
    fold: Annotated[int, Field(ge=1)] = option(1, about="which one is the test, counted from 1", why="each of them is a run of its own")
    validation: Annotated[float, Field(ge=0, lt=1)] = option(
        0.1, about="share of all rows to choose by, taken from the other folds", why="enough to stop early by"
    )
    near_duplicate_threshold: Threshold = option(0.8, about=_ALIKE, why=_WHY_ALIKE)
    kind: Literal["folds"] = "folds"

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """A fold that there is not, and validation rows that leave none to train on."""
        if self.fold > self.folds:
            yield "fold", f"is {self.fold} of {self.folds}", f"give one from 1 to {self.folds}"
        if self.train <= 0:
            yield "validation", f"and the test fold of 1/{self.folds} leave no row to train on", "lower it"

    @property
    def test(self) -> float:
        """The share of the test fold."""
        return 1 / self.folds

    @property
    def train(self) -> float:
        """What is left to tune on."""
        return 1 - self.test - self.validation

    def share(self, side: Side) -> float:
        """The share of one side."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[side]

    def wants(self, side: Side) -> bool:
        """Whether any row is to stand on a side."""
        return self.share(side) > 0


AnySplit: TypeAlias = Split | RandomSplit | TimeSplit | ByColumn | Folds


def shares_out(split: AnySplit) -> TypeGuard[Split | RandomSplit | TimeSplit | Folds]:
    """Whether rows are shared out by shares, rather than by what a column says."""
    return not isinstance(split, ByColumn)


def column_side(split: ByColumn, value: object) -> Side | None:
    """The side that a value of the column names; None where it names none."""
    text = "" if value is None else str(value).strip()
    return split.sides.get(text) or NAMES_OF_SIDES.get(text.casefold())


def promise(split: AnySplit) -> dict[str, object]:
    """What a split keeps to whatever rows come: under another promise, recorded sides are of no use.

    Shares, seed and threshold are none: they only say how often and by which draw.
    """
    said: dict[str, object] = {"kind": split.kind}
    if isinstance(split, TimeSplit | ByColumn):
        said["column"] = split.column
    if isinstance(split, Folds):
        said |= {"folds": split.folds, "fold": split.fold}
    return {"kind": "shares"} if isinstance(split, Split | RandomSplit) else said
