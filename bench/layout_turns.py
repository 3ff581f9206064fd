"""The forest against packed and padded rows, step by step in one process: what disturbs one disturbs all three.

    python bench/layout_turns.py WORK/models/m10 WORK/rows/gsm8k.jsonl

Each step's rows are trained on in all three layouts, by turns, cut by the same measured costs; the first steps are not counted.
Prints one JSON line: processor seconds of a step (medians), and how many times as fast the forest is as the better of the other two: of all
counted steps together, and by the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

from luthier.stages.bench import Asked, in_file_order, read_chats, started
from luthier.text.batching import Layout
from luthier.train.allocator import keep_freed_memory
from luthier.train.loop import take_step

LAYOUTS: tuple[Layout, ...] = ("forest", "packed", "padded")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--steps", type=int, default=19)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    keep_freed_memory()
    asked = Asked(args.model, args.rows, batch=args.batch, full=args.full)
    ready, training = started(asked, read_chats(args.rows))
    training.state.network.train()
    cuts = {layout: replace(training.plan.cuts, layout=layout) for layout in LAYOUTS}
    seconds: dict[str, list[float]] = {layout: [] for layout in LAYOUTS}
    for step in range(args.steps):
        turn = step % len(LAYOUTS)
        for layout in (*LAYOUTS[turn:], *LAYOUTS[:turn]):
            rows = [row for unit in in_file_order(ready.train.units, asked.batch, step) for row in unit]
            began = time.process_time()
            take_step(training.state, ready.objective, rows, cuts[layout], asked.learning_rate, 1.0)
            seconds[layout].append(time.process_time() - began)
    counted = {layout: some[args.warmup :] for layout, some in seconds.items()}
    totals = {layout: sum(some) for layout, some in counted.items()}
    medians = {layout: round(statistics.median(some), 3) for layout, some in counted.items()}
    found = {
        "model": Path(args.model).name, "workload": args.rows.stem, "full": args.full, "steps": args.steps - args.warmup,
        "step_cpu_s": medians, "forest_over_better": round(min(totals["packed"], totals["padded"]) / totals["forest"], 3),
        "by_medians": round(min(medians["packed"], medians["padded"]) / medians["forest"], 3),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
