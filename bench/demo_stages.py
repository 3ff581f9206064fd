"""Where the demo's processor seconds go: by stage, and in the evaluation by system.

    python bench/demo_stages.py WORK

Each stage is done as `luthier demo` does it, in one process, from an empty folder of runs and an empty cache, which are made in WORK;
what is there already is not done again. Seconds are the processor's, those of child processes included; wall seconds stand beside
them and mean nothing on a machine that is shared. The figures are printed and written to WORK/stages.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

BEGUN = time.monotonic()
Seconds = dict[str, dict[str, float]]


def processor_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@contextmanager
def timed(found: Seconds, name: str) -> Iterator[None]:
    """What is done within, under a name."""
    processor, wall = processor_s(), time.monotonic()
    yield
    found[name] = {"processor_s": round(processor_s() - processor, 1), "wall_s": round(time.monotonic() - wall, 1)}
    print(f"{name:32} {found[name]['processor_s']:7.1f} s of processor, {found[name]['wall_s']:7.1f} s", flush=True)


def measured(work: Path) -> dict[str, Any]:
    """Do the demo stage by stage; gives the seconds and, by system, the goal's metric."""
    os.environ["LUTHIER_CACHE"] = str(work / "cache")
    found: Seconds = {}
    with timed(found, "imports"):
        from luthier.core.runs import Run
        from luthier.demo.dirt import dirty_rows, write_csv
        from luthier.evaluate.report import RunFacts, evaluate
        from luthier.serve.bundle import read_card
        from luthier.stages import evaluate as evaluating
        from luthier.stages.demo import FOLDER, RECIPE, ROWS
        from luthier.stages.prepare import load_side
        from luthier.stages.recipe import load_recipe
        from luthier.stages.run import opened, run_prepare, run_prove, run_tune
    runs = work / "runs"
    with timed(found, "rows written"):
        write_csv(dirty_rows().rows, runs / FOLDER / ROWS)
        (runs / FOLDER / RECIPE).write_bytes(resources.files("luthier.demo").joinpath("recipe.toml").read_bytes())
    with opened(load_recipe(runs / FOLDER / RECIPE), runs, lambda text: None) as job:
        with timed(found, "prepare"):
            run_prepare(job)
        with timed(found, "tune"):
            tuned = run_tune(job)
        with timed(found, "prove"):
            run_prove(job, tuned)
        run = Run(job.run.folder)
        sides = evaluating.Sides(*(load_side(run.folder, side) for side in ("train", "validation", "test")))
        systems = []
        answered = evaluating.systems_of(job.recipe, run, read_card(run.bundle), sides, lambda: None)
        for name in ("tuned", "base", "few_shot", "simple ones"):
            with timed(found, f"evaluate: {name}"):
                systems += [next(answered)] if name != "simple ones" else list(answered)
        with timed(found, "evaluate: intervals, comparisons"):
            facts = RunFacts(run=job.recipe.name, data_hash="", seed=job.recipe.seed)
            report = evaluate(job.recipe.goal, evaluating.gold_of(job.recipe, sides.test), systems, facts).report
    total = {"processor_s": round(processor_s(), 1), "wall_s": round(time.monotonic() - BEGUN, 1)}
    metric = job.recipe.goal.judged_by
    against = {one.b: one for one in report.comparisons if one.metric == metric}
    told = {
        system.name: {
            metric: report.systems[system.name][metric].value,
            "p_holm": getattr(against.get(system.name), "p_holm", None),
            "about": system.about,
            "answers": [answer.text for answer in system.answers],
        }
        for system in systems
    }
    return {"seconds": {**found, "all": total}, "systems": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="a folder for the runs, the cache and the figures")
    work: Path = parser.parse_args().work
    found = measured(work)
    (work / "stages.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, system in found["systems"].items():
        print(name, {key: value for key, value in system.items() if key != "answers"})
    print("all", found["seconds"]["all"])


if __name__ == "__main__":
    main()
