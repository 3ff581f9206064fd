"""What cleaning steps may need that `data` cannot make itself; a stage hands it over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Embed: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to one vector each (texts × width), of length 1."""
Rephrase: TypeAlias = Callable[[Sequence[str], float, int], Sequence[str | None]]
"""Prompts, a temperature and a seed to what a model says to each; None where it did not come to an end."""


@dataclass(frozen=True)
class Tools:
    """Callables and places for steps; None where there is none, which is an error only for a step that needs it.

    Attributes:
        count_tokens: texts to their lengths in tokens of the recipe's model.
        embed: the name of a model (a folder, a hub id, or "sprout") to what embeds texts by it.
        rephrase: the name of a model, in the same way, to what answers prompts by it.
        home: the run's `data` folder, where a step may keep what a person may want to see.
        secrets: the folder in which keys are kept, outside of any run.
        seed: the recipe's.
        elders: ids of rows that were here on an earlier run; among rows that say the same, one of them stays.
        group: the column (of `extra`) whose equal values tie rows together.

    """

    count_tokens: Callable[[Sequence[str]], Sequence[int]] | None = None
    embed: Callable[[str], Embed] | None = None
    rephrase: Callable[[str], Rephrase] | None = None
    home: Path | None = None
    secrets: Path | None = None
    seed: int = 0
    elders: Collection[str] = frozenset()
    group: str | None = None


NO_TOOLS = Tools()
