"""The workloads: chat files made of public data sets that lie in a folder.

    python bench/peer/make_rows.py banking77 WORK/rows/banking77.jsonl --data DATA

DATA holds a folder for each data set (gsm8k, banking77, sgd, dolly) with the files of its training part as JSON, JSONL or CSV,
plain, as .gz, or as .zst (for which the package zstandard is needed). Files whose name speaks of a test or validation part are
passed over. Rows are shuffled by --seed; whoever reads them in order sees a random order.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

Messages = list[dict[str, str]]
PASSED_OVER = ("test", "dev", "val", "holdout", "socratic", "model_solutions", "categories", "schema")
MAX_CHARACTERS = 4000
"""Of one dialogue or instruction of the mixed workload."""


def opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")  # type: ignore[return-value]
    if path.suffix == ".zst":
        import zstandard

        return io.TextIOWrapper(zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(path.open("rb")), encoding="utf-8")
    return path.open(encoding="utf-8", newline="")


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """Every record of the training files below a folder, in the order of the files' names."""
    for path in sorted(folder.rglob("*")):
        kind = (path.with_suffix("") if path.suffix in (".gz", ".zst") else path).suffix
        if not path.is_file() or kind not in (".json", ".jsonl", ".csv") or any(word in path.name.lower() for word in PASSED_OVER):
            continue
        with opened(path) as file:
            if kind == ".csv":
                yield from csv.DictReader(file)
            elif kind == ".jsonl":
                yield from (json.loads(line) for line in file if line.strip())
            else:
                yield from json.load(file)


def exchange(user: str, assistant: str, system: str = "") -> Messages:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": user}, {"role": "assistant", "content": assistant}]


def gsm8k(data: Path) -> list[Messages]:
    """Problems of school mathematics with worked answers; rows share nothing but the template's first tokens."""
    return [exchange(one["question"], one["answer"]) for one in records(data / "gsm8k")]


def banking77(data: Path) -> list[Messages]:
    """Routing of bank customers' messages; each row begins with the same long list of 77 intents."""
    rows = [(one["text"].strip(), one["category"]) for one in records(data / "banking77")]
    intents = "\n".join(f"- {intent}" for intent in sorted({intent for _, intent in rows}))
    system = (
        "You route the messages that customers write to a bank. Read the message and answer with the one intent, "
        f"out of the list below, that fits it best. Answer with the intent's name and nothing else.\n\n{intents}"
    )
    return [exchange(text, intent, system) for text, intent in rows]


def mixed(data: Path) -> list[Messages]:
    """Dialogues of many turns and single instructions, as many of one as of the other."""
    parts = [[row for row in part if _size(row) <= MAX_CHARACTERS] for part in (_dialogues(data), _tasks(data))]
    n = min(map(len, parts))
    return [row for part in parts for row in random.Random(0).sample(part, n)]


def _size(row: Messages) -> int:
    return sum(len(one["content"]) for one in row)


def _dialogues(data: Path) -> list[Messages]:
    roles = {"USER": "user", "SYSTEM": "assistant", "ASSISTANT": "assistant"}
    found = []
    for one in records(data / "sgd"):
        turns = [{"role": roles[turn["speaker"].upper()], "content": turn.get("text") or turn["utterance"]} for turn in one["turns"]]
        if turns and turns[-1]["role"] == "user":
            turns.pop()
        if turns and all(turn["role"] == ("user", "assistant")[i % 2] for i, turn in enumerate(turns)):
            found.append(turns)
    return found


def _tasks(data: Path) -> list[Messages]:
    rows = []
    for one in records(data / "dolly"):
        asked = [one["instruction"], one.get("context") or one.get("input") or ""]
        rows.append(exchange("\n\n".join(part for part in asked if part), one.get("response") or one.get("output", "")))
    return [row for row in rows if row[-1]["content"]]


WORKLOADS = {"gsm8k": gsm8k, "banking77": banking77, "mixed": mixed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=sorted(WORKLOADS))
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the data sets")
    parser.add_argument("--rows", type=int, default=512, help="how many (default 512)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = WORKLOADS[args.workload](args.data)
    if not rows:
        parser.error(f"{args.data} holds no training rows for {args.workload}")
    random.Random(args.seed).shuffle(rows)
    rows = rows[: args.rows]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"messages": row}, ensure_ascii=False) + "\n" for row in rows)
    print(json.dumps({"out": str(args.out), "rows": len(rows)}))


if __name__ == "__main__":
    main()
