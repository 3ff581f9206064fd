"""Which pooled state a classifier should read: the last token's, or the mean over the row. Best validation accuracy of each.

python bench/pooling.py --shared ../shared --base sprout --out runs/pooling
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_tune

ROWS = {"banking77": ("banking77/train.csv", 2), "sst2": ("sst2/dev.tsv", 1)}


def best_accuracy(folder: Path) -> float:
    """The best share of validation rows that were right at any evaluation after the start."""
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return max(entry["n_correct"] / entry["n_rows"] for entry in entries if entry["event"] == "validation" and entry["step"] > 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--base", required=True, help="sprout, or a model's folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs")
    parser.add_argument("--methods", nargs="*", default=["full", "lora"])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for rows, (source, epochs) in ROWS.items():
        for method in args.methods:
            for pooling in ("last", "mean"):
                name = f"{rows}-{method}-{pooling}"
                path = args.out / f"{name}.toml"
                path.write_text(
                    f'name = "{name}"\n[goal]\ntask = "classify"\n'
                    f'[data]\nsource = "{(args.shared / "data" / source).resolve()}"\n'
                    f'[model]\nbase = "{args.base}"\n[head]\npooling = "{pooling}"\n'
                    f'[method]\nkind = "{method}"\n[train]\nepochs = {epochs}\n',
                    encoding="utf-8",
                )
                with opened(load_recipe(path), args.out, lambda text: None) as job:
                    run_tune(job)
                print(f"{name}: validation accuracy {best_accuracy(args.out / name):.3f}", flush=True)


if __name__ == "__main__":
    main()
