"""Did it learn? The curves of training and validation, and what they say by stated rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from scipy.special import stdtrit

from luthier.core.page.words import counted
from luthier.evaluate.bca import unseen_interval
from luthier.evaluate.estimates import CONFIDENCE, few
from luthier.evaluate.page.words import Number
from luthier.train.journal import Entry

Points: TypeAlias = tuple[tuple[int, float], ...]
"""(step, loss in nats) in the order of the steps."""

OVERFIT_FRAC, OVERFIT_NATS = 0.02, 0.01
"""A rise of validation loss above its lowest counts from the larger of these two on; less may be chance."""
STILL_FALLING_FRAC = 0.1
"""A model learns on while the last quarter of the steps brings this share of the whole fall, or more."""
LEARNT_FRAC = 0.02
"""A fall by less than this share of the first loss is nothing learnt."""
RULE = (
    f"It overfits from the step of the lowest validation loss on where the last validation loss is higher by {OVERFIT_FRAC:.0%} and by "
    f"{OVERFIT_NATS} nats or more while the training loss went on falling; it was still learning where the last validation loss is the "
    f"lowest and the last quarter of the steps brought {STILL_FALLING_FRAC:.0%} or more of the whole fall; it learnt nothing where the "
    f"lowest is less than {LEARNT_FRAC:.0%} below the first."
)


@dataclass(frozen=True)
class Curves:
    """The losses of one training: each step's on its own rows, and those on all `n_validation` validation rows.

    The first validation point is the untrained model's (step 0), where it was measured. `errors` holds, by step, the
    standard error of the validation loss over examples, and how many examples of equal weight they are worth.
    """

    train: Points
    validation: Points
    n_validation: int = 0
    errors: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def trained(self) -> Points:
        """The validation points of trained states."""
        return tuple(point for point in self.validation if point[0] > 0)

    @property
    def lowest(self) -> tuple[int, float] | None:
        """The step and value of the lowest validation loss of a trained state, the first where several are equal."""
        return min(self.trained, key=lambda point: point[1], default=None)

    @property
    def parts(self) -> tuple[Points, ...]:
        """The training losses in stretches of as many steps as lie between two validations, or of a twentieth of all."""
        n = max(1, self.trained[0][0] if self.trained else len(self.train) // 20)
        return tuple(self.train[start : start + n] for start in range(0, len(self.train), n))

    @property
    def smooth(self) -> Points:
        """The mean training loss of each stretch, at its last step."""
        return tuple((part[-1][0], float(np.mean([loss for _, loss in part]))) for part in self.parts)

    @property
    def validated(self) -> tuple[tuple[int, Number], ...]:
        """The validation points with their t intervals over examples; without, where the journal has no standard error."""
        return tuple((step, self._with_error(loss, *self.errors.get(step, (None, 0.0)))) for step, loss in self.validation)

    def at(self, step: int) -> Number:
        """The validation loss of a step."""
        return dict(self.validated)[step]

    def mean_until(self, step: int) -> Number:
        """The mean training loss of the last stretch that ends by `step`, else of the first step, with its t interval over its steps."""
        part = next((part for part in reversed(self.parts) if part[-1][0] <= step), self.train[:1])
        losses = [loss for _, loss in part]
        if len(losses) < 2:
            return Number(losses[0], None, None, 1, 3)
        se = float(np.std(losses, ddof=1)) / len(losses) ** 0.5
        return _number(float(np.mean(losses)), se, len(losses), len(losses), False)

    def _with_error(self, loss: float, se: float | None, n_effective: float) -> Number:
        if se is None:
            return Number(loss, None, None, self.n_validation, 3)
        return _number(loss, se, n_effective, self.n_validation, few(self.n_validation, None))


@dataclass(frozen=True)
class Overfit:
    """From which step on it overfits, and the losses that say so, all in nats."""

    step: int
    lowest: Number
    last: Number
    last_step: int
    train_then: Number
    train_last: Number


def _number(value: float, se: float, n_effective: float, n: int, is_few: bool) -> Number:
    """A loss with its t interval, which ends at 0; `unseen_interval` where all that it is a mean of are alike."""
    if se <= 1e-12 * max(1.0, value):
        return Number(value, *unseen_interval(value, n_effective, (0.0, math.inf)), n, 3, is_few)
    half = float(stdtrit(max(2.0, n_effective) - 1, 0.5 + CONFIDENCE / 2)) * se
    return Number(value, max(0.0, value - half), value + half, n, 3, is_few)


def curves_of(journal: Sequence[Entry]) -> Curves:
    """The curves in a run's `metrics.jsonl`."""
    found = {
        event: tuple((int(entry["step"]), float(entry["loss_nats"])) for entry in journal if entry["event"] == event)
        for event in ("step", "validation")
    }
    validations = [entry for entry in journal if entry["event"] == "validation"]
    n = next((int(entry.get("n_examples", entry["n_rows"])) for entry in validations), 0)
    errors = {int(entry["step"]): (float(entry["loss_se"]), float(entry["n_effective"])) for entry in validations if "loss_se" in entry}
    return Curves(found["step"], found["validation"], n, errors)


def overfits(curves: Curves) -> Overfit | None:
    """Where it overfits by the rule, None where it does not."""
    lowest = curves.lowest
    if lowest is None or not curves.train:
        return None
    last_step, last = curves.trained[-1]
    if last - lowest[1] < max(OVERFIT_NATS, OVERFIT_FRAC * lowest[1]):
        return None
    then, now = (curves.mean_until(step) for step in (lowest[0], curves.train[-1][0]))
    assert then.value is not None and now.value is not None, "there are steps"
    return Overfit(lowest[0], curves.at(lowest[0]), curves.at(last_step), last_step, then, now) if now.value < then.value else None


def still_learning(curves: Curves) -> float | None:
    """The share of the whole fall that the last quarter of the steps brought, where that is enough to go on; else None."""
    if len(curves.trained) < 3 or curves.lowest != curves.trained[-1]:
        return None
    steps, losses = (np.array(one, dtype=np.float64) for one in zip(*curves.validation, strict=True))
    fall = losses[0] - losses[-1]
    if fall <= 0:
        return None
    late = float(np.interp(0.75 * steps[-1], steps, losses) - losses[-1]) / float(fall)
    return late if late >= STILL_FALLING_FRAC else None


def learnt_nothing(curves: Curves) -> bool:
    """Whether the lowest validation loss of a trained state is hardly below that of the untrained model."""
    if curves.lowest is None or not curves.validation or curves.validation[0][0] != 0:
        return False
    first = curves.validation[0][1]
    return first - curves.lowest[1] < LEARNT_FRAC * first


def in_words(curves: Curves) -> str:
    """What the curves say, in one or two sentences."""
    if not curves.train:
        return "No step of training was recorded, so there is no curve to read."
    first, last = (_over_steps(curves.mean_until(step)) for step in (curves.smooth[0][0], curves.train[-1][0]))
    fall = f"The training loss went from {first} to {last} in {curves.train[-1][0]:,} steps"
    lowest = curves.lowest
    if lowest is None:
        return f"{fall}. No validation rows were set aside, so nobody can say whether it learnt or memorised."
    rows = counted(curves.n_validation, "row")
    best = f"the validation loss was lowest at step {lowest[0]:,}: {in_nats(curves.at(lowest[0]))} on {rows}"
    found = overfits(curves)
    if learnt_nothing(curves):
        return f"It learnt next to nothing. {fall}; {best}, against {in_nats(curves.validated[0][1])} before the first step."
    if found is not None:
        return (
            f"It overfits from step {found.step:,} on: {best}; by step {found.last_step:,} it had risen to {in_nats(found.last)}, "
            f"while the training loss went on falling from {_over_steps(found.train_then)} to {_over_steps(found.train_last)}. "
            f"The model of step {found.step:,} is the one that was kept."
        )
    late = still_learning(curves)
    if late is not None:
        brought = f"the last quarter of the steps brought {late:.0%} of the whole fall"
        return f"It was still learning when it stopped: {best}, and {brought}. {fall}."
    flat = f" What came after step {lowest[0]:,} brought nothing more." if lowest != curves.trained[-1] else ""
    return f"It learnt, and does not overfit by the rule below. {fall}; {best}.{flat}"


def in_nats(number: Number) -> str:
    """A loss with its interval, where it has one."""
    return f"{number.as_text} nats" + (f" (95\u00a0% interval {number.interval})" if number.interval else "")


def _over_steps(number: Number) -> str:
    """A training loss, with the steps that it is a mean of and its interval over them; a single step has none."""
    inside = f", 95\u00a0% interval {number.interval}" if number.interval else ""
    return f"{number.as_text} nats ({counted(number.n, 'step')}{inside})"
