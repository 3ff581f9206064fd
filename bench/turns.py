"""Commands that take turns, and the log that remembers each: a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "268435456"}
"""glibc keeps what was freed, which our trainer asks for by itself; the peer gets it too, since it helps it as much."""

Result = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A program that prints one JSON line of the bench; `name` stands for it in tables."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Log:
    """JSON lines, each one command of one turn: its phase, case, turn, name and words, and its result or its problem."""

    path: Path
    threads: int
    timeout_s: float

    def lines(self) -> list[Result]:
        if not self.path.is_file():
            return []
        found = self.path.read_text(encoding="utf-8")
        if found and not found.endswith("\n"):  # it was killed while it wrote
            found = found[: found.rfind("\n") + 1]
            self.path.write_text(found, encoding="utf-8")
        return [json.loads(line) for line in found.splitlines()]

    def turns(self, phase: str, case: str) -> list[dict[str, Result]]:
        """The turns of a case as {name: line}; where a turn was run again, its last lines count."""
        found: dict[int, dict[str, Result]] = {}
        for line in self.lines():
            if (line["phase"], line["case"], line["threads"]) == (phase, case, self.threads):
                found.setdefault(line["turn"], {})[line["name"]] = line
        return [found[turn] for turn in sorted(found)]

    def run(self, phase: str, case: str, commands: Sequence[Command], n_turns: int) -> list[dict[str, Result]]:
        """All the turns; those that stand whole in the log with the same words are not run again."""
        done = self.turns(phase, case)
        for turn in range(n_turns):
            before = done[turn] if turn < len(done) else {}
            if all(before.get(one.name, {}).get("words") == list(one.words) for one in commands):
                continue
            first = turn % len(commands)  # no command always comes behind the same one
            for command in (*commands[first:], *commands[:first]):
                self._one(phase, case, turn, command)
        return self.turns(phase, case)

    def _one(self, phase: str, case: str, turn: int, command: Command) -> None:
        print(f"{time.strftime('%H:%M:%S')} {phase} {case} turn {turn + 1}: {command.name}", flush=True)
        line: Result = {"phase": phase, "case": case, "turn": turn, "name": command.name, "threads": self.threads, "words": command.words}
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        line |= outcome(command, {**MALLOC, "OMP_NUM_THREADS": str(self.threads), "HF_HUB_OFFLINE": "1"}, self.timeout_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        line["seconds"] = round(time.monotonic() - began, 1)
        line["cpu_s"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)
        if "problem" in line:
            print(f"  {line['problem'].splitlines()[-1]}", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def outcome(command: Command, environment: Mapping[str, str], timeout_s: float) -> Result:
    """What a command printed as its last JSON line, or why there is nothing."""
    try:
        done = subprocess.run(
            command.words, capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **environment}, check=False
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"it took more than {timeout_s:.0f} s"}
    found = [line for line in done.stdout.splitlines() if line.startswith('{"')]
    if done.returncode or not found:
        return {"problem": f"it ended with {done.returncode}: {(done.stderr.strip() or 'no word')[-600:]}"}
    return {"result": json.loads(found[-1])}


def values(turns: Sequence[Mapping[str, Result]], name: str, field: str) -> list[float]:
    """One number of a command, of each turn in which it came to a result."""
    return [turn[name]["result"][field] for turn in turns if "result" in turn.get(name, {})]


def ratios(turns: Sequence[Mapping[str, Result]], name: str, over: str, field: str) -> list[float]:
    """The same number of two commands, divided within each turn."""
    both = [turn for turn in turns if "result" in turn.get(name, {}) and "result" in turn.get(over, {})]
    return [turn[name]["result"][field] / turn[over]["result"][field] for turn in both]


def spread(numbers: Sequence[float], form: str = ".3g") -> str:
    """Median, least and greatest, for a table."""
    if not numbers:
        return "–"
    if len(numbers) == 1:
        return f"{numbers[0]:{form}}"
    return f"{statistics.median(numbers):{form}} ({min(numbers):{form}}–{max(numbers):{form}})"
