"""What cleaning steps may need that `data` cannot make itself; a stage hands it over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tools:
    """Callables and places for steps; None where there is none, which is an error only for a step that needs it.

    Attributes:
        count_tokens: texts to their lengths in tokens of the recipe's model.
        embed: texts to one vector each (texts × width), of length 1.
        home: the run's `data` folder, where a step may keep what a person may want to see.
        secrets: the folder in which keys are kept, outside of any run.
        seed: the recipe's.

    """

    count_tokens: Callable[[Sequence[str]], Sequence[int]] | None = None
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None = None
    home: Path | None = None
    secrets: Path | None = None
    seed: int = 0


NO_TOOLS = Tools()
