"""What `--set` gives stands above the recipe's own words, and a mistake in it is named as an override."""

from __future__ import annotations

import pytest
from tests.made_recipes import MINIMAL, Data, Full, LoRA, Near, Recipe, Train, complaints

from luthier.core.loading import loads


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.epochs=7", Recipe("x", Data("rows.csv"), train=Train(epochs=7))),
        ("train.epochs = 7 ", Recipe("x", Data("rows.csv"), train=Train(epochs=7))),
        ("name=other", Recipe("other", Data("rows.csv"))),
        ('name="3"', Recipe("3", Data("rows.csv"))),
        ("name=a=b", Recipe("a=b", Data("rows.csv"))),
        ("method.kind=full", Recipe("x", Data("rows.csv"), Full())),
        ('method={kind="lora", rank=2}', Recipe("x", Data("rows.csv"), LoRA(rank=2))),
        ('data.fields."a b"=c', Recipe("x", Data("rows.csv", {"a b": "c"}))),
        ("method.targets=['q', 'v']", Recipe("x", Data("rows.csv"), LoRA(targets=("q", "v")))),
        ("data.source=C:\\rows.csv", Recipe("x", Data("C:\\rows.csv"))),
        ("data.source=a\nb = 3", Recipe("x", Data("a\nb = 3"))),
        ('data.source="a"\nb = 3', Recipe("x", Data('"a"\nb = 3'))),
    ],
)
def test_an_override_sets_one_option(setting: str, expected: Recipe) -> None:
    assert loads(Recipe, MINIMAL, overrides=(setting,)) == expected


def test_an_override_reaches_into_a_list() -> None:
    recipe = loads(Recipe, MINIMAL + '[[prepare.steps]]\nkind = "near"', overrides=("prepare.steps[0].threshold=0.3",))
    assert recipe.prepare.steps == (Near(threshold=0.3),)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("methd.rank=3", '--set methd.rank: is neither a section nor an option of the recipe. did you mean "method"?'),
        ("method.rnk=3", '--set method.rnk: is not an option. did you mean "rank"?'),
        ("method.rank=many", "--set method.rank: is 'many', not a whole number. give a whole number, such as 3."),
        ("name=3", "--set name: is 3, not text. write it in quotes, such as \"text\"."),
        ("epochs", "--set epochs: it is not of the form section.option=value. write, for example, --set train.epochs=3."),
        ("name.x=3", "--set name.x: name is a value, not a section. set name itself, or name one of its sections."),
        (
            "data.steps[1]=3",
            "--set data.steps[1]: data.steps has 0 entries in the recipe, so there is no [1]. count from 0, or set the whole list.",
        ),
        ("name=\udc80", "--set name: its value is not UTF-8 text. pass UTF-8 text without NUL characters."),
    ],
)
def test_a_wrong_override_is_named_as_such(setting: str, said: str) -> None:
    assert complaints(MINIMAL, (setting,)) == [said]


def test_an_override_of_the_kind_leaves_no_option_of_the_old_kind_behind() -> None:
    assert complaints(MINIMAL + "[method]\nrank = 4", ("method.kind=full",)) == [
        'recipe.toml [method] rank: does nothing with kind = "full". remove it, or choose kind = "lora".'
    ]


def test_wrong_overrides_are_told_together() -> None:
    assert len(complaints(MINIMAL, ("epochs", "name.x=3"))) == 2
