"""Bundle: beside the tensors, what a person needs to trust and to run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from luthier.core.files import read_json, write_json, write_text
from luthier.core.jsonvalue import Json
from luthier.core.loading import dump
from luthier.core.runs import Run, done_detail
from luthier.models.load import locate
from luthier.serve.bundle import read_card
from luthier.serve.papers.container import container_text
from luthier.serve.papers.lock import lock_text
from luthier.serve.papers.model_card import Made, card_text
from luthier.serve.papers.wheel import write_wheel
from luthier.stages.recipe import Recipe
from luthier.stages.sources import source_hashes
from luthier.stages.step_files import shipped_steps


def finish(recipe: Recipe, run: Run, report: Mapping[str, Json]) -> None:
    """Put recipe, report, proofs, model card, locked requirements, Luthier itself and a container file into the bundle."""
    folder = run.bundle
    run.done("bundle").unlink(missing_ok=True)
    # The goal in words may have changed since the tensors were made, and files that steps name been moved: nothing else on the card.
    card = replace(read_card(folder), about=recipe.goal.about, prepare=dump(shipped_steps(recipe.prepare)))
    write_json(folder / "bundle.json", card.as_json())
    write_text(folder / "recipe.toml", dump(_shipped(recipe)))
    write_json(folder / "report.json", report)
    write_json(folder / "proofs.json", {"proofs": report["proofs"], "not_applicable": report["not_applicable"]})
    wheel = write_wheel(folder)
    write_text(folder / "requirements.lock", lock_text(wheel))
    base = None if card.base == "sprout" or card.method == "full" else locate(card.base)
    write_text(folder / "Containerfile", container_text(card, wheel, None if base is None else str(base)))
    write_text(folder / "README.md", card_text(card, report, _made(recipe, run), wheel))


def _shipped(recipe: Recipe) -> Recipe:
    """The recipe without the places where this machine has its files: their names and SHA-256 say which they are."""
    hashes = {Path(path).name: str(digest) for path, digest in source_hashes(recipe.data).items()}
    names = tuple(Path(one).name for one in _sources(recipe))
    source = names[0] if isinstance(recipe.data.source, str) else names
    return replace(recipe, data=replace(recipe.data, source=source, sha256=hashes), prepare=shipped_steps(recipe.prepare))


def _sources(recipe: Recipe) -> tuple[str, ...]:
    return (recipe.data.source,) if isinstance(recipe.data.source, str) else recipe.data.source


def _made(recipe: Recipe, run: Run) -> Made:
    """What the files of the stages before say of how the bundle came about."""
    prepared: Any = read_json(run.cleaning)
    details: Any = read_json(run.evaluation / "details.json")
    tuned: Any = done_detail(run, "tune")
    plan: Any = read_json(run.plan)
    precision = f"{plan['precision']['name']} ({plan['precision']['why']})"
    few = recipe.goal.judged_by in details["tuned"]["few_rows"]
    return Made(tuple(Path(one).name for one in _sources(recipe)), recipe.data.licence, prepared, tuned["result"], precision, few)
