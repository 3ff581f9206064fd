"""The memory that training takes above the loaded model, against what `luthier check` foresees.

    python bench/memory.py WORK/models/m60 WORK/rows/gsm8k.jsonl [--full]

Prints one JSON line: MB foreseen, MB that the process has grown by after some steps (on a CPU; it keeps what is freed, so that this is
the most that it held), and their ratio. `LUTHIER_MEMORY_MB` sets a budget, as it does for a run.
"""

from __future__ import annotations

import argparse
import json
import mmap
from pathlib import Path

from luthier.stages.bench import Asked, in_file_order, read_chats, started
from luthier.train.allocator import keep_freed_memory
from luthier.train.costs import at_rest
from luthier.train.loop import take_step

_MB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    keep_freed_memory()
    asked = Asked(args.model, args.rows, full=args.full)
    ready, training = started(asked, read_chats(args.rows))
    before = at_rest(training.state.network.train())
    for step in range(args.steps):
        rows = [row for unit in in_file_order(ready.train.units, asked.batch, step) for row in unit]
        take_step(training.state, ready.objective, rows, training.plan.cuts, asked.learning_rate, 1.0)
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    foreseen = training.plan.memory
    assert foreseen is not None, "a plan that was decided here foresees memory"
    grown_mb = (held - before) / _MB
    found = {
        "model": Path(args.model).name, "workload": args.rows.stem, "full": args.full, "foreseen_mb": foreseen.peak_mb,
        "grown_mb": round(grown_mb), "grown_over_foreseen": round(grown_mb / foreseen.peak_mb, 3),
        "max_nodes": training.plan.cuts.max_nodes, "largest_micro_batch": foreseen.n_nodes, "loaded_mb": round(before / _MB),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
