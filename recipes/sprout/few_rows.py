"""What pre-training is worth with few rows: sprout, its randomly initialised twin and the classical baseline on banking77.

    python recipes/sprout/few_rows.py --shared ../shared --out runs/few-rows --list
    python recipes/sprout/few_rows.py --shared ../shared --out runs/few-rows --cells 10-rows
    python recipes/sprout/few_rows.py --shared ../shared --out runs/few-rows --table

A cell is a number of training rows an intent (5, 10, 20, 40, or all), a seed of three, and a system: `sprout` and `lora` tune
the embedded model (in full, and by LoRA), `twin` tunes its shape with random weights, `classical` is the report's baseline.
The seed draws the rows, their order and new weights. Two validation rows an intent stand beside (all of them where all rows are
trained on): every system chooses by them, the networks their checkpoint, the baseline its C. All cells are judged on one test
set, a fifth of the file that shares no near-duplicate with the rest.

One JSON line a cell goes to `cells.jsonl`, with the right answers row by row; what is done is skipped, and what was killed
goes on. `--table` gives accuracies and their differences, paired row by row over the three seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luthier.core.draws import permutation
from luthier.core.examples import Labelled
from luthier.core.loading import loads
from luthier.core.runs import Run, fingerprint
from luthier.evaluate.answers import Answer, Gold, System
from luthier.evaluate.baselines import Known, LogisticTfidf, Question
from luthier.evaluate.compare import compare
from luthier.evaluate.estimates import Comparison
from luthier.evaluate.metrics import metric_named
from luthier.models.load import base_hash
from luthier.objectives import Classify
from luthier.serve import bundle
from luthier.stages import answering
from luthier.stages.answering import Speaker
from luthier.stages.prepare import load_side
from luthier.stages.recipe import Recipe
from luthier.stages.run import opened, run_prepare
from luthier.stages.tune import Rows, tune

SIZES = ("5", "10", "20", "40", "all")
SEEDS = (0, 1, 2)
SYSTEMS = ("classical", "sprout", "twin", "lora")
N_VALIDATION = 2
EPOCHS = {"5": 24, "10": 16, "20": 12, "40": 10, "all": 10}
"""Passes over the rows, the same for each network: fewer rows need more of them, and validation rows keep the best checkpoint."""
RATES = {"sprout": 3e-3, "twin": 3e-3, "lora": 8e-3}
RECIPE = '''name = "{name}"
[goal]
task = "classify"
about = "Say which intent a bank customer's message has"
metric = "accuracy"
[data]
source = "{source}"
fields = {{ text = "text", label = "category" }}
[data.split]
train = 0.7
validation = 0.1
test = 0.2
[model]
base = "sprout"
[head]
label_smoothing = 0.1
[method]
kind = "full"
[train]
batch_rows = 64
[train.optimizer]
kind = "muon"
'''


@dataclass(frozen=True)
class Cell:
    """One training and its judgement."""

    size: str
    seed: int
    system: str

    @property
    def name(self) -> str:
        """What the line and the run are called."""
        return f"{self.size}-rows-{self.system}-seed-{self.seed}"


CELLS = tuple(Cell(size, seed, system) for size in SIZES for seed in SEEDS for system in SYSTEMS)


def recipe_of(cell: Cell, source: Path, base: str) -> Recipe:
    """The recipe of one cell's training."""
    changes = [
        f"name={cell.name}", f"seed={cell.seed}", f"train.epochs={EPOCHS[cell.size]}", f"train.learning_rate={RATES[cell.system]}",
        f"model.base={base}", f"model.weights={'random' if cell.system == 'twin' else 'load'}",
        *(("method.kind=lora", "train.optimizer.kind=adamw") if cell.system == "lora" else ()),
    ]  # fmt: skip
    return loads(Recipe, RECIPE.format(name="banking77", source=source.resolve()), overrides=changes)


def prepare_once(source: Path, out: Path) -> Path:
    """Clean and part the rows of the whole file, once for all cells; gives the run's folder."""
    recipe = loads(Recipe, RECIPE.format(name="banking77", source=source.resolve()))
    with opened(recipe, out / "runs", lambda text: print(text, file=sys.stderr)) as job:
        run_prepare(job)
        return job.run.folder


def drawn(rows: Sequence[Labelled], n: int, *key: int | str) -> list[Labelled]:
    """`n` rows of each label, or as many as there are, by a draw that more rows of a label only lengthen."""
    by_label: defaultdict[str, list[Labelled]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: one.id):
        by_label[str(row.label)].append(row)
    return [some[i] for label, some in sorted(by_label.items()) for i in permutation(len(some), *key, label)[:n]]


def rows_of(cell: Cell, folder: Path) -> tuple[list[Labelled], list[Labelled]]:
    """The training and validation rows of a cell: the rows of 5 are among those of 10, and so on."""
    train, validation = ([one for one in load_side(folder, side) if isinstance(one, Labelled)] for side in ("train", "validation"))
    if cell.size == "all":
        return train, validation
    return drawn(train, int(cell.size), "few rows", cell.seed), drawn(validation, N_VALIDATION, "few rows to choose by", cell.seed)


def right_answers(cell: Cell, source: Path, base: str, out: Path) -> dict[str, bool]:
    """Whether each test row, by its id, was answered rightly."""
    folder = prepare_once(source, out)
    train, validation = rows_of(cell, folder)
    test = [one for one in load_side(folder, "test") if isinstance(one, Labelled)]
    if cell.system == "classical":
        known = [[Known(one.text, str(one.label)) for one in some] for some in (train, validation)]
        said = LogisticTfidf("accuracy").answer(*known, [Question(one.id, one.text) for one in test]).answers
        return {one.id: answer.text == one.label for answer, one in zip(said, test, strict=True)}
    run = Run(out / "runs" / cell.name)
    run.folder.mkdir(parents=True, exist_ok=True)
    tune(recipe_of(cell, source, base), run, Rows(train, validation), fingerprint([cell.name, base_hash(base), *(one.id for one in train)]))
    tuned = bundle.open_bundle(run.bundle)
    speaker = Speaker(tuned.network, tuned.tokenizer, tuned.card.layout, tuned.card.max_tokens)
    found = answering.classify(speaker, Classify(tuned.card.labels), test)
    return {one.id: tuned.card.labels[i] == one.label for i, one in zip(found.argmax(axis=1), test, strict=True)}


def line_of(cell: Cell, right: Mapping[str, bool]) -> dict[str, object]:
    """The line of a cell: its accuracy, and the right answers as 0 and 1 in the order of the rows' ids."""
    bits = "".join("1" if right[row] else "0" for row in sorted(right))
    accuracy = bits.count("1") / len(bits)
    return {"size": cell.size, "seed": cell.seed, "system": cell.system, "n": len(bits), "accuracy": accuracy, "right": bits}


def finished(out: Path) -> dict[Cell, dict[str, Any]]:
    """The lines of the cells that are done."""
    path = out / "cells.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {Cell(one["size"], one["seed"], one["system"]): one for one in map(json.loads, lines)}


def paired(found: Mapping[Cell, Mapping[str, Any]], size: str, a: str, b: str) -> Comparison | None:
    """System a minus b over the seeds that both have, each test row drawn and swapped with all its seeds together."""
    seeds = [seed for seed in SEEDS if Cell(size, seed, a) in found and Cell(size, seed, b) in found]
    if not seeds:
        return None
    rows = [(f"{i}.{seed}", str(i)) for seed in seeds for i in range(found[Cell(size, seeds[0], a)]["n"])]
    gold = [Gold(name, "1", row) for name, row in rows]

    def system(name: str) -> System:
        said = "".join(found[Cell(size, seed, name)]["right"] for seed in seeds)
        return System(name, tuple(Answer(row, bit) for (row, _), bit in zip(rows, said, strict=True)))

    return compare(metric_named("accuracy"), gold, system(a), system(b))


def table(found: Mapping[Cell, Mapping[str, Any]]) -> str:
    """The learning curve, and what each system gains over another, as two tables in Markdown."""
    lines = ["| rows an intent | " + " | ".join(SYSTEMS) + " |", "|---" * (1 + len(SYSTEMS)) + "|"]
    for size in SIZES:
        cells = [[found[cell]["accuracy"] for seed in SEEDS if (cell := Cell(size, seed, name)) in found] for name in SYSTEMS]
        shown = [f"{np.mean(some):.3f} ({', '.join(f'{one:.3f}' for one in some)})" if some else "–" for some in cells]
        lines.append(f"| {size} | " + " | ".join(shown) + " |")
    lines += ["", "| rows an intent | difference in accuracy | 95 % interval | p |", "|---|---|---|---|"]
    for size in SIZES:
        for a, b in (("sprout", "classical"), ("sprout", "twin"), ("lora", "sprout")):
            one = paired(found, size, a, b)
            if one is not None and one.difference is not None:
                lines.append(f"| {size} | {a} − {b} {one.difference:+.3f} | {one.low:+.3f} to {one.high:+.3f} | {one.p:.2g} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--out", type=Path, required=True, help="folder of cells; what is there already is not done again")
    parser.add_argument("--cells", nargs="*", default=[""], metavar="PART", help="only cells whose name holds one of these")
    parser.add_argument("--base", default="sprout", help='"sprout", or the folder of the model that is tuned')
    parser.add_argument("--list", action="store_true", help="only say which cells there are")
    parser.add_argument("--table", action="store_true", help="only print the tables of those that are done")
    args = parser.parse_args()
    wanted = [cell for cell in CELLS if any(part in cell.name for part in args.cells)]
    if args.list:
        print("\n".join(cell.name for cell in wanted))
        return
    for cell in [] if args.table else wanted:
        if cell not in finished(args.out):
            line = line_of(cell, right_answers(cell, args.shared / "data/banking77/train.csv", args.base, args.out))
            with open(args.out / "cells.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(cell.name, round(float(str(line["accuracy"])), 4), file=sys.stderr, flush=True)
    print(table(finished(args.out)))


if __name__ == "__main__":
    main()
