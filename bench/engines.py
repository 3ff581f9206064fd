"""Existing distributed engines, tried for the work that preparing hands out: the same row steps over the same shards.

    python bench/engines.py WORK --rows 4000 --rows-in-shard 250 --engines here local ray ray_tasks ray_data daft

Each engine runs in a fresh process: it is imported, its local cluster is started (one processor, no dashboard, loopback only), and it
applies `RowWork` with the default row steps and two dearer ones, twice, to shards of made-up rows of about 1 kB (those of
`prepare_scale.py`), which lie on the disk as they do between two rounds of preparing. CPU seconds are those of all processes below the
script, memory is the sum of their proportional set sizes (what is shared is divided among those that share it), read once a second.
Files that an engine wrote are named by their hash. Results are appended to WORK/engines.jsonl.

`here` is this process alone, `local` two workers, `ray` the engine of that name in recipes (its start does one shard). `ray_tasks` are
Ray's tasks without it, one a shard; `ray_data` maps over a data set of shards, `daft` over a data frame of them, both on Ray.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from prepare_scale import rows

from luthier.core.examples import Labelled
from luthier.data.decisions import KeyStep
from luthier.data.engine import Engine
from luthier.data.execution.on_ray import OnRay
from luthier.data.execution.shards import ROWS, RowWork, Shard
from luthier.data.execution.spool import kept_line, write_whole
from luthier.data.execution.workers import Local
from luthier.data.pipeline import DEFAULT_STEPS, KeptRow
from luthier.data.steps import GopherRepetition, PersonalData
from luthier.data.tools import NO_TOOLS

BY_DEFAULT = [step for step in DEFAULT_STEPS if not isinstance(step, KeyStep)]
DO = RowWork((*BY_DEFAULT, GopherRepetition(), PersonalData(action="mask")), NO_TOOLS)  # type: ignore[arg-type]
Work = Callable[[Sequence[str], str], int]
OFF = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": os.urandom(32).hex(),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on any system: Ray then keeps to the loopback address
    "OMP_NUM_THREADS": "1",
}


def write_shards(work: Path, n_rows: int, rows_in_shard: int) -> list[Path]:
    """The rows as shards of a first round."""
    folder = work / f"shards-{n_rows}-{rows_in_shard}"
    folder.mkdir(parents=True, exist_ok=True)
    paths, some = [], []
    for i, row in enumerate(rows(n_rows)):
        some.append(kept_line(KeptRow(Labelled(str(row["id"]), str(row["text"]), str(row["label"])))))
        if len(some) == rows_in_shard or i + 1 == n_rows:
            paths.append(folder / f"{len(paths):06}{ROWS}")
            write_whole(paths[-1], some)
            some = []
    return paths


def piece(shard: str, out: str) -> Shard:
    path = Path(shard)
    return Shard(Path(out) / path.stem, earlier=path, alive=np.ones(path.read_bytes().count(b"\n"), dtype=np.bool_))


def one(shard: str, out: str) -> int:
    """The work of one shard, for engines that have the function from this script."""
    made = piece(shard, out)
    DO(made)
    return made.n_rows


class Mapped:
    """The same for a batch of paths, as data frames have it."""

    def __init__(self, out: str) -> None:
        self.out = out

    def __call__(self, batch: dict[str, Sequence[str]]) -> dict[str, object]:
        return {"n": np.array([one(str(path), self.out) for path in batch["shard"]])}


def start_ray(shard: str, out: str) -> None:
    import ray

    ray.init(
        address="local", num_cpus=1, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False,
        logging_level="ERROR", runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )  # fmt: skip


def start_nothing(shard: str, out: str) -> None:
    pass


def start_ours(shard: str, out: str) -> None:
    by(OURS)([shard], out)


OURS = OnRay(lambda said: print(said, file=sys.stderr))


def by(engine: Engine) -> Work:
    def work(shards: Sequence[str], out: str) -> int:
        done: list[int] = []
        engine.work(DO, map(piece, shards, [out] * len(shards)), lambda shard: done.append(shard.n_rows), (Path(out),))
        return sum(done)

    return work


def ray_tasks(shards: Sequence[str], out: str) -> int:
    import ray

    task = ray.remote(num_cpus=1)(one)
    return sum(ray.get([task.remote(shard, out) for shard in shards]))


def ray_data(shards: Sequence[str], out: str) -> int:
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    found = ray.data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards))
    mapped = found.map_batches(Mapped, fn_constructor_args=(out,), batch_size=1, num_cpus=1, compute=ray.data.ActorPoolStrategy(size=1))
    return sum(row["n"] for row in mapped.iter_rows())


def daft_frame(shards: Sequence[str], out: str) -> int:
    import daft

    daft.set_runner_ray(noop_if_initialized=True)

    @daft.func(return_dtype=daft.DataType.int64())
    def worked(shard: str) -> int:
        return one(shard, out)

    frame = daft.from_pydict({"shard": list(shards)}).into_partitions(len(shards))
    return sum(frame.select(worked(daft.col("shard")).alias("n")).to_pydict()["n"])


ENGINES: dict[str, tuple[tuple[str, ...], Callable[[str, str], None], Work]] = {
    "here": ((), start_nothing, by(Local(1))),
    "local": ((), start_nothing, by(Local(2))),
    "ray": ((), start_ours, by(OURS)),
    "ray_tasks": (("ray",), start_ray, ray_tasks),
    "ray_data": (("ray", "ray.data"), start_ray, ray_data),
    "daft": (("ray", "daft"), start_ray, daft_frame),
}


def below(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [one for child in file.read().split() for one in below(int(child))]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def usage(pid: int) -> tuple[float, float, int]:
    """(CPU seconds so far of a process and all below it and of those that they have waited for, MB, processes)."""
    seconds, kb, pids = 0.0, 0, below(pid)
    for one_pid in pids:
        try:
            fields = Path(f"/proc/{one_pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            for line in Path(f"/proc/{one_pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
                kb += int(line.split()[1]) if line.startswith("Pss:") else 0
        except (FileNotFoundError, ProcessLookupError):
            pass
    return seconds, kb / 1024, len(pids)


def watched(process: subprocess.Popen[str]) -> dict[str, int]:
    """The most memory and the most processes while it runs."""
    mb, n = 0.0, 0
    while process.poll() is None:
        _, now, n_now = usage(process.pid)
        mb, n = max(mb, now), max(n, n_now)
        time.sleep(1)
    return {"peak_mb": round(mb), "processes": n}


def run(name: str, work: Path, n_rows: int, rows_in_shard: int) -> dict[str, object]:
    """One engine, in this process."""
    modules, start, do = ENGINES[name]
    out = work / f"out-{name}"
    out.mkdir(exist_ok=True)
    for path in out.iterdir():
        path.unlink()
    shards = [str(path) for path in write_shards(work, n_rows, rows_in_shard)]
    marks = [(time.monotonic(), usage(os.getpid())[0])]

    def mark() -> None:
        marks.append((time.monotonic(), usage(os.getpid())[0]))

    for module in modules:
        importlib.import_module(module)
    mark()
    start(shards[0], str(out))
    mark()
    n_done = do(shards, str(out))
    mark()
    n_again = do(shards, str(out))
    mark()
    assert n_done == n_again == n_rows
    took = [(round(b[0] - a[0], 1), round(b[1] - a[1], 1)) for a, b in pairwise(marks)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(out.iterdir()))).hexdigest()[:12]
    if "ray" in sys.modules:
        importlib.import_module("ray").shutdown()
    named = dict(zip(("import", "start", "first", "again"), took, strict=True))
    told = {f"{stage}_{unit}": took[i] for stage, took in named.items() for i, unit in enumerate(("s", "cpu_s"))}
    rates = {"rows_per_s": round(n_rows / told["again_s"]), "rows_per_cpu_s": round(n_rows / told["again_cpu_s"])}
    return {"engine": name, "rows": n_rows, "shards": len(shards), **told, **rates, "files": digest}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--rows-in-shard", type=int, default=500)
    parser.add_argument("--engines", nargs="+", choices=[*ENGINES], default=[*ENGINES])
    parser.add_argument("--one", action="store_true", help="run the one engine in this process")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    work = args.work.resolve()
    if args.one:
        with OURS:
            print(json.dumps(run(args.engines[0], work, args.rows, args.rows_in_shard)))
        return
    write_shards(work, args.rows, args.rows_in_shard)
    for name in args.engines:
        words = [sys.executable, __file__, str(work), "--one", "--engines", name]
        said = [*words, "--rows", str(args.rows), "--rows-in-shard", str(args.rows_in_shard)]
        process = subprocess.Popen(said, stdout=subprocess.PIPE, text=True, env={**os.environ, **OFF})
        seen = watched(process)
        printed, _ = process.communicate()
        found = json.loads(printed.splitlines()[-1]) if process.returncode == 0 else {"engine": name, "failed": True}
        line = json.dumps({**found, **seen})
        with open(work / "engines.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)


if __name__ == "__main__":
    main()
