"""What a recipe's test rows can show, before anybody trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from luthier.core.examples import AnyExample
from luthier.data.likeness.said import group_value
from luthier.evaluate.power import power_lines
from luthier.stages.recipe import Recipe


def test_power(recipe: Recipe, test: Iterable[AnyExample]) -> list[str]:
    """The smallest difference that the test rows show by the goal's metric, in words; nothing where that cannot be known before."""
    groups = Counter(group_value(row, recipe.data.group) or f"\0row {i}" for i, row in enumerate(test))
    sizes = list(groups.values()) if recipe.data.group is not None else []
    return power_lines(recipe.goal.judged_by, groups.total(), sizes)
