"""Wrong labels found: some labels of a labelled set are flipped by a fixed seed, and the suspects are compared with them.

    python bench/label_errors.py SET.csv|SET.jsonl|… [--rates 0.01 0.05 0.1 0.2] [--turns 3]
    python bench/label_errors.py --demo

A set is read as `luthier` reads it; each rate is the share of rows whose label is exchanged for another one of the set, drawn
evenly. Precision counts a row that is in doubt and was not flipped as wrong, though real sets have wrong labels of their own,
so it is a lower bound. With `--demo` the rows are the demo's, cleaned by the default steps, and the wrong labels those that the
demo's record names (`luthier.demo`).
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
from collections.abc import Sequence
from pathlib import Path

from luthier.core.examples import AnyExample, Labelled
from luthier.data.files.record import BadRow
from luthier.data.pipeline import DEFAULT_STEPS, clean
from luthier.data.source.reading import Data, read, recognise
from luthier.data.steps import LabelErrors
from luthier.data.steps.label_errors import Suspecting
from luthier.data.tools import Tools


def rows_of(source: Path) -> list[Labelled]:
    data = Data(source=str(source), bad_rows="drop")
    found = read(data, recognise(data, "labelled"))
    return [row for row in found if not isinstance(row, BadRow) and isinstance(row, Labelled)]


def flipped(rows: Sequence[Labelled], rate: float, seed: int) -> tuple[list[Labelled], dict[str, str | None]]:
    """The rows with some labels exchanged, and the right label of those."""
    draw = random.Random(seed)
    labels = sorted({str(row.label) for row in rows})
    chosen = set(draw.sample(range(len(rows)), round(rate * len(rows))))
    found = [
        dataclasses.replace(row, label=draw.choice([one for one in labels if one != row.label])) if i in chosen else row
        for i, row in enumerate(rows)
    ]  # fmt: skip
    return found, {rows[i].id: rows[i].label for i in chosen}


def measured(name: str, rows: Sequence[AnyExample], right: dict[str, str | None], seed: int) -> None:
    began = time.process_time()
    suspects = Suspecting(LabelErrors(), Tools(seed=seed)).suspects(lambda: rows)
    seconds = time.process_time() - began
    found = {str(one["id"]): one for one in suspects}
    hits = found.keys() & right.keys()
    n_right = sum(found[one]["suggested"] == right[one] for one in hits)
    first = [str(one["id"]) in right for one in suspects[: max(1, len(right))]]
    print(
        f"{name:28} {len(rows):7,} {len(right):6,} {len(found):7,} {len(hits) / max(1, len(right)):7.3f}"
        f" {len(hits) / max(1, len(found)):9.3f} {sum(first) / max(1, len(first)):10.3f} {n_right / max(1, len(hits)):10.3f} {seconds:7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.05, 0.1, 0.2])
    parser.add_argument("--turns", type=int, default=1, help="seeds for each rate")
    parser.add_argument("--demo", action="store_true")
    args = parser.parse_args()
    print(f"{'':28} {'rows':>7} {'wrong':>6} {'listed':>7} {'recall':>7} {'precision':>9} {'of first n':>10} {'suggestion':>10} {'s':>7}")
    for path in args.files:
        rows = rows_of(path)
        for rate in args.rates:
            for seed in range(args.turns):
                some, right = flipped(rows, rate, seed)
                measured(f"{path.parent.name} {rate:.0%} seed {seed}", some, right, seed)
    if args.demo:
        from luthier.demo import dirty_rows

        dirty = dirty_rows()
        tickets = [Labelled(row["ticket_id"], row["message"], row["intent"]) for row in dirty.rows]
        kept = [row.example for row in clean(tickets, DEFAULT_STEPS).kept]
        labels = {row.id: row.label for row in kept if isinstance(row, Labelled)}
        wrong = {name: one.true_label for name, one in dirty.record.items() if name in labels and labels[name] != one.true_label}
        measured("demo", kept, dict(wrong), 0)


if __name__ == "__main__":
    main()
