"""Check: what the rows are like and what a recipe will do, before it does it. Nothing is written to the run."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from luthier.core.cache import cache_folder, make_room
from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Pair
from luthier.core.files import text_hash, write_text
from luthier.core.jsonvalue import Json
from luthier.core.loading import Default
from luthier.core.page.words import counted
from luthier.core.progress import duration
from luthier.core.runs import Run
from luthier.data.execution.workers import Local, usable_processors
from luthier.data.profile.page import profile_page
from luthier.data.profile.troubles import Trouble, troubles_of
from luthier.evaluate.metrics import TUNED
from luthier.stages.beside import beside_of
from luthier.stages.engines import refuse_engine
from luthier.stages.prepare import Making, load_side, prepare
from luthier.stages.profile import about, model_of, power_of, profiled
from luthier.stages.recipe import SHAPE_OF_TASK, Recipe, defaulted, load_recipe
from luthier.stages.sources import verify
from luthier.stages.step_tools import tools_of
from luthier.stages.texts import dropped_lines, split_text, tokens_text, too_long_lines
from luthier.stages.tune import Prepared, assemble, device, held_dtype, start
from luthier.text.batching import CutPlan
from luthier.text.fidelity import fidelity
from luthier.text.renderer import as_chat
from luthier.text.stream import EpochStream
from luthier.train.allocator import keep_freed_memory
from luthier.train.loop import take_step
from luthier.train.optim import trained_parameters
from luthier.train.plan import Plan
from luthier.train.precision import Precision, choose_precision

N_LOOKED_AT = 200
"""Conversations whose rendering is looked at closely."""
_MB = 2**20


@dataclass(frozen=True)
class Checked:
    """What will happen: the rows, what training costs, every default with its reason, and what to be careful about."""

    prepared: Mapping[str, Any]
    rows: Mapping[str, int]
    cost: Mapping[str, Any]
    defaults: tuple[Default, ...]
    warnings: tuple[str, ...]
    settled: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """What a default that depends on the run comes to, by the option's path."""
    profile: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    """What the rows are like: the object of `data/profile.json`."""
    troubles: tuple[Trouble, ...] = ()
    power: tuple[str, ...] = ()
    """The smallest difference that the test rows can show, in words."""
    page: Path | None = None
    """Where the profile was written as a page, None where it could not be."""

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        defaults: list[Json] = [
            {"option": one.path, "value": _plain(self._value(one)), "about": one.about, "why": one.why} for one in self.defaults
        ]
        return {
            "prepare": dict(self.prepared),
            "rows": dict(self.rows),
            "cost": dict(self.cost),
            "defaults": defaults,
            "warnings": list(self.warnings),
            "troubles": [dataclasses.asdict(one) for one in self.troubles],
            "power": list(self.power),
            "profile": dict(self.profile),
            "page": None if self.page is None else str(self.page),
        }

    def _value(self, one: Default) -> object:
        return self.settled.get(one.path, one.value)

    def as_text(self) -> str:
        """For the terminal: whether anything stands in the way, what to do about it, what will happen, and every default."""
        found, rows, cost = self.prepared, self.rows, self.cost
        lines = [
            self.headline,
            found["recognised"],
            f"{found['read']:,} rows read, {found['kept']:,} kept: {split_text(found['split'])}",
            *dropped_lines(found["dropped"]),
            *(_tokens_lines(rows) if rows else ()),
            *self.power,
            *(f"! {one.title}. {one.do}" for one in self.troubles),
            *(f"! {warning}" for warning in self.warnings),
            *(() if self.page is None else (f"The rows in figures, with reasons: {self.page}",)),
        ]
        if not cost:
            return "\n".join(lines)
        lines += [
            "",
            "What training will be like:",
            f"layout {cost['layout']}: {cost['why_layout']}; {cost['nodes_per_token']:.2f} computed for each token of the rows",
            f"{cost['n_steps']:,} steps, learning rate {cost['learning_rate']:g}",
            f"{cost['n_trained']:,} parameters are trained; the base model has {cost['n_parameters']:,}",
            f"about {duration(max(1, cost['seconds']))} of training, as far as one step tells",
            *_machine_lines(cost),
            "",
            "Not said in the recipe:",
        ]
        for one in self.defaults:
            why = f"   ({one.why})" if one.why else ""
            lines.append(f"  {one.path} = {_shown(self._value(one))}{why}")
        return "\n".join(lines)

    @property
    def headline(self) -> str:
        """Whether anything stands in the way, in one line: whoever comes this far can train, if the task can be tuned."""
        ready = "Ready to tune" if self.cost else "Ready to prepare"
        n = len(self.troubles) + len(self.warnings)
        return f"{ready}, with {counted(n, 'thing')} to look at first." if n else f"{ready}: nothing was found that stands in the way."


def check_recipe(path: Path, overrides: Sequence[str], runs: Path, page: Path | None = None) -> Checked:
    """Prepare the rows in a folder that is thrown away, look at them, render them, and time one step.

    Args:
        path: the recipe's.
        overrides: `section.option=value` each.
        runs: the folder of runs; nothing in it is changed.
        page: where the profile's page goes; in the cache's folder unless told.

    Raises:
        LuthierError: everything that would stop the run.

    """
    recipe = load_recipe(path, overrides)
    verify(recipe.data)
    refuse_engine(recipe)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(runs / recipe.name)
        beside = beside_of(recipe, run, runs)
        if run.split.is_file():  # rows keep the sides that an earlier run gave them
            (Path(folder) / "data").mkdir()
            shutil.copy(run.split, Path(folder) / "data" / run.split.name)
            if run.kept.is_file():
                (Path(folder) / "data" / run.kept.name).symlink_to(run.kept.resolve())
        shape, making = SHAPE_OF_TASK[recipe.goal.task], Making(engine=Local(usable_processors()))
        found = prepare(recipe.data, recipe.prepare, recipe.seed, shape, Path(folder), beside, tools_of(recipe), making)
        looked = profiled(recipe, Path(folder) / "data", model_of(recipe))
        power = power_of(recipe, Path(folder))
        train, validation = (load_side(Path(folder), side) for side in ("train", "validation"))
    written = _write_page(profile_page(looked, about(recipe, found.as_dict(), power)), page, runs / recipe.name)
    seen = looked.as_dict(), troubles_of(looked), tuple(power), written
    if recipe.goal.task not in TUNED:
        said = f"The task {recipe.goal.task} can be prepared, and not be tuned yet: nothing is said of training."
        return Checked(found.as_dict(), {}, {}, defaulted(path, overrides), (*found.warnings, said), {"goal.metric": None}, *seen)
    keep_freed_memory()
    where = device()
    precision = choose_precision(where, trained=recipe.method.kind == "full")
    ready = assemble(recipe, train, validation, held_dtype(recipe.method, precision))
    cost = _cost(recipe, where, precision, ready)
    rows = {**ready.train.counts(), "max_tokens": ready.max_tokens}
    settled: dict[str, object] = {
        "goal.metric": recipe.goal.judged_by,
        "goal.beat": recipe.goal.to_beat,
        "train.learning_rate": cost["learning_rate"],
        "train.max_tokens": ready.max_tokens,
        "train.evaluate_every": recipe.train.n_between_evaluations(cost["n_steps"]),
    }
    warnings = (*found.warnings, *_warnings(recipe, ready))
    return Checked(found.as_dict(), rows, cost, defaulted(path, overrides), warnings, settled, *seen)


def _write_page(content: str, path: Path | None, run: Path) -> Path | None:
    """Write the profile's page where it was asked for, else where what may be made again is kept: check changes no run."""
    if path is not None:
        write_text(path, content)
        return path
    place = cache_folder() / "profiles" / f"{run.name}-{text_hash(str(run.resolve()))[:8]}.html"
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # the page quotes rows, which are nobody else's business
        write_text(place, content)
        place.chmod(0o600)
        make_room(place.parent)
    except (LuthierError, OSError):  # a cache that cannot be written is done without
        return None
    return place


def _tokens_lines(rows: Mapping[str, int]) -> list[str]:
    """How many tokens are trained, and whether any row is too long."""
    longest = f"the longest row has {rows['longest_tokens']:,} of {rows['max_tokens']:,}"
    return [f"{tokens_text(rows)}; {longest}", *(too_long_lines(rows) or ["no row is too long"])]


def _cost(recipe: Recipe, where: torch.device, precision: Precision, ready: Prepared) -> dict[str, Any]:
    """What training will take: it is planned as a run plans it, and one real step of a network that is thrown away is timed."""
    n_parameters = ready.base.n_parameters
    training = start(recipe, ready, precision, "")
    network, stream, plan = training.state.network, training.stream, training.plan
    rate = training.options.learning_rate
    assert rate is not None and plan.memory is not None, "both are settled where a training begins"
    network.train()
    rows = stream.rows(0)
    seconds = []
    for _ in range(2):
        began = time.monotonic()
        take_step(training.state, ready.objective, rows, plan.cuts, rate, recipe.train.clip)
        seconds.append(time.monotonic() - began)
    longest = max(row.n_read for row in ready.train.rows)
    held = sum(one.numel() * one.element_size() for one in network.decoder.parameters())
    share = sum(row.n_tokens for row in rows) / max(1, len(rows))
    mean = ready.train.counts()["n_tokens"] / max(1, len(ready.train.rows))
    return {
        "layout": plan.cuts.layout,
        "why_layout": ready.probed.reason,
        "computed_by": ready.probed.computed_by,
        "nodes_per_token": _nodes_per_token(plan.cuts, stream),
        "micro_batches_per_step": round(len(plan.cuts.cut(rows)), 2),
        "max_nodes": plan.cuts.max_nodes,
        "attention": attention_of(plan, where, needs_masks(network.decoder.config.get_text_config(), longest)),
        "precision": precision.name,
        "why_precision": precision.why,
        "threads": plan.threads,
        "recomputed_over": plan.cuts.recompute_over,
        "n_steps": stream.n_steps,
        "learning_rate": rate,
        "n_parameters": n_parameters,
        "n_trained": sum(one.numel() for one in trained_parameters(network).values()),
        "seconds": round(min(seconds) * stream.n_steps * mean / share, 1),
        "memory_mb": plan.memory.peak_mb,
        "model_mb": round(held / _MB),
        "budget_mb": plan.memory.budget_mb,
        "device": str(where),
    }


def attention_of(plan: Plan, where: torch.device, by_mask: bool = False) -> str:
    """Which code computes attention: that of padded rows, or a forest's, by branches and the faster kernel unless it goes `by_mask`."""
    if plan.cuts.layout == "padded":
        return "sequences"
    if where.type == "cuda":
        return "flex"
    return "trees" if by_mask else f"branches, {plan.kernel}"


def needs_masks(config: Any, longest: int) -> bool:
    """Whether a model's attention is more than branches know: a window shorter than the longest row, or capped scores."""
    window = getattr(config, "sliding_window", None)
    return getattr(config, "attn_logit_softcapping", None) is not None or (window is not None and longest > window)


def _machine_lines(cost: Mapping[str, Any]) -> list[str]:
    """How this machine will be used, and why so."""
    attention = {
        "sequences": "a sequence at a time, PyTorch's own",
        "trees": "each tree by a mask of its own, PyTorch's own: the model's window or capped scores need it",
        "flex": "by PyTorch's FlexAttention, which skips the blocks of the mask in which nothing is seen",
        "branches, products": "branch by branch, by plain products: measured here, they are faster than PyTorch's flash attention",
        "branches, flash": "branch by branch, by PyTorch's flash attention: measured here, it is faster than plain products",
    }[cost["attention"]]
    micro = f"{cost['micro_batches_per_step']:,} of at most {cost['max_nodes']:,} tokens, the cheapest cut by what was measured here"
    threads = f"{cost['threads']} thread{'s' if cost['threads'] > 1 else ''}"
    lines = [
        f"forward pass {cost['computed_by']}",
        f"attention {attention}",
        f"numbers in {cost['precision']}: {cost['why_precision']}",
        f"micro-batches a step: {micro}; {threads}",
        f"about {cost['memory_mb']:,} MB of memory above the model's {cost['model_mb']:,} MB; "
        f"up to {cost['budget_mb']:,} MB may be used (LUTHIER_MEMORY_MB)",
    ]
    if cost["recomputed_over"] is not None:
        lines.append(f"what has more than {cost['recomputed_over']:,} tokens is too large to keep, and is computed again for its gradient")
    return lines


def _nodes_per_token(cuts: CutPlan, stream: EpochStream) -> float:
    """Computed tokens for each token of the rows, over the first steps."""
    nodes = tokens = 0
    for step in range(min(8, stream.n_steps)):
        rows = stream.rows(step)
        nodes += sum(batch.n_nodes for batch in cuts.batches(rows))
        tokens += sum(row.n_tokens for row in rows)
    return round(nodes / max(1, tokens), 4)


def _warnings(recipe: Recipe, ready: Prepared) -> tuple[str, ...]:
    found = []
    if ready.probed.layout == "padded":
        found.append(f"rows are padded, and shared beginnings are computed again for each row: {ready.probed.reason}")
    elif recipe.method.is_random:
        found.append("dropout is random, so shared beginnings are computed again for each row")
    if ready.train.n_unsupervised:
        found.append(f"{ready.train.n_unsupervised:,} training examples give nothing to learn (no assistant turn with a weight)")
    chats = [as_chat(example) for example in ready.train.examples[:N_LOOKED_AT] if isinstance(example, Pair | Chat)]
    return (*found, *fidelity(ready.base.renderer, chats).lines())


def _plain(value: object) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(one) for name, one in vars(value).items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _shown(value: object) -> str:
    plain = _plain(value)
    if isinstance(plain, list) and all(isinstance(one, Mapping) and "kind" in one for one in plain):
        return ", ".join(_step(one) for one in plain if isinstance(one, Mapping))
    if isinstance(plain, list):
        return ", ".join(map(str, plain)) or "nothing"
    return "off" if plain is None else '""' if plain == "" else str(plain)


def _step(one: Mapping[str, Json]) -> str:
    """A step with its settings, as `length(min_characters = 1)`."""
    settings = ", ".join(f"{name} = {value}" for name, value in one.items() if name != "kind" and value is not None)
    return f"{one['kind']}({settings})" if settings else str(one["kind"])
