"""Did it learn? The curves of training and validation, and what they say by stated rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

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

    The first validation point is the untrained model's (step 0), where it was measured.
    """

    train: Points
    validation: Points
    n_validation: int = 0

    @property
    def trained(self) -> Points:
        """The validation points of trained states."""
        return tuple(point for point in self.validation if point[0] > 0)

    @property
    def lowest(self) -> tuple[int, float] | None:
        """The step and value of the lowest validation loss of a trained state, the first where several are equal."""
        return min(self.trained, key=lambda point: point[1], default=None)

    @property
    def smooth(self) -> Points:
        """The training loss as a mean over as many steps as lie between two validations, or over a twentieth of all."""
        n = max(1, self.trained[0][0] if self.trained else len(self.train) // 20)
        parts = [self.train[start : start + n] for start in range(0, len(self.train), n)]
        return tuple((part[-1][0], float(np.mean([loss for _, loss in part]))) for part in parts)


@dataclass(frozen=True)
class Overfit:
    """From which step on it overfits, and the losses that say so, all in nats."""

    step: int
    lowest: float
    last: float
    last_step: int
    train_then: float
    train_last: float


def curves_of(journal: Sequence[Entry]) -> Curves:
    """The curves in a run's `metrics.jsonl`."""
    found = {
        event: tuple((int(entry["step"]), float(entry["loss_nats"])) for entry in journal if entry["event"] == event)
        for event in ("step", "validation")
    }
    n = next((int(entry["n_rows"]) for entry in journal if entry["event"] == "validation"), 0)
    return Curves(found["step"], found["validation"], n)


def overfits(curves: Curves) -> Overfit | None:
    """Where it overfits by the rule, None where it does not."""
    lowest = curves.lowest
    if lowest is None or not curves.train:
        return None
    last_step, last = curves.trained[-1]
    if last - lowest[1] < max(OVERFIT_NATS, OVERFIT_FRAC * lowest[1]):
        return None
    before = [loss for step, loss in curves.smooth if step <= lowest[0]] or [curves.train[0][1]]
    then, now = before[-1], curves.smooth[-1][1]
    return Overfit(lowest[0], lowest[1], last, last_step, then, now) if now < then else None


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
    first, last = curves.smooth[0][1], curves.smooth[-1][1]
    fall = f"The training loss went from {first:.3f} to {last:.3f} nats in {curves.train[-1][0]:,} steps"
    lowest = curves.lowest
    if lowest is None:
        return f"{fall}. No validation rows were set aside, so nobody can say whether it learnt or memorised."
    best = f"the validation loss was lowest at step {lowest[0]:,}: {lowest[1]:.3f} nats on {curves.n_validation:,} rows"
    found = overfits(curves)
    if learnt_nothing(curves):
        return f"It learnt next to nothing. {fall}; {best}, against {curves.validation[0][1]:.3f} before the first step."
    if found is not None:
        return (
            f"It overfits from step {found.step:,} on: {best}; by step {found.last_step:,} it had risen to {found.last:.3f}, "
            f"while the training loss went on falling from {found.train_then:.3f} to {found.train_last:.3f}. "
            f"The model of step {found.step:,} is the one that was kept."
        )
    late = still_learning(curves)
    if late is not None:
        brought = f"the last quarter of the steps brought {late:.0%} of the whole fall"
        return f"It was still learning when it stopped: {best}, and {brought}. {fall}."
    flat = f" What came after step {lowest[0]:,} brought nothing more." if lowest != curves.trained[-1] else ""
    return f"It learnt, and does not overfit by the rule below. {fall}; {best}.{flat}"
