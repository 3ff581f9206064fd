"""The loop as stages that meet only in files; what is done for the same inputs is skipped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from luthier.core import runs
from luthier.core.errors import LuthierError
from luthier.core.files import file_hash, read_json, write_json, write_text
from luthier.core.interrupts import Interruption, interruptible
from luthier.core.jsonvalue import Json
from luthier.core.loading import dump
from luthier.core.proofs import Proofs, proofs_from
from luthier.core.runs import Run
from luthier.data.execution.workplace import clear
from luthier.data.steps import TokenLength
from luthier.evaluate.report import RunFacts, versions
from luthier.models.load import base_hash
from luthier.stages import bundle as bundle_stage
from luthier.stages import prove as prove_stage
from luthier.stages.beside import beside_hashes, beside_of
from luthier.stages.engines import engine_of
from luthier.stages.evaluate import Sides, evaluate_run
from luthier.stages.prepare import Making, load_side, prepare
from luthier.stages.profile import profile_stage
from luthier.stages.recipe import SHAPE_OF_TASK, Recipe, refuse_untuned
from luthier.stages.report import write_page
from luthier.stages.sources import source_hashes, verify
from luthier.stages.step_files import step_hashes
from luthier.stages.step_tools import tools_of
from luthier.stages.texts import prepared_text, proofs_text, tuned_text
from luthier.stages.tune import Rows, refuse_base, tune

FORMATS: Mapping[str, int] = {"prepare": 3, "profile": 1, "tune": 6, "prove": 4, "evaluate": 5, "page": 4, "bundle": 5}
"""A stage's number is raised whenever its output would change."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A recipe, the run that it makes, and how to tell people what is going on."""

    recipe: Recipe
    run: Run
    say: Say
    interruption: Interruption

    @property
    def runs_folder(self) -> Path:
        """Where this run stands beside others, and the ledger of looks."""
        return self.run.folder.parent


@contextlib.contextmanager
def opened(recipe: Recipe, runs_folder: Path, say: Say) -> Iterator[Job]:
    """The run of a recipe, locked for this process; signals ask it to stop between two steps.

    Input that is refused before anything was made of it leaves no folder behind.
    """
    folder = runs_folder / recipe.name
    absent = [one for one in (folder, *folder.parents) if not one.exists()]
    with runs.lock(Run(folder)) as run, interruptible() as interruption:
        try:
            yield Job(recipe, run, say, interruption)
        except LuthierError:
            _remove_empty(run, absent)
            raise


def _remove_empty(run: Run, made: Sequence[Path]) -> None:
    """Remove a run that holds nothing but its lock, and the folders that were made for it, the innermost first."""
    if run.folder in made and [one.name for one in run.folder.iterdir()] == [run.lock_file.name]:
        run.lock_file.unlink()
        with contextlib.suppress(OSError):
            for one in made:
                one.rmdir()


def run_prepare(job: Job) -> dict[str, Json]:
    """Rows in, kept and dropped rows out; gives the object of `luthier prepare --json`."""
    recipe = job.recipe
    inputs: dict[str, Json] = {
        # The licence changes no row, it only stands on the model card; nor does it matter to the rows what engine the work is done on.
        "data": {name: value for name, value in asdict(recipe.data).items() if name not in ("licence", "engine")},
        "prepare": _plain(recipe.prepare),
        "seed": recipe.seed,
        "task": recipe.goal.task,
    }
    verify(recipe.data)
    beside = beside_of(recipe, job.run, job.runs_folder)
    inputs |= beside_hashes(beside, job.runs_folder)
    if any(isinstance(step, TokenLength) for step in recipe.prepare.steps):
        inputs["base"] = base_hash(recipe.model.base)
    fingerprint = runs.fingerprint({**inputs, "files": {**source_hashes(recipe.data), **step_hashes(recipe.prepare)}})

    def work() -> dict[str, Json]:
        shape, tools = SHAPE_OF_TASK[recipe.goal.task], tools_of(recipe)
        with engine_of(recipe, job.say) as engine:
            making = Making(fingerprint, engine, pause=job.interruption.check)
            found = prepare(recipe.data, recipe.prepare, recipe.seed, shape, job.run.folder, beside, tools, making).as_dict()
        _keep_recipe(job)
        return found

    found = _stage(job, "prepare", fingerprint, work)
    clear(job.run.data)  # another recipe's work may have been stopped here
    _keep_recipe(job)
    _stage(job, "profile", *profile_stage(recipe, job.run, found))
    return found


def _keep_recipe(job: Job) -> None:
    """Write the resolved recipe beside the rows that it gave, unless it stands there already."""
    resolved = dump(job.recipe)
    if not job.run.recipe.is_file() or job.run.recipe.read_text(encoding="utf-8") != resolved:
        write_text(job.run.recipe, resolved)


def run_tune(job: Job) -> dict[str, Json]:
    """Prepared rows in, a bundle's tensors out; gives what training was like."""
    recipe = job.recipe
    refuse_untuned(recipe.goal.task)
    refuse_base(recipe.model.base)
    prepared = run_prepare(job)
    job.say(prepared_text(prepared, job.run.folder))
    fingerprint = tuning_fingerprint(job)

    def work() -> dict[str, Json]:
        folder = job.run.folder
        rows = Rows(load_side(folder, "train"), load_side(folder, "validation"), str(prepared["layout"]), prepared["fields"])  # type: ignore[arg-type]
        return tune(recipe, job.run, rows, fingerprint, job.interruption)

    return _stage(job, "tune", fingerprint, work)


def tuning_fingerprint(job: Job) -> str:
    """A hash of all that shapes what a training of the prepared rows comes to."""
    recipe = job.recipe
    inputs: dict[str, Json] = {
        "kept": file_hash(job.run.kept),
        "base": base_hash(recipe.model.base),
        "sections": {name: _plain(getattr(recipe, name)) for name in ("model", "head", "method")},
        "train": _training(recipe),
        "seed": recipe.seed,
        "task": recipe.goal.task,
        "format": FORMATS["tune"],
    }
    return runs.fingerprint(inputs)


def run_prove(job: Job, tuned: Mapping[str, Json]) -> Proofs:
    """The run's proofs, made on the bundle and the files as they are now."""
    recipe, run = job.recipe, job.run
    inputs: dict[str, Json] = {"tune": _done_fingerprint(run, "tune"), "files": prove_stage.files_hash(run)}
    found = _stage(job, "prove", runs.fingerprint(inputs), lambda: prove_stage.prove(recipe, run, tuned, job.interruption.check))
    proofs = proofs_from(found)
    job.say(proofs_text(proofs))
    return proofs


def run_evaluate(job: Job) -> dict[str, Json]:
    """The bundle against its rivals; gives the report."""
    if not job.recipe.data.split.wants("test"):
        fix = "give it a share, or stop after `luthier tune`"
        raise LuthierError("recipe [data.split] test", "is 0, so there is nothing to evaluate on", fix)
    tuned = run_tune(job)
    job.say(tuned_text(tuned, job.run.folder))
    recipe, run = job.recipe, job.run
    proofs = run_prove(job, tuned)
    inputs: dict[str, Json] = {
        "tune": _done_fingerprint(run, "tune"),
        "proofs": proofs.as_json(),
        "goal": _plain(recipe.goal),
        "group": recipe.data.group,
        "seed": recipe.seed,
    }

    def work() -> dict[str, Json]:
        job.interruption.check()
        cleaning: Any = read_json(run.cleaning)
        sides = Sides(*(load_side(run.folder, side) for side in ("train", "validation", "test")))
        facts = RunFacts(
            run=recipe.name,
            data_hash=cleaning["test_hash"],
            seed=recipe.seed,
            versions=versions(),
            proofs=proofs.proofs,
            not_applicable=proofs.not_applicable,
        )
        found = evaluate_run(recipe, run, sides, facts, job.runs_folder, job.interruption.check)
        shortened: dict[str, Json] = {system.name: system.shortened for system in found.systems if system.shortened}
        return {"looks": found.report.facts.looks, "shortened": shortened}

    told: Any = _stage(job, "evaluate", runs.fingerprint(inputs), work)
    for name, said in told["shortened"].items():
        job.say(f"! {name}: {said}")
    report = _with_seconds(run)
    _stage(job, "page", runs.fingerprint({"report": _timeless(report)}), lambda: {"page": write_page(run).name})
    return _with_seconds(run)


def run_all(job: Job) -> dict[str, Json]:
    """Every stage; gives the report."""
    report = run_evaluate(job)
    inputs: dict[str, Json] = {
        "report": _timeless(report),
        "about": job.recipe.goal.about,
        "licence": job.recipe.data.licence,
    }

    def work() -> dict[str, Json]:
        bundle_stage.finish(job.recipe, job.run, report)
        return {}

    _stage(job, "bundle", runs.fingerprint(inputs), work)
    return _with_seconds(job.run)


def run(recipe: str | Path, *, overrides: Sequence[str] = (), runs_folder: str | Path = "runs") -> dict[str, Json]:
    """The whole loop from Python; gives the report.

    Args:
        recipe: path of a recipe.
        overrides: `section.option=value` each, as `--set` takes them.
        runs_folder: the folder of runs.

    Raises:
        LuthierError: everything that is wrong with the recipe or the data.

    """
    from luthier.stages.recipe import load_recipe

    with opened(load_recipe(Path(recipe), overrides), Path(runs_folder), lambda text: None) as job:
        return run_all(job)


def _stage(job: Job, name: str, fingerprint: str, work: Callable[[], dict[str, Json]]) -> dict[str, Json]:
    """Do a stage, or read what it said when it was done for the same inputs."""
    if runs.stage_is_done(job.run, name, fingerprint, FORMATS[name]):
        detail = runs.done_detail(job.run, name)
        assert isinstance(detail, Mapping), "every stage records an object"
        result = detail["result"]
        assert isinstance(result, Mapping), "every stage records its result"
        job.say(f"{name}: done before, for the same inputs")
        return dict(result)
    job.interruption.check()
    job.say(f"{name} …")
    began = time.monotonic()
    result = work()
    runs.mark_done(job.run, name, fingerprint, {"result": result, "seconds": round(time.monotonic() - began, 1)}, FORMATS[name])
    return result


def _done_fingerprint(run: Run, stage: str) -> str:
    """What a stage that is done was done for."""
    done = read_json(run.done(stage))
    assert isinstance(done, Mapping), "a stage that is done has said so"
    return str(done["fingerprint"])


def _seconds(run: Run) -> dict[str, float]:
    """Seconds by stage, of the stages that are done."""
    found: dict[str, float] = {}
    for name in FORMATS:
        detail = runs.done_detail(run, name)
        if isinstance(detail, Mapping) and isinstance(detail.get("seconds"), int | float):
            found[name] = float(detail["seconds"])  # type: ignore[arg-type]
    return found


def _with_seconds(run: Run) -> dict[str, Json]:
    """The report, with the seconds of every stage that is done by now."""
    report = read_json(run.report)
    assert isinstance(report, Mapping), "the report is an object"
    seconds = _seconds(run)
    if report["seconds"] != seconds:
        report = {**report, "seconds": seconds}
        write_json(run.report, report)
    return dict(report)


def _timeless(report: Mapping[str, Json]) -> dict[str, Json]:
    """The report without what may differ between two runs of the same."""
    return {name: value for name, value in report.items() if name != "seconds"}


def _plain(section: Any) -> dict[str, Json]:
    return asdict(section)


def _training(recipe: Recipe) -> dict[str, Json]:
    """The options that shape the result; how often it is saved does not."""
    return asdict(replace(recipe.train, save_every_s=0.0))
