"""Seconds, CPU seconds and peak memory of `luthier prepare` as the rows grow from ten thousand to a million.

    python bench/prepare_scale.py WORK --rows 10000 100000 1000000

The rows are made up by a seed: about 1 kB of text each, of a vocabulary of 60,000 words whose frequencies fall as in natural text (Zipf,
exponent 1), with labels, users (three rows each on average), copies (2 %), near-copies of which a few words differ (6 %), markup (1 %).
Memory is the sum of the resident pages of the whole process tree, read ten times a second; pages that processes share count in each.
A run that was killed goes on when the script is called again; its seconds are then those of the last call. Results are appended to
WORK/results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

N_WORDS, ROW_CHARACTERS, REMEMBERED = 60_000, 1000, 4096
SYLLABLES = [a + b for a in (*"bcdfghjklmnprstvw", "st", "tr", "pl", "ch", "sh") for b in (*"aeiou", "ai", "ea", "ou")]
ENDINGS = ["", "", "", "n", "r", "s", "t", "l", "ng", "ck"]
RECIPE = """name = "scale-{n}"
[goal]
task = "classify"
[data]
source = "rows-{n}.jsonl"
group = "user"
"""


def vocabulary(draw: np.random.Generator) -> list[str]:
    """Made-up words, the frequent ones short."""
    words: dict[str, None] = {}
    while len(words) < N_WORDS:
        n_syllables = 1 + int(draw.integers(0, 2 + min(3, len(words) // 300)))
        words["".join(draw.choice(SYLLABLES, n_syllables)) + str(draw.choice(ENDINGS))] = None
    return list(words)


def rows(n: int, seed: int = 0) -> Iterator[dict[str, object]]:
    """The rows; those of a smaller number are the first of a larger one."""
    draw = np.random.default_rng(seed)
    words = np.array(vocabulary(draw), dtype=object)
    shares = np.cumsum(1 / np.arange(1, N_WORDS + 1))
    shares /= shares[-1]
    before: list[list[str]] = []
    for i in range(n):
        kind = draw.random()
        if before and kind < 0.08:
            chosen = list(before[int(draw.integers(len(before)))])
            for _ in range(int(draw.integers(1, 6)) if kind < 0.06 else 0):
                chosen[int(draw.integers(len(chosen)))] = words[np.searchsorted(shares, draw.random())]
        else:
            chosen = words[np.searchsorted(shares, draw.random(190))].tolist()
            sizes = np.cumsum([len(word) + 1 for word in chosen])
            chosen = chosen[: max(5, int(np.searchsorted(sizes, ROW_CHARACTERS * draw.uniform(0.8, 1.2))))]
        before.append(chosen) if len(before) < REMEMBERED else before.__setitem__(int(draw.integers(REMEMBERED)), chosen)
        text = " ".join(chosen)
        text = text.capitalize() + "." if 0.06 <= kind < 0.08 else text
        text = f"<p>{text}</p><br>thanks &amp; bye" if kind > 0.99 else text
        yield {"id": f"r{i}", "text": text, "label": f"kind {len(chosen[0]) % 8}", "user": f"u{int(draw.integers(1 + n // 3))}"}


def write_rows(work: Path, n: int) -> None:
    path = work / f"rows-{n}.jsonl"
    if not path.exists():
        with open(path.with_suffix(".tmp"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows(n))
        os.replace(path.with_suffix(".tmp"), path)
    (work / f"scale-{n}.toml").write_text(RECIPE.format(n=n), encoding="utf-8")


def resident_mb(pid: int) -> float:
    """Resident pages of a process and all below it, in MB."""
    total = 0
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            total = int(file.read().split()[1])
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                children = file.read().split()
            total += sum(int(resident_mb(int(child)) * 2**20 / os.sysconf("SC_PAGE_SIZE")) for child in children)
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(work: Path, n: int) -> dict[str, object]:
    command = [sys.executable, "-m", "luthier", "prepare", f"scale-{n}.toml", "--json"]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, samples = 0.0, []
    ended = threading.Event()
    with open(work / f"scale-{n}.log", "a", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=log, text=True)

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.1):
                now = resident_mb(process.pid)
                peak = max(peak, now)
                samples.append((round(time.monotonic() - began, 1), round(now)))

        watching = threading.Thread(target=watch)
        watching.start()
        out, _ = process.communicate()
        ended.set()
        watching.join()
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode:
        raise SystemExit(f"prepare ended with {process.returncode}: {out[-2000:]}")
    found = json.loads(out)
    (work / f"memory-{n}.json").write_text(json.dumps(samples[:: max(1, len(samples) // 2000)]), encoding="utf-8")
    sizes = {"source_mb": round((work / f"rows-{n}.jsonl").stat().st_size / 2**20)}
    kept = {name: found[name] for name in ("read", "kept", "dropped", "split", "certificate")}
    assert found["read"] == found["kept"] + sum(sum(reasons.values()) for reasons in found["dropped"].values())
    assert sum(found["split"].values()) == found["kept"] + sum(found["added"].values())
    told = {"seconds": round(seconds, 1), "cpu_s": round(cpu, 1), "rows_per_cpu_s": round(n / cpu), "peak_mb": round(peak)}
    return {"rows": n, **told, "processors": len(os.sched_getaffinity(0)), **sizes, **kept}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    for n in args.rows:
        write_rows(args.work, n)
        found = measure(args.work, n)
        with open(args.work / "results.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(json.dumps(found), flush=True)
    print("| rows | seconds | CPU seconds | rows/CPU s | peak MB |\n|---|---|---|---|---|")
    for line in (args.work / "results.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        print(f"| {one['rows']:,} | {one['seconds']:,} | {one['cpu_s']:,} | {one['rows_per_cpu_s']:,} | {one['peak_mb']:,} |")


if __name__ == "__main__":
    main()
