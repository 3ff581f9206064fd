"""Seconds that rows take to be rendered and tokenised: the first time, and again from the cache, by threads.

    python bench/tokenising.py MODEL ROWS.jsonl [ROWS.jsonl …] --rows 20000 --threads 1 2

The files hold chats ({"messages": [...]}, one a line); their rows are mixed by a fixed seed. Every time is that of a process
of its own, its CPU seconds beside it, which other work on the machine stretches less. The digest says that rows are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(args: argparse.Namespace) -> None:
    """In the process that is measured: make the rows once, and print what it took as one JSON line."""
    import torch

    from luthier.core.examples import Chat
    from luthier.core.messages import from_dict
    from luthier.models.load import load_tokenizer
    from luthier.objectives import Imitate
    from luthier.stages.rows import to_rows
    from luthier.text.renderer import Renderer
    from luthier.text.rows import rows_digest

    torch.set_num_threads(args.threads[0])
    told = [json.loads(line)["messages"] for path in args.files for line in path.open(encoding="utf-8")]
    random.Random(0).shuffle(told)
    told = told[: args.rows]
    chats = [Chat(str(i), tuple(map(from_dict, messages)), source=f"rows.jsonl:{i + 1}") for i, messages in enumerate(told)]
    renderer = Renderer(load_tokenizer(args.model))
    began, cpu = time.perf_counter(), time.process_time()
    rowed = to_rows(chats, Imitate(window=args.max_tokens), renderer, args.max_tokens, "cut")
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    n_tokens = sum(row.n_tokens for row in rowed.rows)
    found = {"rows": len(rowed.rows), "tokens": n_tokens, "s": round(seconds, 2), "cpu_s": round(cpu, 2)}
    print(json.dumps({**found, "digest": rows_digest(rowed.rows)[:16]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model's folder, or sprout")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--before", type=Path, help="a folder `src` of an older version, measured first")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args)
        return
    said = [args.model, *map(str, args.files), "--rows", str(args.rows), "--max-tokens", str(args.max_tokens), "--measure"]
    for threads in args.threads:
        with tempfile.TemporaryDirectory() as cache:
            turns = [("before", args.before)] if args.before else []
            for name, source in (*turns, ("first time", None), ("second time", None)):
                changed = {"LUTHIER_CACHE": cache} | ({"PYTHONPATH": str(source)} if source else {})
                command = [sys.executable, __file__, *said, "--threads", str(threads)]
                found = subprocess.check_output(command, env=os.environ | changed, text=True).strip()
                print(f"{name}, {threads} thread(s): {found}", flush=True)


if __name__ == "__main__":
    main()
