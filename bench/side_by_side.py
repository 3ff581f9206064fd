"""Our trainer beside the peer at its best, by turns: which setting is the peer's best, how many times as fast we are, in how much memory.

    python bench/side_by_side.py WORK --peer WORK/peer/bin/python --sweep

WORK holds rows/ and models/ (see docs/bench.md). Each command is a process of its own; a turn is one of each, and ratios are taken
within a turn, so that a busy machine hits all alike. WORK/side_by_side.jsonl remembers every command, so the same call goes on after
an interruption; WORK/side_by_side.md holds the tables.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turns import Command, Log, Result, ratios, spread, values

HERE = Path(__file__).resolve().parent
RATE = "supervised_tokens_per_s"
OURS, PEER, LAYOUTS = "ours", "peer", ("packed", "padded")
FIRST_WITHIN_NATS, LAST_WITHIN = 1e-2, 0.03
LEAST_OVER_PLAIN_ROWS = 0.97
N_FINALISTS, FINAL_TURNS = 2, 3


@dataclass(frozen=True)
class Case:
    """A workload, a model, what is trained, the ratio that we want to reach, and the peer's setting where none was searched for."""

    workload: str
    model: str
    full: bool
    goal: float
    usual: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.workload} {self.model} {'full' if self.full else 'LoRA'}"


_FREE, _PADDED = ("--layout", "padding_free", "--micro", "4"), ("--layout", "padded", "--micro", "4")
CASES = (
    *(Case("banking77", model, False, 15, _PADDED) for model in ("m10", "m60")),
    *(Case("gsm8k", model, False, 2.5, _FREE) for model in ("m10", "m60")),
    *(Case("mixed", model, False, 2.5, _FREE) for model in ("m10", "m60")),
    Case("gsm8k", "m60", True, 1.5, _FREE),
)
_ON_GPU = ("--layout", "padding_free", "--attention", "flash_attention_2", "--liger")
GPU_CASES = tuple(Case(workload, "m600", False, goal, _ON_GPU) for workload, goal in (("banking77", 15), ("gsm8k", 2.5), ("mixed", 2.5)))


@dataclass(frozen=True)
class Bench:
    """Where things are, and how long a measurement is."""

    work: Path
    peer: str
    log: Log
    steps: int
    warmup: int
    by_cpu: bool
    gpu: bool

    def length(self, steps: int, warmup: int) -> tuple[str, ...]:
        return "--steps", str(steps), "--warmup", str(warmup)

    def files(self, case: Case) -> tuple[str, ...]:
        full = ("--full",) if case.full else ()
        return str(self.work / "models" / case.model), str(self.work / "rows" / f"{case.workload}.jsonl"), *full

    def peer_command(self, case: Case, setting: Sequence[str], name: str, length: Sequence[str]) -> Command:
        return Command(name, (self.peer, str(HERE / "peer" / "trl_sft.py"), *self.files(case), *length, *setting))

    def our_commands(self, case: Case, length: Sequence[str]) -> list[Command]:
        ours = Command(OURS, (sys.executable, "-m", "luthier.cli", "bench", *self.files(case), *length))
        layout = (sys.executable, str(HERE / "layouts.py"), *self.files(case), *length)
        return [ours, *(Command(name, (*layout, "--layout", name)) for name in LAYOUTS)]


def shown(setting: Sequence[str]) -> str:
    """A setting of the peer as its name."""
    return " ".join(word.removeprefix("--") for word in setting if word not in ("--layout",))


def layouts_of(gpu: bool) -> list[tuple[str, ...]]:
    """Where the search for the peer's best begins: how rows are laid out, and how many at a time."""
    if gpu:
        kernels = ("--attention", "flash_attention_2", "--liger")
        return [("--layout", layout, "--micro", micro, *kernels) for layout in ("padding_free", "padded") for micro in ("16", "8", "4")]
    return [("--layout", layout, "--micro", micro) for layout in ("padded", "padding_free") for micro in ("2", "4", "8")]


def beyond(ranked: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Fewer or more rows at a time where a layout did best with the fewest or the most that were tried."""
    found = []
    for layout in dict.fromkeys(setting[1] for setting in ranked):
        best = next(setting for setting in ranked if setting[1] == layout)
        tried = sorted(int(setting[3]) for setting in ranked if setting[1] == layout)
        micro = int(best[3])
        if micro in (tried[0], tried[-1]):
            further = micro // 2 if micro == tried[0] else micro * 2
            found += [(*best[:3], str(further), *best[4:])] if 1 <= further <= 16 else []
    return found


def variations(best: tuple[str, ...], case: Case, gpu: bool) -> list[tuple[str, ...]]:
    """What else may help the setting that came out best; packed sequences are other batches, so they are only told."""
    precisions = ("fp32",) if case.full else ("bf16", "fp32")
    found = [(*best, "--precision", one) for one in precisions if not gpu or one != "fp32"]
    found += [(*best, "--workers", "1"), (*best, "--compile")]
    if gpu:
        found += [best[: best.index("--attention")], ("--layout", "packing", "--micro", "4", *best[best.index("--attention") :])]
    else:
        found += [("--layout", "packing", "--micro", "1")]
    return found


def merit(bench: Bench, turns: Sequence[Mapping[str, Result]], name: str) -> float:
    """What the peer's settings are ranked by; 0 where one came to no result or trained other batches."""
    lines = [turn[name] for turn in turns if "result" in turn.get(name, {})]
    if not lines or "packing" in name:
        return 0.0
    if bench.by_cpu:
        return 1 / statistics.median(line["cpu_s"] for line in lines)
    return statistics.median(line["result"][RATE] for line in lines)


def sweep(bench: Bench, case: Case, steps: int) -> None:
    """Try the peer's settings one after another, then the best two by turns and for twice as many steps."""
    length = bench.length(steps, max(1, steps // 3))

    def ranked(settings: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        for setting in settings:
            bench.log.run("sweep", case.name, [bench.peer_command(case, setting, shown(setting), length)], 1)
        turns = bench.log.turns("sweep", case.name)
        return sorted(settings, key=lambda setting: -merit(bench, turns, shown(setting)))

    first = layouts_of(bench.gpu)
    first += beyond(ranked(first))
    finalists = ranked([*first, *variations(ranked(first)[0], case, bench.gpu)])[:N_FINALISTS]
    longer = bench.length(2 * steps, max(1, steps // 2))
    commands = [bench.peer_command(case, setting, shown(setting), longer) for setting in finalists]
    bench.log.run("final sweep", case.name, commands, FINAL_TURNS)


def best_setting(bench: Bench, case: Case) -> tuple[str, ...]:
    """The best of the last two where they were searched for, else the usual one."""
    turns = bench.log.turns("final sweep", case.name)
    names = sorted({name for turn in turns for name in turn}, key=lambda name: -merit(bench, turns, name))
    if not names:
        return case.usual
    words = next(turn[names[0]]["words"] for turn in turns if names[0] in turn)
    return tuple(words[words.index("--layout") :])


def measured(bench: Bench, case: Case, n_turns: int, n_layout_turns: int) -> None:
    """The turns of a case: the peer at its best and ours, in the first of them also ours with plain rows."""
    length = bench.length(bench.steps, bench.warmup)
    peer = bench.peer_command(case, best_setting(bench, case), PEER, length)
    ours, *plain = bench.our_commands(case, length)
    bench.log.run("turns", case.name, [peer, ours, *plain], min(n_turns, n_layout_turns))
    bench.log.run("turns", case.name, [peer, ours], n_turns)


def row_of(bench: Bench, case: Case) -> list[str]:
    """A case's line in the table of results."""
    turns = bench.log.turns("turns", case.name)
    faster, memory = ratios(turns, OURS, PEER, RATE), ratios(turns, OURS, PEER, "peak_gpu_mb" if bench.gpu else "peak_rss_mb")
    plain = [min(pair) for pair in zip(*(ratios(turns, OURS, name, RATE) for name in LAYOUTS), strict=False)]
    if not faster:
        problems = {name: line["problem"] for turn in turns for name, line in turn.items() if "problem" in line}
        return [case.name, f"no result: {problems}" if problems else "not run"]
    first = [abs(a - b) for a, b in zip(values(turns, OURS, "first_loss"), values(turns, PEER, "first_loss"), strict=False)]
    last = [abs(ratio - 1) for ratio in ratios(turns, OURS, PEER, "last_loss")]
    setting = next(turn[PEER]["words"] for turn in turns if PEER in turn)
    return [
        case.name, shown(setting[setting.index("--layout") :]), spread(values(turns, PEER, RATE)), spread(values(turns, OURS, RATE)),
        spread(faster), f"{case.goal:g} {_mark(statistics.median(faster) >= case.goal)}",
        f"{spread(memory)} {_mark(statistics.median(memory) <= 1)}", f"{max(first):.4f} {_mark(max(first) <= FIRST_WITHIN_NATS)}",
        f"{max(last):.2%} {_mark(max(last) <= LAST_WITHIN)}",
        f"{spread(plain)} {_mark(bool(plain) and statistics.median(plain) >= LEAST_OVER_PLAIN_ROWS)}", str(len(faster)),
    ]  # fmt: skip


def _mark(holds: bool) -> str:
    return "✓" if holds else "✗"


HEADS = (
    "case", "peer's best setting", "peer, supervised tokens/s", "ours", "ours / peer", "goal", "peak memory, ours / peer",
    "first loss differs by (nats)", "last by", "ours / better of packed and padded", "turns",
)  # fmt: skip


def tables(bench: Bench, cases: Sequence[Case]) -> str:
    """Results, then everything that was tried of the peer, in Markdown."""
    text = [f"{bench.log.threads} thread(s); medians, with the least and the greatest; ratios within a turn.", ""]
    text += [_line(HEADS), _line(["---"] * len(HEADS)), *(_line(row_of(bench, case)) for case in cases), ""]
    for case in cases:
        tried, last = bench.log.turns("sweep", case.name), bench.log.turns("final sweep", case.name)
        names = sorted({name for turn in tried for name in turn}, key=lambda name: -merit(bench, tried, name))
        if names:
            text += [f"The peer on {case.name}:", "", _line(["setting", "supervised tokens/s", "again, by turns", "CPU s", "peak MB"])]
            text += [_line(["---"] * 5), *(_line(_tried(name, tried, last)) for name in names), ""]
    return "\n".join(text)


def _tried(name: str, tried: Sequence[Mapping[str, Result]], last: Sequence[Mapping[str, Result]]) -> list[str]:
    line = next(turn[name] for turn in reversed(tried) if name in turn)
    if "problem" in line:
        return [name, line["problem"].splitlines()[-1][:80].replace("|", "/"), "", "", ""]
    again = spread(values(last, name, RATE))
    other = " (other batches)" if "packing" in name else ""
    return [name + other, f"{line['result'][RATE]:.4g}", again, f"{line['cpu_s']:.0f}", str(line["result"]["peak_rss_mb"])]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="the folder that holds rows/ and models/")
    parser.add_argument("--peer", default=sys.executable, help="the Python that has TRL")
    parser.add_argument("--cases", nargs="+", metavar="WORD", help="only cases whose name has every word, such as: m60 LoRA")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--layout-turns", type=int, default=5, help="in how many of them ours is also run with packed and padded rows")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="for both sides alike")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one command")
    parser.add_argument("--sweep", action="store_true", help="first look for the peer's best setting")
    parser.add_argument("--sweep-steps", type=int, default=4)
    parser.add_argument("--by-cpu", action="store_true", help="rank the peer's settings by processor seconds: for a busy machine")
    parser.add_argument("--gpu", action="store_true", help="the model in the shape of Qwen3-0.6B on an accelerator")
    parser.add_argument("--log", type=Path, help="default: WORK/side_by_side.jsonl")
    args = parser.parse_args()
    log = Log(args.log or args.work / "side_by_side.jsonl", args.threads, args.timeout)
    bench = Bench(args.work, args.peer, log, args.steps, args.warmup, args.by_cpu, args.gpu)
    cases = [case for case in (GPU_CASES if args.gpu else CASES) if all(word in case.name.split() for word in args.cases or ())]
    for case in cases if args.sweep else ():
        sweep(bench, case, args.sweep_steps)
    for case in cases:
        measured(bench, case, args.turns, args.layout_turns)
    found = tables(bench, cases)
    log.path.with_suffix(".md").write_text(found + "\n", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
