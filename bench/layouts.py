"""`luthier bench` with rows laid out in another way than a run would: to see that the forest never loses to plain rows.

    python bench/layouts.py WORK/models/m10 WORK/rows/gsm8k.jsonl --layout packed

packed: the rows one behind the other, nothing shared; padded: one line a row. Prints the same JSON line.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

BEGAN_S = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--layout", choices=["forest", "packed", "padded"], required=True)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    from luthier.core.jsonvalue import dump
    from luthier.stages.bench import Asked, bench

    asked = Asked(args.model, args.rows, args.steps, args.warmup, args.batch, args.lr, args.full, args.seed)
    print(dump(bench(asked, BEGAN_S, args.layout)))


if __name__ == "__main__":
    main()
