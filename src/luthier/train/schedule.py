"""The learning rate of each step: a pure function of the step."""

from __future__ import annotations

import math

from luthier.train.options import Train


def learning_rate(train: Train, rate: float, step: int, n_steps: int) -> float:
    """The learning rate of step 0 ≤ `step` < `n_steps`: up in equal steps to `rate`, then along the schedule towards 0.

    The last warm-up step and the first one after it have `rate` itself; no step has 0, so that none is wasted.
    """
    assert 0 <= step < n_steps, f"step {step} of {n_steps}"
    n_warm = round(train.warmup_frac * n_steps)
    if step < n_warm:
        return rate * (step + 1) / n_warm
    done = (step - n_warm) / (n_steps - n_warm)
    match train.schedule:
        case "constant":
            return rate
        case "linear":
            return rate * (1 - done)
        case "cosine":
            return rate * (1 + math.cos(math.pi * done)) / 2
