"""The recipe: one frozen dataclass that says what a run is for, from what, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from luthier.core.errors import LuthierError
from luthier.core.files import expanded
from luthier.core.loading import Default, defaults, load, option, read_given, required
from luthier.core.runs import is_run
from luthier.data.decisions import SetStep
from luthier.data.pipeline import Prepare
from luthier.data.source.reading import Data
from luthier.evaluate.metrics import TUNED, Task
from luthier.evaluate.verdict import Goal
from luthier.methods import AnyMethod, LoRA
from luthier.models.heads import Pooling
from luthier.objectives.class_weights import Weighting
from luthier.stages.step_files import rooted_steps
from luthier.train.options import Train


@dataclass(frozen=True)
class Model:
    """The recipe's [model] section: what is tuned."""

    base: str = option("sprout", about="a folder, a hub id, or the embedded sprout", why="it is there, small, and needs no network")
    weights: Literal["load", "random"] = option(
        "load", about="load the weights, or draw new ones of the same shape", why="tuning starts from what was learnt"
    )


@dataclass(frozen=True)
class Head:
    """The recipe's [head] section: how a classifier reads a row, and how sure of its target any model is told to be."""

    pooling: Pooling = option(
        "mean",
        about="which state a row is judged by: that of its last token, or the mean of all",
        why="on short texts ahead of the last token's in three trials of four (docs/log.md)",
    )
    label_smoothing: float = option(
        0.0,
        about="the share of the target that is spread over all labels, or over the vocabulary; losses are reported with it",
        why="confidence stays what the data say",
    )
    class_weights: Weighting = option(
        "equal",
        about="how much the rows of a class count: equally, by 1 / their number, or by their effective number; losses are reported with it",
        why="probabilities stay what the data say",
    )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that changes a result; where it runs and what it prints are flags of the command."""

    name: str = required(about="the run's name, which names its folder")
    goal: Goal = required(about="what is wanted")
    data: Data = required(about="the rows")
    prepare: Prepare = option(Prepare(), about="how rows are cleaned")
    model: Model = option(Model(), about="what is tuned")
    head: Head = option(Head(), about="how a classifier reads a row, and how sure of its target any model is told to be")
    method: AnyMethod = option(
        LoRA(), about="how the model may change", why="small files, little memory, and hard to break what the base knows"
    )
    train: Train = option(Train(), about="how long and how fast")
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**63)] = option(
        0, about="every random draw is a function of it", why="any number will do; the same one repeats the run"
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """What no single section can see: names that make no folder, and options without effect."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", self.name):
            yield "name", f"is {self.name!r}, which cannot name a folder", "use letters, digits, dots, dashes and underscores"
        # A resolved recipe writes out every default, so only what differs from its default was meant.
        if self.goal.task != "classify" and self.head.pooling != Head().pooling:
            yield "head.pooling", f"has no effect on the task {self.goal.task}", "remove it, or set [goal] task to classify"
        if self.goal.task != "classify" and self.head.class_weights != Head().class_weights:
            yield "head.class_weights", f"has no effect on the task {self.goal.task}", "remove it, or set [goal] task to classify"
        if self.goal.task != "classify" and self.prepare.balance is not None:
            yield "prepare.balance", f"has no effect on the task {self.goal.task}", "remove it, or set [goal] task to classify"
        if not 0 <= self.head.label_smoothing < 1:
            yield "head.label_smoothing", f"is {self.head.label_smoothing}", "give a share from 0 up to, but not including, 1"
        if self.model.weights == "random" and isinstance(self.method, LoRA):
            yield "model.weights", "are random, and LoRA would leave them so", 'set [method] kind to "full"'
        if self.train.optimizer.kind == "muon" and self.method.kind != "full":
            yield "train.optimizer.kind", f'is for whole matrices, not for {self.method.kind}', 'set [method] kind to "full"'
        if not self.data.split.wants("validation") and self.train.patience is not None and "train.patience" in given:
            yield "train.patience", "has no effect without validation rows", "give [data.split] validation a share, or remove it"
        if not self.data.split.wants("validation") and self.train.evaluate_every is not None:
            yield "train.evaluate_every", "has no effect without validation rows", "give [data.split] validation a share, or remove it"
        if self.goal.task not in TUNED:
            for name, section, default in (("method", self.method, LoRA()), ("train", self.train, Train()), ("head", self.head, Head())):
                if section != default:
                    yield name, f"has no effect: rows of the task {self.goal.task} can be prepared, and not be tuned on yet", "remove it"
        if self.data.engine != "local" and all(isinstance(step, SetStep) for step in self.prepare.steps):
            yield "data.engine", "has no effect: no step works on rows apart from one another", "remove it"
        if self.goal.task == "pretrain" and self.train.too_long != "error":
            yield "train.too_long", "has no effect on plain text, which is cut into windows that fit", "remove it"


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe; paths in it are taken from the folder that it stands in.

    Raises:
        LuthierError: everything that is wrong with it.

    """
    return rooted(load(Recipe, path, overrides), path.resolve().parent)


def rooted(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its relative paths made absolute."""
    source = recipe.data.source
    sources = (source,) if isinstance(source, str) else source
    found = tuple(str((folder / expanded(one)).resolve()) for one in sources)
    base = recipe.model.base
    if base.startswith("~"):
        base = str(expanded(base))
    elif base.startswith(".") or (folder / base / "config.json").is_file():
        base = str((folder / base).resolve())
    other = recipe.data.split_from
    if other is not None and is_run(folder / other):
        other = str((folder / other).resolve())
    data = replace(recipe.data, source=found[0] if isinstance(source, str) else found, split_from=other)
    return replace(recipe, data=data, model=replace(recipe.model, base=base), prepare=rooted_steps(recipe.prepare, folder))


def defaulted(path: Path, overrides: Sequence[str] = ()) -> tuple[Default, ...]:
    """The options that the recipe leaves out, each with its value and reason."""
    return defaults(Recipe, read_given(path, overrides))


def refuse_untuned(task: Task) -> None:
    """Raise for a task whose rows can be prepared, but that no model can be tuned for yet.

    Raises:
        LuthierError: it is one of those.

    """
    if task not in TUNED:
        fix = f"`luthier prepare` and `luthier rows` work for it; {_INSTEAD[task]}"
        raise LuthierError("recipe [goal] task", f'"{task}" cannot be tuned yet: its rows can be prepared and written out', fix)


_INSTEAD: Mapping[Task, str] = {
    "prefer": 'to imitate the preferred answers alone, set task = "answer" and name their column as completion under [data] fields',
    "regress": 'to tell classes instead of numbers, give rows with labels and task = "classify"',
    "tag": 'to label whole sentences instead of tokens, give rows with labels and task = "classify"',
}
SHAPE_OF_TASK: Mapping[Task, str] = {
    "classify": "labelled", "answer": "pair", "chat": "chat", "pretrain": "text",
    "prefer": "preference", "regress": "scored", "tag": "tagged",
}  # fmt: skip
"""The shape of example that each task is made of."""
