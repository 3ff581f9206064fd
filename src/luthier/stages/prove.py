"""Prove: what a run shows about itself, on its own model and rows, before anybody judges it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.core.files import file_hash, read_json, write_json
from luthier.core.jsonvalue import Json
from luthier.core.proofs import Found, NotApplicable, Proof, collect
from luthier.core.runs import Run, fingerprint
from luthier.data.kept.prepared import read_rows
from luthier.data.sides.certificate import Certificate
from luthier.methods import LoRA
from luthier.models.load import load_tokenizer
from luthier.models.probe import compute_as
from luthier.objectives import AnyObjective, Classify
from luthier.prove.gradients import Subject, any_cut_same_gradient, ask_for_gradients, forest_equals_padded
from luthier.prove.merging import merged_equals_adapter
from luthier.prove.prompts import served_prompts_equal_trained, served_texts_equal_trained, trained_prompts
from luthier.prove.rows import Units, every_row_supervised, label_map_round_trips, stop_token_trained, without_replies_or_labels
from luthier.prove.sample import limit_of, telling_rows, tokens_allowed, tokens_of_a_process
from luthier.prove.sides import split_certificate, test_untouched
from luthier.serve.bundle import Tuned, open_bundle, read_card
from luthier.serve.requests import prompt_tokens
from luthier.stages.recipe import Recipe
from luthier.stages.resume import fingerprint_of, prove_resuming
from luthier.stages.rows import Rowed, to_rows
from luthier.stages.tune import MICRO_NODES, device, objective_of
from luthier.text.batching import Costs, CutPlan
from luthier.text.renderer import Renderer
from luthier.text.rows import rows_digest
from luthier.train.journal import read_entries
from luthier.train.plan import Plan, read_plan

N_DRAWN_TO_CUT = 6


def prove(recipe: Recipe, run: Run, tuned: Mapping[str, Any], pause: Callable[[], None]) -> dict[str, Json]:
    """Make every proof of the contract that applies, and write `proofs.json`.

    Args:
        recipe: the resolved recipe.
        run: the run, prepared and tuned; its bundle's tensors are in place.
        tuned: what the tune stage recorded.
        pause: called between two proofs; it raises where somebody has asked to stop.

    Returns:
        the content of `proofs.json`, and the seconds of each proof.

    """
    seconds: dict[str, float] = {}

    def timed() -> Iterator[tuple[str, Found]]:
        began = time.monotonic()
        for name, found in _proofs(recipe, run, tuned, pause):
            seconds[name] = round(time.monotonic() - began, 2)
            yield name, found
            pause()
            began = time.monotonic()

    proofs = collect(timed())
    write_json(run.proofs, proofs.as_json())
    return {**proofs.as_json(), "seconds": dict(seconds)}


_OF_BUNDLE = ("tokenizer", "special_tokens", "added_tokens", "vocab", "chat_template", "config", "adapter_config")
"""How the names of a bundle's small files begin that say what is read and computed."""


def files_hash(run: Run) -> str:
    """SHA-256 over the files that the proofs are about and that a person might edit: rows, sides, and the bundle but for its tensors."""
    files = [run.kept, run.cleaning, run.split]
    files += [one for one in run.bundle.iterdir() if one.name.startswith(_OF_BUNDLE) and one.suffix != ".safetensors"]
    hashes = {str(path.relative_to(run.folder)): file_hash(path) for path in files}
    card = {name: value for name, value in read_card(run.bundle).as_json().items() if name != "about"}
    return fingerprint({"files": hashes, "card": card})


def _proofs(recipe: Recipe, run: Run, tuned: Mapping[str, Any], pause: Callable[[], None]) -> Iterator[tuple[str, Found]]:
    cleaning: Any = read_json(run.cleaning)
    split: Any = read_json(run.split)
    kept = list(read_rows(run.data))
    yield "split_certificate", split_certificate(kept, Certificate(**cleaning["certificate"]))
    test = [example for example, side in kept if side == "test"]
    learnt = {example.id for example, side in kept if side != "test"}
    yield "test_untouched", test_untouched(test, (cleaning["test_hash"], split["test_sha256"]), learnt)
    # The fresh process needs as much room as training did, so nothing else is in memory yet.
    yield "resumed_equals_straight", prove_resuming(run, pause, _tokens_of_a_process(run, tuned))
    bundle = open_bundle(run.bundle, torch.float32, str(device()))
    rows = _rows(recipe, [example for example, side in kept if side == "train"], bundle)
    yield from _about_rows(recipe, rows, bundle, tuned)
    yield from _about_numbers(recipe, run, rows, bundle, tuned)


def _tokens_of_a_process(run: Run, tuned: Mapping[str, Any]) -> int:
    half = _plan_of(run).precision.dtype != torch.float32
    return tokens_of_a_process(int(tuned["n_parameters"]), half, device().type)


def _plan_of(run: Run) -> Plan:
    plan = read_plan(run.plan, fingerprint_of(run))
    assert plan is not None, "a run that is trained has its plan"
    return plan


@dataclass(frozen=True, eq=False)
class _Rendered:
    """The training rows, rendered anew with the base's own tokenizer as `tune` does it, and what they were before any cut."""

    objective: AnyObjective
    rowed: Rowed
    uncut: Units


def _rows(recipe: Recipe, train: Sequence[AnyExample], bundle: Tuned) -> _Rendered:
    objective = objective_of(recipe, train, bundle.card.max_tokens)
    renderer = Renderer(load_tokenizer(recipe.model.base))
    rowed = to_rows(train, objective, renderer, bundle.card.max_tokens, recipe.train.too_long, anew=True)
    uncut = rowed.units if not rowed.n_too_long else [objective.rows(example, renderer) for example in rowed.examples]
    return _Rendered(objective, rowed, uncut)


def _about_rows(recipe: Recipe, rows: _Rendered, bundle: Tuned, tuned: Mapping[str, Any]) -> Iterator[tuple[str, Found]]:
    rowed, task, labels = rows.rowed, recipe.goal.task, bundle.card.labels
    as_trained = rows_digest(rowed.rows) == tuned["train_rows"]
    yield "every_row_supervised", every_row_supervised(rowed.units, rowed.n_unsupervised, rowed.n_dropped, as_trained)
    yield from without_replies_or_labels(task)
    served = "served_prompt_equals_trained_prompt"
    if task == "classify":
        assert bundle.network.head is not None, "a classifier has a head"
        n_scores = bundle.network.head.linear.out_features
        yield "label_map_round_trips", label_map_round_trips(rowed.units, rowed.examples, labels, n_scores)
        reader = Classify(labels)
        yield served, served_texts_equal_trained(
            rows.uncut, rowed.examples, lambda text: reader.rows(Labelled("", text, None), bundle.renderer)[0].tokens.tolist()
        )
        return
    if task == "pretrain":
        yield served, NotApplicable("plain text is continued: no prompt stands before what is trained")
        return
    yield "stop_token_trained", _stops(rowed, bundle)
    prompts = list(trained_prompts(rows.uncut, rowed.examples, Renderer(load_tokenizer(recipe.model.base)).stop_id))
    yield served, served_prompts_equal_trained(prompts, lambda body: prompt_tokens(bundle.tokenizer, body), recipe.seed, rowed.n_cut)


def _stops(rowed: Rowed, bundle: Tuned) -> Found:
    try:
        stop = bundle.renderer.stop_id
    except LuthierError as error:
        return Proof(False, f"the saved bundle has no stop token: {error}")
    return stop_token_trained(rowed.units, rowed.examples, stop, rowed.n_dropped)


def cuts_to_prove(plan: Plan) -> CutPlan:
    """Training's layout with as few micro-batches as memory allows.

    They have half of the nodes that training's might have had, float32 being wider, but no fewer than those did have.
    Where smaller ones were cheaper, rows that share a beginning could stand apart, and nothing that is shared be compared.
    """
    if plan.memory is None:
        return replace(plan.cuts, costs=Costs())
    fits = plan.memory.budget_mb * 2**20 // max(1, 2 * plan.memory.node_bytes)
    return replace(plan.cuts, max_nodes=max(plan.memory.n_nodes, min(MICRO_NODES, fits)), costs=Costs())


def _about_numbers(recipe: Recipe, run: Run, rows: _Rendered, bundle: Tuned, tuned: Mapping[str, Any]) -> Iterator[tuple[str, Found]]:
    plan = _plan_of(run)
    ask_for_gradients(bundle.network)
    compute_as(bundle.network, tuned["layout"]["computed_by"])
    bundle.network.attention_kernel = plan.kernel
    subject = Subject(bundle.network, rows.objective, cuts_to_prove(plan), recipe.seed)
    trained = sum(int(entry["n_tokens"]) for entry in read_entries(run.metrics) if entry["event"] == "step")
    n_tokens = tokens_allowed(trained, int(tuned["n_parameters"]), plan.precision.dtype != torch.float32, device().type)
    limit = limit_of(rows.rowed.rows, n_tokens)
    telling = telling_rows(rows.rowed.rows, recipe.seed, n_tokens=n_tokens)
    yield "forest_equals_padded", forest_equals_padded(subject, telling, tuned["layout"]["reason"], limit)
    more = telling_rows(rows.rowed.rows, recipe.seed, N_DRAWN_TO_CUT, n_tokens)
    yield "any_cut_same_gradient", any_cut_same_gradient(subject, more, limit)
    if not recipe.method.mergeable:
        yield "merged_equals_adapter", NotApplicable(f"{recipe.method.kind} tuning has nothing to merge")
        return
    yield "merged_equals_adapter", merged_equals_adapter(bundle.network, LoRA.of(run.bundle), telling, plan.cuts)
