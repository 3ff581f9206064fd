"""Bench: how fast a model is tuned on a file of conversations, by the same path that a run takes, as one JSON object."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch

from luthier import __version__
from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import Chat
from luthier.core.jsonvalue import Json
from luthier.core.progress import progress
from luthier.data.files.record import OR_DROP, BadRow, RowError
from luthier.data.readers import Jsonl
from luthier.data.shapes.openai_chat import OpenAIChat
from luthier.data.source.reading import Data
from luthier.data.source.survey import survey
from luthier.evaluate.verdict import Goal
from luthier.methods import Full, LoRA
from luthier.stages.recipe import Model, Recipe
from luthier.stages.tune import Prepared, Training, assemble, device, held_dtype, start
from luthier.text.batching import Layout
from luthier.text.rows import Row
from luthier.train.allocator import keep_freed_memory
from luthier.train.loop import take_step
from luthier.train.optim import AdamW
from luthier.train.options import Train
from luthier.train.plan import Plan
from luthier.train.precision import choose_precision

RANK, ALPHA = 16, 32.0


@dataclass(frozen=True)
class Asked:
    """What is measured: a model, a file of conversations, and how it is trained; all but these two as the command's options say."""

    model: str
    rows: Path
    steps: int = 16
    warmup: int = 3
    batch: int = 16
    learning_rate: float = 2e-4
    full: bool = False
    seed: int = 0

    def recipe(self) -> Recipe:
        """The same as a recipe: what it leaves at its defaults, a run would leave there too."""
        train = Train(
            batch_rows=self.batch, learning_rate=self.learning_rate, schedule="constant", warmup_frac=0.0,
            optimizer=AdamW(weight_decay=0.0), clip=1.0, too_long="drop",
        )  # fmt: skip
        method = Full() if self.full else LoRA(rank=RANK, alpha=ALPHA)
        data = Data(source=str(self.rows), format="jsonl")
        return Recipe(
            name="bench", goal=Goal(task="chat"), data=data, model=Model(self.model), method=method, train=train, seed=self.seed
        )

    def complaints(self) -> Complaints:
        """Numbers that leave nothing to measure."""
        found = Complaints()
        if not self.warmup < self.steps:
            found.add("--warmup", f"is {self.warmup}, and of {self.steps} steps none is left to measure", "give more --steps")
        if not 0 < self.learning_rate <= 1:
            found.add("--lr", f"is {self.learning_rate:g}", "give a number above 0 and at most 1")
        return found


@dataclass(frozen=True)
class Taken:
    """The steps, one entry each: when it ended, its loss, and what it was made of. `ready_s` is when the first began."""

    ready_s: float
    ended_s: tuple[float, ...]
    losses: tuple[float, ...]
    rows: tuple[int, ...]
    tokens: tuple[int, ...]
    supervised: tuple[int, ...]
    nodes: tuple[int, ...]

    def rates(self, warmup: int) -> dict[str, Json]:
        """Rates from the end of step `warmup` to the end of the last, and the two losses that tell whether two programs did the same."""
        ended = (self.ready_s, *self.ended_s)[warmup:]
        span_s = ended[-1] - ended[0]
        n_tokens = sum(self.tokens[warmup:])
        return {
            "nodes_per_token": round(sum(self.nodes[warmup:]) / n_tokens, 4),
            "rows_per_s": round(sum(self.rows[warmup:]) / span_s, 3),
            "supervised_tokens_per_s": round(sum(self.supervised[warmup:]) / span_s, 1),
            "tokens_per_s": round(n_tokens / span_s, 1),
            "step_s_median": round(statistics.median(after - before for before, after in pairwise(ended)), 4),
            "first_loss": round(self.losses[0], 4),
            "last_loss": round(self.losses[-1], 4),
            "wall_s": round(self.ended_s[-1] - self.ready_s, 3),
        }


def bench(asked: Asked, began_s: float, layout: Layout | None = None) -> dict[str, Json]:
    """Train for a few steps, with rows in the file's order, and say how fast it went. Nothing is written.

    Args:
        asked: what to measure.
        began_s: when the program began, by `time.perf_counter`; `setup_s` counts from then to the first step.
        layout: how rows are laid out, against what the probe and the method say; only comparisons want this.

    Raises:
        LuthierError: a number or a file that cannot be used; each line of the file that is wrong, up to 20.

    """
    asked.complaints().raise_if_any()
    chats = read_chats(asked.rows)
    keep_freed_memory()
    ready, training = started(asked, chats)
    plan = training.plan
    if layout is not None:
        plan = replace(plan, cuts=replace(plan.cuts, layout=layout))
    taken = _take(asked, ready, training, plan)
    held = next(training.state.network.decoder.parameters()).dtype
    found: dict[str, Json] = {
        "peer": "luthier",
        "versions": {"luthier": __version__, "torch": str(torch.__version__)},
        "workload": asked.rows.stem,
        "model": Path(asked.model).name or asked.model,
        "method": "full" if asked.full else f"lora{RANK}",
        "precision": precision_name(plan.precision.dtype, held),
        "layout": plan.cuts.layout,
        "options": {"attention": plan.kernel, "max_nodes": plan.cuts.max_nodes, "threads": plan.threads, "why": plan.precision.why},
        **taken.rates(asked.warmup),
        "setup_s": round(taken.ready_s - began_s, 3),
        "peak_rss_mb": peak_rss_mb(),
    }
    if device().type == "cuda":
        found["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return found


def read_chats(path: Path) -> tuple[Chat, ...]:
    """The conversations of a JSONL file, in its order.

    Raises:
        LuthierError: there is no such file, or lines of it are no conversations, or teach nothing; all of them at once.

    """
    if not path.is_file():
        raise LuthierError(str(path), "there is no such file", 'give a file with {"messages": [...]} on each line')
    layout = OpenAIChat({"messages": "messages", "tools": "tools"})
    complaints, chats = Complaints(), []
    for one in survey(str(path), Jsonl.format, None):
        for row in one.reader.read(one.file):
            if isinstance(row, BadRow):
                complaints.add(row.source, row.problem, row.fix.removesuffix(OR_DROP))
                continue
            place = one.file.place(row.line)
            try:
                chat = layout.example(row.values, place, {"source": place, "extra": {}})
            except RowError as error:
                complaints.add(place, error.problem, error.fix.removesuffix(OR_DROP))
                continue
            if not any(message.role == "assistant" and message.trained_weight for message in chat.messages):
                complaints.add(place, "no turn of the assistant is trained in it", "remove the line, or give it one")
            chats.append(chat)
    complaints.raise_if_any()
    if not chats:
        raise LuthierError(str(path), "the file holds no rows", "give a file with rows in it")
    return tuple(chats)


def in_file_order(units: Sequence[Sequence[Row]], batch: int, step: int) -> list[list[Row]]:
    """The `batch` units of a step; after the file's last comes its first."""
    return [list(units[(step * batch + i) % len(units)]) for i in range(batch)]


def precision_name(computed: torch.dtype, held: torch.dtype) -> str:
    """As the peer calls it: products in float32; in bfloat16; or in bfloat16 with a frozen base that is held in it."""
    if computed == torch.float32:
        return "fp32"
    return "bf16" if held == torch.float32 else "bf16_base"


def peak_rss_mb() -> int:
    """The most memory that this process has held at once; what macOS counts in bytes, Linux counts in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def started(asked: Asked, chats: Sequence[Chat]) -> tuple[Prepared, Training]:
    """Everything up to the first step, decided as a run decides it."""
    recipe = asked.recipe()
    precision = choose_precision(device(), trained=asked.full)
    ready = assemble(recipe, chats, (), held_dtype(recipe.method, precision))
    _refuse_dropped(chats, ready)
    return ready, start(recipe, ready, precision, "bench")


def _refuse_dropped(chats: Sequence[Chat], ready: Prepared) -> None:
    """Complain of conversations that are too long to be read: without them other rows would meet in a step."""
    kept, complaints = {example.id for example in ready.train.examples}, Complaints()
    for chat in chats:
        if chat.id not in kept:
            complaints.add(chat.source, f"it has more than the {ready.max_tokens:,} tokens that the model reads", "shorten or remove it")
    complaints.raise_if_any()


def _take(asked: Asked, ready: Prepared, training: Training, plan: Plan) -> Taken:
    """Take the steps."""
    state = training.state
    state.network.train()
    said, ended, rows = [], [], []
    ready_s = time.perf_counter()
    with progress(asked.steps, "bench", "steps") as bar:
        for step in range(asked.steps):
            units = in_file_order(ready.train.units, asked.batch, step)
            rows.append([row for unit in units for row in unit])
            said.append(take_step(state, ready.objective, rows[-1], plan.cuts, asked.learning_rate, training.options.clip))
            ended.append(time.perf_counter())
            bar.advance()
    return Taken(
        ready_s, tuple(ended), tuple(one["loss_nats"] for one in said), (asked.batch,) * asked.steps,
        tuple(sum(row.n_tokens for row in part) for part in rows), tuple(sum(row.n_supervised for row in part) for part in rows),
        tuple(int(one["n_nodes"]) for one in said),
    )  # fmt: skip
