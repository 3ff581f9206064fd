"""Tune: kept rows in, a bundle's tensors out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled
from luthier.core.interrupts import Interruption
from luthier.core.jsonvalue import Json
from luthier.core.loading import dump
from luthier.core.runs import Run
from luthier.methods import AnyMethod
from luthier.models.heads import Pooling
from luthier.models.load import Base, base_hash, load, load_config, load_tokenizer
from luthier.models.probe import Probed, probe
from luthier.objectives import AnyObjective, Classify, Imitate
from luthier.objectives.class_weights import class_weights
from luthier.prove import anchors
from luthier.prove.anchors import Anchors
from luthier.serve import bundle
from luthier.stages.recipe import Recipe
from luthier.stages.rows import Rowed, to_rows
from luthier.stages.step_files import shipped_steps
from luthier.text.batching import CutPlan, Layout
from luthier.text.rows import rows_digest
from luthier.text.stream import EpochStream
from luthier.train.allocator import keep_freed_memory
from luthier.train.costs import at_rest
from luthier.train.decide import Subject, decide, keeper_for, some_steps
from luthier.train.loop import FitResult, fit
from luthier.train.options import Train, learning_rate_for
from luthier.train.plan import Plan, read_plan, settle_plan
from luthier.train.precision import Precision, choose_precision
from luthier.train.state import TrainState, begin

MICRO_NODES = 8192
"""No micro-batch has more nodes than this, however much memory there is, unless one row has."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that training needs, before the first step: the same for `check`, `show` and `tune`."""

    base: Base
    probed: Probed
    objective: AnyObjective
    train: Rowed
    validation: Rowed
    max_tokens: int


def device() -> torch.device:
    """Where to compute: the accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def refuse_base(source: str) -> None:
    """Raise if a base model is not there or is no decoder, before anybody waits for the rows."""
    load_config(source)
    load_tokenizer(source)


def objective_of(recipe: Recipe, train: Sequence[AnyExample], max_tokens: int) -> AnyObjective:
    """What the task tells the model; a classifier's labels are those of the training rows, sorted."""
    if recipe.goal.task != "classify":
        return Imitate(window=max_tokens, smoothing=recipe.head.label_smoothing)
    counts = Counter(example.label for example in train if isinstance(example, Labelled) and example.label is not None)
    labels = sorted(counts)
    if len(labels) < 2:
        raise LuthierError(
            "the training rows", f"they hold {len(labels)} label, and telling apart needs two", "add rows with another label"
        )
    weights = class_weights([counts[label] for label in labels], recipe.head.class_weights)
    if recipe.head.class_weights != "equal" and not weights:
        fix = "remove it: they count the same as they are"
        raise LuthierError("[head] class_weights", f"would do nothing: each label has {counts[labels[0]]} training rows", fix)
    return Classify(tuple(labels), recipe.head.label_smoothing, weights)


def assemble(recipe: Recipe, train: Sequence[AnyExample], validation: Sequence[AnyExample], dtype: torch.dtype = torch.float32) -> Prepared:
    """Load the base, probe it, and turn the examples into rows.

    Raises:
        LuthierError: the base cannot be used, or rows cannot be rendered or are too long.

    """
    base = load(recipe.model.base, dtype, str(device()), recipe.model.weights, recipe.seed)
    asked = recipe.train.max_tokens or base.context
    if asked > base.context:
        raise LuthierError("[train] max_tokens", f"is {asked:,}, and the model reads {base.context:,}", "lower it, or leave it out")
    max_tokens = asked
    objective = objective_of(recipe, train, max_tokens)
    rowed = to_rows(train, objective, base.renderer, max_tokens, recipe.train.too_long)
    # Validation rows are measured, never learnt from: a long one is cut like a long prompt that is served.
    watched = to_rows(validation, objective, base.renderer, max_tokens, "error" if recipe.train.too_long == "error" else "cut")
    if not rowed.units:
        raise LuthierError(
            "the training rows", "none of them gives anything to learn", "check that rows have replies or labels, and [train] max_tokens"
        )
    return Prepared(base, probe(base.network, recipe.seed), objective, rowed, watched, max_tokens)


def cuts_for(recipe: Recipe, ready: Prepared) -> CutPlan:
    """What cuts may be made: of a forest where the probe allows it, one tree a row where the method draws random numbers."""
    layout: Layout = "packed" if ready.probed.layout == "forest" and recipe.method.is_random else ready.probed.layout
    return CutPlan(layout, max(MICRO_NODES, ready.max_tokens), ready.base.tokenizer.pad_id)


def give_head(recipe: Recipe, ready: Prepared) -> Pooling | None:
    """Give a classifier its head; says how it pools, None where the task needs no head."""
    if not isinstance(ready.objective, Classify):
        return None
    bundle.new_head(ready.base.network, ready.objective.n_scores, recipe.head.pooling)
    return recipe.head.pooling


@dataclass(frozen=True)
class Rows:
    """The prepared training and validation examples, and what their source was recognised as."""

    train: Sequence[AnyExample]
    validation: Sequence[AnyExample]
    layout: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Training:
    """A training before its first step, or before it goes on: what the loop is given."""

    plan: Plan
    state: TrainState
    stream: EpochStream
    options: Train
    pooling: Pooling | None


def held_dtype(method: AnyMethod, precision: Precision) -> torch.dtype:
    """The type in which the base's weights are held: only a frozen base may be held in a half one."""
    return precision.dtype if method.kind == "lora" else torch.float32


def start(recipe: Recipe, ready: Prepared, plan: Plan | Precision, fingerprint: str) -> Training:
    """Give the network its head and its method, and settle what the recipe leaves to us; the same whether or not it goes on.

    Of a training that begins, only the precision is known; the rest of its plan is decided here, by what this machine and
    this model need for micro-batches, which is measured once and remembered.
    """
    network, method, seed = ready.base.network, recipe.method, recipe.seed
    precision = plan.precision if isinstance(plan, Plan) else plan
    rest = at_rest(network)
    network.compute_dtype = precision.dtype
    pooling = give_head(recipe, ready)
    method.attach(network, seed)
    stream = EpochStream(ready.train.units, recipe.train.batch_rows, recipe.train.epochs, seed)
    if not isinstance(plan, Plan):
        longest = max(row.n_tokens for row in ready.train.rows)
        looked_at = [stream.rows(step) for step in some_steps(stream.n_steps, recipe.train.batch_rows)]
        plan = decide(Subject(network, ready.objective, longest), cuts_for(recipe, ready), looked_at, precision)
    network.attention_kernel = plan.kernel
    options = replace(recipe.train, learning_rate=learning_rate_for(recipe.train, method, network.width))
    state = begin(network, options.optimizer, fingerprint, seed if method.is_random else None)
    state.keeper = keeper_for(plan, rest) if network.device.type == "cpu" else None
    return Training(plan, state, stream, options, pooling)


def tune(recipe: Recipe, run: Run, rows: Rows, fingerprint: str, interruption: Interruption | None = None) -> dict[str, Json]:
    """Train and write the bundle's tensors; goes on from the newest checkpoint of the same fingerprint.

    Returns:
        what is worth recording: the fit, the layout, the counts, and why the numbers are what they are.

    """
    keep_freed_memory()
    where = device()
    # A run that goes on keeps the number type that it began with, whatever a new measurement would say.
    begun = read_plan(run.plan, fingerprint)
    precision = choose_precision(where, trained=recipe.method.kind == "full") if begun is None else begun.precision
    held = held_dtype(recipe.method, precision)
    ready = assemble(recipe, rows.train, rows.validation, held)
    # From here on the files change, the bundle's among them: what an earlier training made is no longer there.
    for stage in ("tune", "bundle"):
        run.done(stage).unlink(missing_ok=True)
    if begun is not None:
        torch.set_num_threads(begun.threads)
    training = start(recipe, ready, begun or precision, fingerprint)
    plan, differs = settle_plan(run.plan, fingerprint, lambda: training.plan, where)
    result = fit(
        training.state, ready.objective, training.stream, plan.cuts, training.options, run.folder, validation=ready.validation.rows,
        listeners=(Anchors(anchors.folder_of(run), training.stream.n_steps),), interruption=interruption,
    )  # fmt: skip
    base, method, network = ready.base, recipe.method, training.state.network
    card = bundle.Card(
        recipe.name, recipe.goal.task, recipe.model.base, base_hash(recipe.model.base), method.kind, ready.probed.layout, ready.max_tokens,
        _longest_reply(ready), ready.objective.labels if isinstance(ready.objective, Classify) else (), training.pooling, recipe.goal.about,
        rows.layout, rows.fields, recipe.data.format, dump(shipped_steps(recipe.prepare)), common_system(rows.train), fingerprint,
        str(held).removeprefix("torch."), plan.precision.name,
    )  # fmt: skip
    bundle.save(card, method, network, base.tokenizer, run.bundle)
    return _record(ready, result, plan.precision.why, training.options.learning_rate, differs)


def common_system(train: Sequence[AnyExample]) -> str:
    """The system prompt that every conversation begins with; '' where they differ or have none."""
    firsts = {example.messages[0].text if example.messages[0].role == "system" else "" for example in train if isinstance(example, Chat)}
    return firsts.pop() if len(firsts) == 1 else ""


def _longest_reply(ready: Prepared) -> int:
    """How long replies may be when they are generated: half again as long as all but a twentieth of those that were trained."""
    lengths = sorted(row.n_supervised for row in ready.train.rows)
    return max(16, min(math.ceil(1.5 * lengths[int(0.95 * (len(lengths) - 1))]), ready.max_tokens // 2))


def _n_stop_trained(ready: Prepared) -> int:
    """The rows whose last trained token is the one that ends a reply."""
    stop = ready.base.renderer.stop_id
    return sum(int(row.tokens[row.weights > 0][-1]) == stop for row in ready.train.rows if row.n_supervised)


def _record(ready: Prepared, result: FitResult, precision: str, rate: float | None, differs: tuple[str, ...]) -> dict[str, Json]:
    return {
        "fit": asdict(result),
        "layout": asdict(ready.probed),
        "precision": precision,
        "learning_rate": rate,
        "n_parameters": ready.base.n_parameters,
        "train": {**ready.train.counts(), "n_stop_trained": _n_stop_trained(ready)},
        "train_rows": rows_digest(ready.train.rows),
        "validation": dict(ready.validation.counts()),
        "differs": list(differs),
    }
