"""The memory that training takes above the loaded model, against what `luthier check` foresees.

    python bench/memory.py WORK/models/m60 WORK/rows/gsm8k.jsonl [--full]

Prints one JSON line: MB foreseen, the most MB that the process has grown by after a micro-batch of some steps (on a CPU), and their ratio;
what it held before is counted when the model is loaded and nothing is planned. `LUTHIER_MEMORY_MB` sets a budget, as it does for a run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from luthier.stages.bench import Asked, in_file_order, read_chats
from luthier.stages.tune import assemble, device, held_dtype, start
from luthier.train.allocator import Keeper, held_bytes, keep_freed_memory
from luthier.train.costs import at_rest
from luthier.train.decide import SLACK
from luthier.train.loop import take_step
from luthier.train.precision import choose_precision

_MB = 2**20


@dataclass
class Noting(Keeper):
    """A keeper that notes the most that was held, and how often something was given back."""

    most_held: int = 0
    n_given_back: int = 0

    def look(self) -> None:
        """Note what is held, then look after it."""
        self.most_held = max(self.most_held, held_bytes() or 0)
        super().look()
        self.n_given_back += self.since == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    keep_freed_memory()
    asked = Asked(args.model, args.rows, batch=args.batch, full=args.full)
    recipe, precision = asked.recipe(), choose_precision(device(), trained=args.full)
    ready = assemble(recipe, read_chats(args.rows), (), held_dtype(recipe.method, precision))
    before, began, spent = at_rest(ready.base.network), time.monotonic(), time.process_time()
    training = start(recipe, ready, precision, "bench")
    planning_s, planning_cpu_s = time.monotonic() - began, time.process_time() - spent
    state, plan, foreseen = training.state, training.plan, training.plan.memory
    assert foreseen is not None and state.keeper is not None, "a plan that was decided here foresees memory"
    state.keeper = noting = Noting(state.keeper.most_bytes)
    state.network.train()
    seconds = []
    for step in range(args.steps):
        rows = [row for unit in in_file_order(ready.train.units, asked.batch, step) for row in unit]
        began = time.process_time()
        take_step(state, ready.objective, rows, plan.cuts, asked.learning_rate, 1.0)
        seconds.append(time.process_time() - began)
    grown_mb = (noting.most_held - before) / _MB
    found = {
        "model": Path(args.model).name, "workload": args.rows.stem, "full": args.full, "batch": args.batch, "steps": args.steps,
        "foreseen_mb": foreseen.peak_mb, "grown_mb": round(grown_mb), "grown_over_foreseen": round(grown_mb / foreseen.peak_mb, 3),
        "given_back": noting.n_given_back, "budget_mb": foreseen.budget_mb, "max_nodes": plan.cuts.max_nodes,
        "recompute_over": plan.cuts.recompute_over, "largest_micro_batch": foreseen.n_nodes, "loaded_mb": round(before / _MB),
        "planning_s": round(planning_s, 1), "planning_cpu_s": round(planning_cpu_s, 1), "step_cpu_s": round(statistics.median(seconds), 2),
        "bound_raised_mb": round((noting.most_bytes - before) / _MB - SLACK * foreseen.peak_mb),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
