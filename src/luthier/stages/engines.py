"""What the work of preparing is spread over, as the recipe says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from luthier.data.engine import Engine
from luthier.data.execution.on_ray import OnRay, refuse_absent
from luthier.data.execution.workers import Local, usable_processors
from luthier.stages.recipe import Recipe


@contextlib.contextmanager
def engine_of(recipe: Recipe, say: Callable[[str], None]) -> Iterator[Engine]:
    """The recipe's engine, as long as the block lasts; `say` is told what it starts, and how fast it is.

    Raises:
        LuthierError: it is not installed.

    """
    if recipe.data.engine == "local":
        yield Local(usable_processors())
        return
    refuse_absent()
    with OnRay(say) as engine:
        yield engine


def refuse_engine(recipe: Recipe) -> None:
    """Raise if the recipe's engine is not installed.

    Raises:
        LuthierError: it is not.

    """
    if recipe.data.engine == "ray":
        refuse_absent()
