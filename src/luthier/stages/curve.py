"""Curve: the same recipe trained on ever more of its rows, and what more rows would be worth."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from luthier.core import runs
from luthier.core.draws import unit
from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.core.files import read_jsonl, text_hash, write_json, write_jsonl, write_text
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run
from luthier.evaluate.answers import Answer, Gold, System, gold_hash, labels_of
from luthier.evaluate.learning import Advice, Contrast, Grid, advice_for, slope, value_at
from luthier.evaluate.looks import count_look
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.page.curve_page import CurveShown, curve_page
from luthier.evaluate.page.label_f1 import LabelF1
from luthier.stages.evaluate import Sides, gold_of, tuned_answers
from luthier.stages.prepare import load_side
from luthier.stages.recipe import Recipe, refuse_untuned
from luthier.stages.run import Job, run_prepare, tuning_fingerprint
from luthier.stages.tune import Rows, refuse_base, tune

N_SIZES, N_SEEDS = 5, 3
LEAST_SHARE = 1 / 16
"""The smallest part of the training rows: five sizes, each twice the one before."""
LEAST_ROWS, ROWS_OF_A_LABEL, LEAST_GROWTH = 40, 2, 4
FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """One training: on the rows of this size and seed."""

    size: int
    seed: int
    train: tuple[AnyExample, ...]

    @property
    def name(self) -> str:
        """Its files' name."""
        return f"{self.size}-rows-seed-{self.seed}"


def run_curve(job: Job) -> tuple[CurveShown, Path]:
    """Train and test every size by every seed, leaving out what is done, and write `curve/curve.json` and `curve/curve.html`.

    All trainings are judged on the run's own test rows, which counts as one look at them, and chosen by its validation rows.

    Raises:
        LuthierError: there are too few training rows for a curve, or no test rows.

    """
    recipe, run = job.recipe, job.run
    refuse_untuned(recipe.goal.task)
    if not recipe.data.split.wants("test"):
        raise LuthierError("recipe [data.split] test", "is 0, so no curve can be judged", "give it a share")
    refuse_base(recipe.model.base)
    prepared = run_prepare(job)
    sides = Sides(*(load_side(run.folder, side) for side in ("train", "validation", "test")))
    cells = cells_of(sides.train, recipe.seed)
    fingerprint = tuning_fingerprint(job)
    gold = sorted(gold_of(recipe, sides.test), key=lambda row: row.id)
    said = []
    for k, cell in enumerate(cells):
        path = run.folder / "curve" / "cells" / f"{cell.name}.jsonl.gz"
        for_what = runs.fingerprint({"tuning": fingerprint, "size": cell.size, "seed": cell.seed, "format": FORMAT})
        found = _read_cell(path, for_what, gold)
        if found is None:
            job.interruption.check()
            job.say(f"curve: training {k + 1} of {len(cells)}, {cell.size:,} rows, seed {cell.seed} …")
            found = _train(job, cell, replace(sides, train=cell.train), prepared, for_what)
            found = tuple(sorted(found, key=lambda answer: answer.id))
            write_jsonl(path, [{"for": for_what}, *map(_answer_record, found)])
        shutil.rmtree(_work(run, cell), ignore_errors=True)
        said.append(found)
    grid = _grid(gold, cells, said)
    all_said = text_hash("\n".join(text_hash(repr([(one.text, one.loss_nats) for one in answers])) for answers in said))
    looks = count_look(job.runs_folder, gold_hash(gold), all_said, recipe.name)
    result = _result(recipe, grid, sides.train, looks)
    write_json(run.folder / "curve" / "curve.json", result.as_dict())
    page = run.folder / "curve" / "curve.html"
    write_text(page, curve_page(result))
    return result, page


def cells_of(train: Sequence[AnyExample], seed: int) -> list[Cell]:
    """Every training, the smallest first. The parts of one seed are nested, and each label has its share in each.

    Raises:
        LuthierError: too few rows, or too few of each label, for five sizes that differ.

    """
    n_labels = len({_label(row) for row in train})
    least = max(LEAST_SHARE * len(train), ROWS_OF_A_LABEL * n_labels, 4)
    if len(train) < LEAST_ROWS or len(train) < LEAST_GROWTH * least:
        problem = f"they are {len(train):,} of {n_labels} labels" if n_labels > 1 else f"they are {len(train):,}"
        needed = max(LEAST_ROWS, math.ceil(LEAST_GROWTH * ROWS_OF_A_LABEL * n_labels))
        raise LuthierError("the training rows", f"{problem}, too few for a learning curve", f"a curve begins at {needed:,} rows")
    shares = [(least / len(train)) ** (1 - j / (N_SIZES - 1)) for j in range(N_SIZES)]
    found = []
    for share in shares:
        for s in range(N_SEEDS):
            part = part_of(train, share, seed + s)
            found.append(Cell(len(part), seed + s, part))
    assert len({cell.size for cell in found}) == N_SIZES, "parts that grow fourfold in four steps differ in size"
    return found


def part_of(train: Sequence[AnyExample], share: float, seed: int) -> tuple[AnyExample, ...]:
    """A share of the rows of each label, at least one; what a smaller share has, a larger one of the same seed has too."""
    by_label: dict[str, list[str]] = {}
    for row in sorted(train, key=lambda row: (unit(seed, "curve", row.id), row.id)):
        by_label.setdefault(_label(row), []).append(row.id)
    taken = {one for ids in by_label.values() for one in ids[: max(1, int(share * len(ids) + 0.5))]}
    return tuple(row for row in train if row.id in taken)


def _label(row: AnyExample) -> str:
    return str(row.label) if isinstance(row, Labelled) else ""


def _work(run: Run, cell: Cell) -> Path:
    return run.folder / "curve" / "work" / cell.name


def _train(job: Job, cell: Cell, sides: Sides, prepared: Mapping[str, Any], for_what: str) -> tuple[Answer, ...]:
    """One training, from its newest checkpoint if it was interrupted, and its answers to the test rows."""
    recipe = replace(job.recipe, seed=cell.seed)
    run = Run(_work(job.run, cell))
    rows = Rows(sides.train, sides.validation, str(prepared["layout"]), prepared["fields"])
    tune(recipe, run, rows, for_what, job.interruption)
    return tuned_answers(recipe, run, sides, job.interruption.check).answers


def _answer_record(answer: Answer) -> dict[str, Json]:
    found = {name: value for name, value in asdict(answer).items() if value is not None}
    return {"text": None, **found}


def _read_cell(path: Path, for_what: str, gold: Sequence[Gold]) -> tuple[Answer, ...] | None:
    """What a training answered before; None where it is not done, or was of other rows."""
    if not path.is_file():
        return None
    lines: Iterable[dict[str, Any]] = read_jsonl(path)
    head, *rows = lines
    if head != {"for": for_what} or [row["id"] for row in rows] != [row.id for row in gold]:
        return None
    return tuple(Answer(**row) for row in rows)


def _grid(gold: Sequence[Gold], cells: Sequence[Cell], said: Sequence[tuple[Answer, ...]]) -> Grid:
    sizes = tuple(cells[j * N_SEEDS].size for j in range(N_SIZES))
    return Grid(tuple(gold), sizes, tuple(tuple(said[j * N_SEEDS : (j + 1) * N_SEEDS]) for j in range(N_SIZES)))


def _result(recipe: Recipe, grid: Grid, train: Sequence[AnyExample], looks: int) -> CurveShown:
    systems = [System("", answers) for line in grid.answers for answers in line]
    labels = labels_of(grid.gold, *systems) if recipe.goal.task == "classify" else ()
    metric = metric_named(recipe.goal.judged_by, labels)
    counts = Counter(_label(row) for row in train)
    tested = {row.text for row in grid.gold}
    by_label = {label: (LabelF1(label), counts[label]) for label in labels if counts[label] and label in tested}
    points: list[Contrast | None] = [value_at(metric, grid, j) for j in range(N_SIZES)]
    advice: tuple[Advice, ...] = advice_for(metric, by_label if len(by_label) > 1 else {}, grid, len(train))
    return CurveShown(recipe.name, metric, grid.sizes, grid.n_seeds, len(grid.gold), tuple(points), slope(metric, grid), advice, looks)
