"""Bundle: beside the tensors, what a person needs to trust and to run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata

from luthier.core.files import write_json, write_text
from luthier.core.jsonvalue import Json
from luthier.core.loading import dump
from luthier.core.runs import Run
from luthier.serve.bundle import Card, read_card
from luthier.stages.recipe import Recipe

_LOCKED = ("luthier", "torch", "transformers", "tokenizers", "safetensors", "numpy")


def finish(recipe: Recipe, run: Run, report: Mapping[str, Json]) -> None:
    """Put recipe, report, proofs, model card and locked requirements into the bundle."""
    folder = run.bundle
    run.done("bundle").unlink(missing_ok=True)
    # The goal in words may have changed since the tensors were made; nothing else on the card can have.
    write_json(folder / "bundle.json", replace(read_card(folder), about=recipe.goal.about).as_json())
    write_text(folder / "recipe.toml", dump(recipe))
    write_json(folder / "report.json", report)
    write_json(folder / "proofs.json", {"proofs": report["proofs"], "not_applicable": report["not_applicable"]})
    write_text(folder / "requirements.lock", "".join(f"{name}=={metadata.version(name)}\n" for name in _LOCKED))
    write_text(folder / "README.md", card_text(read_card(folder), report))


def card_text(card: Card, report: Mapping[str, Json]) -> str:
    """The model card: what it is for, how good it is, and how to run it."""
    goal, systems = report["goal"], report["systems"]
    assert isinstance(goal, Mapping), "the contract's goal is an object"
    assert isinstance(systems, Mapping), "the contract's systems are an object"
    lines = [
        "---", f"base_model: {card.base}", "library_name: luthier", "tags: [luthier, " + card.task + "]", "---", "", f"# {card.name}", "",
        card.about or f"A model for the task *{card.task}*.", "", f"Verdict of its evaluation: **{report['verdict']}**.", "",
    ]  # fmt: skip
    for reason in report["reasons"] or ():  # type: ignore[union-attr]
        assert isinstance(reason, Mapping), "the contract's reasons are objects"
        lines.append(f"- {'holds' if reason['holds'] else 'does not hold'}: {reason['claim']} ({reason['evidence']})")
    lines += ["", f"| system | {goal['metric']} | 95 % interval | rows |", "|---|---|---|---|"]
    for name, found in systems.items():
        one = found.get(str(goal["metric"])) if isinstance(found, Mapping) else None
        if isinstance(one, Mapping) and one.get("value") is not None:
            lines.append(f"| {name} | {one['value']:.3f} | {one['low']:.3f} to {one['high']:.3f} | {one['n']} |")
    how = "luthier predict FOLDER_OF_THIS_FILE rows.csv -o answers.csv"
    lines += ["", "## How to run it", "", "    pip install -r requirements.lock", f"    {how}", ""]
    lines += [f"Tuned by {card.method} from `{card.base}`; rows of up to {card.max_tokens:,} tokens. Proofs stand in `proofs.json`.", ""]
    return "\n".join(lines)

