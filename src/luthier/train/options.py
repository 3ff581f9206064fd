"""The recipe's [train] section: how long, how fast and how carefully a model is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import pydantic

from luthier.core.options import option
from luthier.methods import AnyMethod
from luthier.text.truncation import TooLong
from luthier.train.optim import AdamW, AnyOptimizer

Schedule: TypeAlias = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class Train:
    """How a model is trained. One step takes `batch_rows` examples, however many micro-batches they are cut into."""

    epochs: Annotated[float, pydantic.Field(gt=0)] = option(
        3.0, about="passes over the training rows", why="small sets need a few, and the best checkpoint is kept anyway"
    )
    batch_rows: Annotated[int, pydantic.Field(ge=1)] = option(
        16, about="examples that one step learns from", why="steady gradients and still enough steps on a few hundred rows"
    )
    learning_rate: Annotated[float, pydantic.Field(gt=0, le=1)] | None = option(
        None, about="the highest step size", why="from the method and the width of the model: thin and narrow ones take larger steps"
    )
    schedule: Schedule = option("cosine", about="how the step size falls after the warm-up", why="the usual choice; ends near zero")
    warmup_frac: Annotated[float, pydantic.Field(ge=0, le=0.5)] = option(
        0.05, about="share of the steps in which the step size rises", why="the optimizer's first estimates are poor"
    )
    optimizer: AnyOptimizer = option(AdamW(), about="how gradients become steps", why="the usual choice, for adapters too")
    clip: Annotated[float, pydantic.Field(gt=0)] = option(
        1.0,
        about="longest gradient (L2 norm) that is not shortened; a large number such as 1e9 shortens none",
        why="one odd batch cannot throw the model off",
    )
    patience: Annotated[int, pydantic.Field(ge=1)] | None = option(
        None, about="stop after so many evaluations without a better one", why="off: the best checkpoint is kept in any case"
    )
    evaluate_every: Annotated[int, pydantic.Field(ge=1)] | None = option(
        None, about="steps between two losses on the validation rows", why="about ten times a run, and at least once an epoch"
    )
    save_every_s: Annotated[float, pydantic.Field(ge=0)] = option(
        60.0, about="seconds of work that a crash may cost", why="saving changes no bit, so this is a matter of time alone"
    )
    max_tokens: Annotated[int, pydantic.Field(ge=2)] | None = option(
        None, about="longest row in tokens", why="as many as the model can read"
    )
    too_long: TooLong = option("error", about="what happens to a longer row: error, drop or cut", why="nothing is cut unless you say so")

    def n_between_evaluations(self, n_steps: int) -> int:
        """Steps between two evaluations of a run of `n_steps`."""
        if self.evaluate_every is not None:
            return self.evaluate_every
        return max(1, min(round(n_steps / 10), int(n_steps / self.epochs)))


def learning_rate_for(train: Train, method: AnyMethod, width: int) -> float:
    """The learning rate: as the recipe says, or else for full tuning 3e-5 · (2048 / width)^0.75, for LoRA ten times that.

    That LoRA wants about ten times the rate of full tuning, and narrow models more than wide ones, is what Schulman and
    others found over many models (2025, "LoRA without regret", Thinking Machines Lab); our exponent lies between theirs.
    """
    if train.learning_rate is not None:
        return train.learning_rate
    full = 3e-5 * (2048 / width) ** 0.75
    return float(f"{full if method.kind == 'full' else 10 * full:.2g}")
