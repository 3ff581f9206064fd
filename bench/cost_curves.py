"""How the cost of one step grows with the rows of a batch, their length and the share that they have in common.

    python bench/cost_curves.py WORK/models/m10 --out docs/figures

Random tokens, LoRA of rank 16, one thread, the last tenth of each row trained; forest, packed and padded rows by turns. Each point is
measured in a process of its own that is forked from one with the model loaded, so that its peak of memory is its own. Seconds are the
processor's, the least of several steps; memory is what the step adds to the loaded model. Writes cost_curves.json, which is also the
log (points that stand in it are not measured again), and cost_curves.svg. The break-even point is the share from which the forest is
faster than both others.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luthier.core.examples import Chat
from luthier.core.messages import Message
from luthier.objectives import Imitate
from luthier.stages.bench import Asked, started
from luthier.text.batching import CutPlan
from luthier.text.rows import Row, make_row
from luthier.train.allocator import keep_freed_memory
from luthier.train.loop import take_step
from luthier.train.state import TrainState

LAYOUTS = ("forest", "packed", "padded")
Point = dict[str, Any]
USUAL: Point = {"rows": 16, "tokens": 256, "shared": 0.5}
"""What the two other quantities are while one varies."""
CURVES: dict[str, Sequence[float]] = {
    "rows": (1, 2, 4, 8, 16, 32, 64), "tokens": (64, 128, 256, 512, 1024, 2048), "shared": (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95),
}  # fmt: skip
NAMES = {"rows": "rows in a batch", "tokens": "tokens of a row", "shared": "share of a row that all rows begin with"}


def rows_of(point: Point, vocabulary: int) -> list[Row]:
    """Rows of random tokens. Their lengths vary by a quarter around the mean, as those of real rows do by more."""
    draw = np.random.default_rng(0)
    beginning = draw.integers(3, vocabulary, int(point["shared"] * point["tokens"])).tolist()
    rows = []
    for i in range(int(point["rows"])):
        n_own = max(2, round((point["tokens"] - len(beginning)) * draw.uniform(0.75, 1.25)))
        tokens = beginning + draw.integers(3, vocabulary, n_own).tolist()
        n_trained = min(n_own, max(1, len(tokens) // 10))
        rows.append(make_row(tokens, [0.0] * (len(tokens) - n_trained) + [1.0] * n_trained, id=str(i)))
    return rows


def measure(state: TrainState, cuts: CutPlan, rows: list[Row], n_steps: int, to: Connection) -> None:
    """Take steps in a forked process and tell the seconds of the fastest and the peak above what stood there before."""
    keep_freed_memory()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(n_steps):
        began = time.process_time()
        found = take_step(state, Imitate(), rows, cuts, 1e-4, 1.0)
        seconds.append(time.process_time() - began)
    peak_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    to.send({"seconds": round(min(seconds), 5), "peak_mb": round(peak_mb, 1), "nodes": found["n_nodes"], "tokens_read": found["n_tokens"]})


def forked(state: TrainState, cuts: CutPlan, rows: list[Row], n_steps: int) -> Point:
    """`measure` in a process of its own."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=measure, args=(state, cuts, rows, n_steps, there))
    child.start()
    there.close()
    found: Point = here.recv()
    child.join()
    return found


def examples() -> list[Chat]:
    """Conversations by which the plan of a run is made, about as long as the usual rows."""
    draw = np.random.default_rng(1)
    said = [" ".join(map(str, draw.integers(1000, size=70))) for _ in range(32)]
    return [Chat(str(i), (Message("user", said[2 * i]), Message("assistant", said[2 * i + 1]))) for i in range(16)]


def points() -> list[Point]:
    """Every point of every curve, once."""
    found = [{**USUAL, name: value, "layout": layout} for name, values in CURVES.items() for value in values for layout in LAYOUTS]
    return [point for i, point in enumerate(found) if point not in found[:i]]


def curve(measured: Sequence[Point], name: str, layout: str, field: str) -> tuple[list[float], list[float]]:
    """One line of the figure: where the others are as usual."""
    others = {key: value for key, value in USUAL.items() if key != name}
    mine = [one for one in measured if one["layout"] == layout and all(one[key] == value for key, value in others.items())]
    mine.sort(key=lambda one: one[name])
    return [one[name] for one in mine], [one[field] for one in mine]


def break_even(measured: Sequence[Point]) -> float | None:
    """The least share from which on the forest is faster than packed and padded rows, between two points by straight lines."""
    lines = {layout: curve(measured, "shared", layout, "seconds") for layout in LAYOUTS}
    share = lines["forest"][0]
    lead = [min(packed, padded) - forest for forest, packed, padded in zip(*(lines[layout][1] for layout in LAYOUTS), strict=True)]
    behind = [i for i, one in enumerate(lead) if one <= 0]
    if not behind:
        return share[0]
    last = behind[-1]
    if last == len(share) - 1:
        return None
    return share[last] + (share[last + 1] - share[last]) * -lead[last] / (lead[last + 1] - lead[last])


def draw(measured: Sequence[Point], path: Path) -> None:
    """Seconds above, memory below, a column for each quantity."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "luthier", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6.5), layout="constrained")
    for column, name in enumerate(CURVES):
        for row, (field, label) in enumerate((("seconds", "seconds a step"), ("peak_mb", "memory above the model (MB)"))):
            axis = axes[row][column]
            for layout, mark in zip(LAYOUTS, "os^", strict=True):
                axis.plot(*curve(measured, name, layout, field), marker=mark, label=layout)
            axis.set_xlabel(NAMES[name])
            axis.set_ylabel(label)
            axis.set_yscale("log")
            if name != "shared":
                axis.set_xscale("log", base=2)
                axis.set_xticks(CURVES[name], [str(value) for value in CURVES[name]])
            axis.grid(alpha=0.3)
    axes[0][0].legend()
    found = break_even(measured)
    if found is not None:
        axes[0][2].axvline(found, linestyle=":", color="grey")
        axes[0][2].set_title(f"the forest is faster from a share of {found:.2f} on", fontsize=9)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--steps", type=int, default=4, help="steps of each point; the fastest counts")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "cost_curves.json"
    measured: list[Point] = json.loads(log.read_text())["points"] if log.is_file() else []
    known = [{key: one[key] for key in (*USUAL, "layout")} for one in measured]
    torch.set_num_threads(1)  # a fork takes no threads along
    _, training = started(Asked(args.model, Path("random")), examples())
    state = training.state
    state.network.train()
    for point in points():
        if point in known:
            continue
        rows = rows_of(point, state.network.n_vocabulary)
        measured.append({**point, **forked(state, replace(training.plan.cuts, layout=point["layout"]), rows, args.steps)})
        print(json.dumps(measured[-1]), flush=True)
        said = {"model": Path(args.model).name, "threads": torch.get_num_threads(), "usual": USUAL, "break_even_share": None}
        if len(measured) == len(points()):
            said["break_even_share"] = break_even(measured)
        log.write_text(json.dumps({**said, "points": measured}, indent=1) + "\n")
    draw(measured, args.out / "cost_curves.svg")
    print(f"break-even at a shared share of {break_even(measured)}")


if __name__ == "__main__":
    main()
