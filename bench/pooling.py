"""Which pooled state a classifier should read: the last token's, or the mean over the row.

    python bench/pooling.py --shared ../shared --bases sprout ../shared/models/stories260K --seeds 0 1 2 --out runs/pooling

One line for each training with its best validation accuracy, then the paired differences mean − last over all of them.
A finished training is skipped, so an interrupted call goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from pathlib import Path

from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_tune

ROWS = {"banking77": ("banking77/train.csv", 2), "sst2": ("sst2/dev.tsv", 4), "trec": ("trec_qc/train.txt", 3)}
RATES = {"full": 1e-3, "lora": 3e-3}


def best_accuracy(folder: Path) -> float:
    """The best share of validation rows that were right at any evaluation after the start."""
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return max(entry["n_correct"] / entry["n_rows"] for entry in entries if entry["event"] == "validation" and entry["step"] > 0)


def accuracy(rows: str, base: str, method: str, pooling: str, seed: int, args: argparse.Namespace) -> float:
    """Train once."""
    source, epochs = ROWS[rows]
    name = f"{rows}-{Path(base).name}-{method}-{seed}-{pooling}"
    path = args.out / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\nseed = {seed}\n[goal]\ntask = "classify"\n'
        f'[data]\nsource = "{(args.shared / "data" / source).resolve()}"\n'
        f'[data.split]\ntrain = 0.8\nvalidation = 0.2\ntest = 0.0\n'
        f'[model]\nbase = "{base}"\n[head]\npooling = "{pooling}"\n'
        f'[method]\nkind = "{method}"\n[train]\nepochs = {epochs}\nlearning_rate = {RATES[method]}\n',
        encoding="utf-8",
    )
    with opened(load_recipe(path), args.out, lambda text: None) as job:
        run_tune(job)
    return best_accuracy(args.out / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--bases", nargs="+", required=True, help="sprout, or models' folders")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--methods", nargs="*", default=list(RATES), choices=list(RATES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str, str], list[float]] = {}
    bases = [base if base == "sprout" else str(Path(base).resolve()) for base in args.bases]
    for seed, base, rows, method in itertools.product(args.seeds, bases, args.rows, args.methods):
        last, mean = (accuracy(rows, base, method, pooling, seed, args) for pooling in ("last", "mean"))
        what = f"{rows}, {Path(base).name}, {method}, seed {seed}"
        print(f"{what}: last {last:.3f}, mean {mean:.3f}, difference {mean - last:+.3f}", flush=True)
        found.setdefault((rows, Path(base).name, method), []).append(mean - last)
    for cell, differences in found.items():
        spread = f"from {min(differences):+.3f} to {max(differences):+.3f}"
        print(f"{', '.join(cell)}: mean − last {statistics.mean(differences):+.3f} over {len(differences)} seeds, {spread}")


if __name__ == "__main__":
    main()
