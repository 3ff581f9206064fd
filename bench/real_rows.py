"""The loop on real rows: banking77, sst2 (its dev file), gsm8k and dolly, each from raw file to report, as Markdown tables.

    python bench/real_rows.py --shared ../shared --base sprout --out runs/real-sprout

A finished run is skipped, so an interrupted call goes on.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import sys
from pathlib import Path
from typing import Any

from luthier.stages.run import run

TASKS = {
    "banking77": ("banking77/train.csv", "classify", "Say which intent a bank customer's message has", "epochs = 3"),
    "sst2": ("sst2/dev.tsv", "classify", "Say whether a film review is positive (1) or negative (0)", "epochs = 2"),
    "gsm8k": ("gsm8k/train.jsonl.gz", "answer", "Solve the problem and end with #### and the number", "epochs = 1"),
    "dolly": ("dolly/dolly.jsonl.gz", "answer", "Follow the instruction", "epochs = 1"),
}
FIELDS = {"dolly": 'fields = { prompt = "instruction", completion = "response", context = "context" }'}


def rows_of(name: str, args: argparse.Namespace) -> Path:
    """The rows: the whole file, or for open answers, whose generation takes long, its first `--answers` rows."""
    source, task, *_ = TASKS[name]
    path: Path = (args.shared / "data" / source).resolve()
    if task != "answer":
        return path
    part: Path = args.out.resolve() / f"{name}.jsonl"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        part.write_text("".join(itertools.islice(file, args.answers)), encoding="utf-8")
    return part


def recipe(name: str, base: str, source: Path, method: str) -> str:
    """The recipe of one data set; long rows are cut, their replies kept."""
    _, task, about, epochs = TASKS[name]
    return f'''name = "{name}"
[goal]
task = "{task}"
about = "{about}"
[data]
source = "{source}"
{FIELDS.get(name, "")}
[model]
base = "{base}"
[method]
kind = "{method}"
[train]
{epochs}
too_long = "cut"
'''


def table(report: dict[str, Any]) -> str:
    """A report's systems as Markdown, the verdict above."""
    names = list(dict.fromkeys(metric for found in report["systems"].values() for metric in found))
    lines = [f"verdict: {report['verdict']}", "", "| system | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for system, found in report["systems"].items():
        cells = [
            f"{one['value']:.3f} ({one['low']:.3f}–{one['high']:.3f})" if (one := found[name])["value"] is not None else "–"
            for name in names
        ]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/ and models/")
    parser.add_argument("--base", required=True, help="sprout, or a model's folder")
    parser.add_argument("--method", choices=["lora", "full"], default="full")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs")
    parser.add_argument("--answers", type=int, default=2000, help="rows of the sets with open answers")
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        path = args.out / f"{name}.toml"
        path.write_text(recipe(name, args.base, rows_of(name, args), args.method), encoding="utf-8")
        report: Any = run(path, runs_folder=args.out)
        n = next(iter(report["systems"]["tuned"].values()))["n"]
        print(f"\n### {name}, {Path(args.base).name}, {args.method}: {n:,} test rows, {report['seconds']} s\n\n{table(report)}", flush=True)
        print(name, "done", file=sys.stderr)


if __name__ == "__main__":
    main()
