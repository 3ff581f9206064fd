"""Label smoothing reaches what the model is told, whatever the task; what a classifier alone has is refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled, Pair
from luthier.objectives import Classify, Imitate
from luthier.stages.recipe import Recipe, load_recipe
from luthier.stages.tune import objective_of


def recipe_of(folder: Path, task: str, head: str) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(f'name = "a"\n[goal]\ntask = "{task}"\n[data]\nsource = "rows.jsonl"\n[head]\n{head}\n')
    return load_recipe(path)


@pytest.mark.parametrize("task", ["answer", "chat", "pretrain"])
def test_imitation_is_smoothed_as_the_recipe_says(task: str, tmp_path: Path) -> None:
    assert objective_of(recipe_of(tmp_path, task, "label_smoothing = 0.1"), [Pair("a", "b", "c")], 32) == Imitate(window=32, smoothing=0.1)
    assert objective_of(recipe_of(tmp_path, task, ""), [Pair("a", "b", "c")], 32) == Imitate(window=32, smoothing=0.0)


def test_a_classifier_is_smoothed_as_the_recipe_says(tmp_path: Path) -> None:
    rows = [Labelled("a", "x", "no"), Labelled("b", "y", "yes")]
    assert objective_of(recipe_of(tmp_path, "classify", "label_smoothing = 0.1"), rows, 32) == Classify(("no", "yes"), 0.1)


@pytest.mark.parametrize(("head", "where"), [('pooling = "last"', "pooling"), ("label_smoothing = 1.0", "label_smoothing")])
def test_pooling_without_a_classifier_and_a_share_of_all_are_refused(head: str, where: str, tmp_path: Path) -> None:
    with pytest.raises(LuthierError) as caught:
        recipe_of(tmp_path, "chat", head)
    assert f"[head] {where}" in str(caught.value)
