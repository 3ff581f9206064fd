"""Recipes are read with their types, and each mistake in one is named with its place and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.made_recipes import MINIMAL, Data, Full, Lengths, LoRA, Near, Prepare, Recipe, Train, complaints

from luthier.core.errors import LuthierError
from luthier.core.loading import dump, load, loads, option


def test_a_minimal_recipe_takes_every_default() -> None:
    assert loads(Recipe, MINIMAL) == Recipe("x", Data("rows.csv"))


def test_a_full_recipe_is_read_with_its_types() -> None:
    text = MINIMAL + (
        'fields = { text = "message" }\nfolder = "out"\n'
        '[method]\nkind = "lora"\nrank = 4\nalpha = 8\ntargets = ["q", "v"]\n'
        '[[prepare.steps]]\nkind = "near"\nthreshold = 0.5\n[[prepare.steps]]\nkind = "length"\n'
        "[second]\nepochs = 1\n"
    )
    recipe = loads(Recipe, text)
    assert recipe == Recipe(
        "x",
        Data("rows.csv", {"text": "message"}, folder=Path("out")),
        LoRA(rank=4, alpha=8.0, targets=("q", "v")),
        prepare=Prepare((Near(threshold=0.5), Lengths())),
        second=Train(epochs=1),
    )
    assert isinstance(recipe.method, LoRA) and isinstance(recipe.method.alpha, float)


@pytest.mark.parametrize("said", ['folder = "a\\u0000b"', 'fields = { text = "a\\u0000b" }', 'fields = { "te\\u0000xt" = "a" }'])
def test_a_nul_in_a_text_is_told_with_its_option(said: str) -> None:
    with pytest.raises(LuthierError, match="holds a NUL character") as caught:
        loads(Recipe, MINIMAL + said)
    assert said.partition(" ")[0] in caught.value.where


def test_a_section_without_its_kind_is_the_default_kind() -> None:
    assert loads(Recipe, MINIMAL + "[method]\nrank = 2").method == LoRA(rank=2)
    assert loads(Recipe, MINIMAL + '[method]\nkind = "full"').method == Full()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[method]\nrank = "sixteen"', "recipe.toml [method] rank: is 'sixteen', not a whole number. give a whole number, such as 3."),
        ("[method]\nrank = 1.0", "recipe.toml [method] rank: is 1.0, not a whole number. give a whole number, such as 3."),
        ("[method]\nrank = true", "recipe.toml [method] rank: is true, not a whole number. give a whole number, such as 3."),
        ("[method]\nrank = 0", "recipe.toml [method] rank: is 0, less than 1. give 1 or more."),
        ('[method]\nalpha = "8"', "recipe.toml [method] alpha: is '8', not a number. give a number, such as 0.1."),
        ("[method]\nalpha = nan", "recipe.toml [method] alpha: is nan, not a finite number. give a finite number."),
        ("[method]\nalpha = inf", "recipe.toml [method] alpha: is inf, not a finite number. give a finite number."),
        ("[train]\nresume = 1", "recipe.toml [train] resume: is 1, not true or false. write true or false, without quotes."),
        (
            '[train]\nschedule = "cosin"',
            "recipe.toml [train] schedule: is 'cosin', not one of \"cosine\", \"linear\", \"constant\". did you mean \"cosine\"?",
        ),
        (
            "[train]\nschedule = 2026-01-01",
            "recipe.toml [train] schedule: is the date or time 2026-01-01, which no option takes. write it in quotes if text is meant.",
        ),
        (
            "[train]\nrnk = 3\npatience = 1",
            "recipe.toml [train] rnk: is not an option. remove it; known here: epochs, lr, schedule, resume, patience.",
        ),
        ("[train]\nepoch = 3", 'recipe.toml [train] epoch: is not an option. did you mean "epochs"?'),
        ("[train]\nrank = 3", "recipe.toml [train] rank: is not an option here. there is one in [method]; move it."),
        ("[train]\nthreshold = 3", "recipe.toml [train] threshold: is not an option here. there is one in [prepare.steps]; move it."),
        ("[methd]\nrank = 3", 'recipe.toml [methd]: is neither a section nor an option of the recipe. did you mean "method"?'),
        (
            '[method]\nkind = "full"\nrank = 3',
            'recipe.toml [method] rank: does nothing with kind = "full". remove it, or choose kind = "lora".',
        ),
        (
            '[method]\nkind = "lorra"',
            'recipe.toml [method] kind: is \'lorra\', which is not known here. did you mean "lora"? There are "full", "lora".',
        ),
        ("[method]\nkind = 3", 'recipe.toml [method] kind: is 3, which is not known here. choose one of "full", "lora".'),
        (
            "[method]\ntargets = 3",
            'recipe.toml [method] targets: is 3, not a list of which each entry is text or one of "all". '
            'give a list of which each entry is text or one of "all".',
        ),
        ('[[prepare.steps]]\nmost = 3', 'recipe.toml [prepare] steps[0].kind: is missing. add kind = one of "length", "near".'),
        ("[prepare]\nsteps = 3", "recipe.toml [prepare] steps: is 3, not a list. write a list of tables in square brackets."),
        (
            "[prepare]\nsteps = [3]",
            "recipe.toml [prepare] steps[0]: is 3, not a section of options. write a table there, such as { kind = \"length\" }.",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_do(text: str, said: str) -> None:
    assert complaints(MINIMAL + text) == [said]


def test_a_mistake_inside_a_table_names_the_entry() -> None:
    assert complaints(MINIMAL + 'split = { train = "most" }') == [
        "recipe.toml [data] split.train: is 'most', not a number. give a number, such as 0.1."
    ]


def test_a_mistake_in_a_step_names_its_number() -> None:
    text = MINIMAL + (
        '[prepare]\nsteps = [{ kind = "near" }, { kind = "length" }, { kind = "near", threshold = 1.5 }]'
    )
    assert complaints(text) == ["recipe.toml [prepare] steps[2].threshold: is 1.5, greater than 1.0. give 1.0 or less."]


def test_a_section_that_is_a_value_is_refused() -> None:
    assert complaints('name = "x"\ntrain = 3\n[data]\nsource = "a"') == [
        "recipe.toml train: is 3, not a section of options. write its options below [train]."
    ]


def test_every_mistake_is_told_at_once() -> None:
    found = complaints('[data]\nsplit = 3\n[method]\nrank = 0\nrnk = 1\n[train]\nepochs = "x"\n[[prepare.steps]]\nkind = "no"')
    assert [one.split(": ")[0] for one in found] == [
        "recipe.toml [data] split",
        "recipe.toml [data] source",
        "recipe.toml [method] rank",
        "recipe.toml [method] rnk",
        "recipe.toml [train] epochs",
        "recipe.toml [prepare] steps[0].kind",
        "recipe.toml name",
    ]


def test_a_missing_section_says_which_of_its_options_are_needed() -> None:
    assert complaints('name = "x"') == ["recipe.toml [data] source: is missing. add it: a file or folder."]


def test_a_rule_of_a_section_names_the_option_in_it() -> None:
    assert complaints(MINIMAL + '[train]\nschedule = "constant"\npatience = 3') == [
        "recipe.toml [train] patience: does nothing with a constant schedule. remove it."
    ]
    assert loads(Recipe, MINIMAL + '[train]\nschedule = "constant"').train.schedule == "constant"


def test_a_rule_of_the_recipe_sees_what_the_user_wrote() -> None:
    assert complaints(MINIMAL + '[method]\nkind = "full"\n[train]\nlr = 0.9') == [
        "recipe.toml [train] lr: does nothing in full tuning. remove it."
    ]


def test_a_resolved_recipe_may_repeat_a_default_that_does_nothing_but_no_other_value() -> None:
    resolved = dump(Recipe("x", Data("rows.csv"), Full()))
    assert "lr = 0.0001" in resolved
    assert loads(Recipe, resolved).method == Full()
    said = "[train] lr: does nothing in full tuning. remove it."
    assert complaints(resolved.replace("lr = 0.0001", "lr = 0.001")) == [f"recipe.toml {said}"]
    assert complaints(resolved, ("train.lr=0.0001",)) == ["--set train.lr: does nothing in full tuning. remove it."]
    assert complaints(resolved.partition("\n")[2]) == [f"recipe.toml {said}"]


def test_a_rule_that_an_override_breaks_names_the_override() -> None:
    found = complaints(MINIMAL + '[train]\nschedule = "constant"', ("train.patience=3",))
    assert found == ["--set train.patience: does nothing with a constant schedule. remove it."]


@dataclass(frozen=True)
class Picky:
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("has low above high")


@dataclass(frozen=True)
class Outer:
    inner: Picky = option(Picky(), about="bounds")
    named: Mapping[str, Picky] = option({}, about="bounds by name")


def test_what_a_class_itself_refuses_is_told_at_its_section() -> None:
    with pytest.raises(LuthierError, match=r"^recipe.toml \[inner\]: has low above high\. correct it\.$"):
        loads(Outer, "[inner]\nlow = 3")


def test_a_class_is_not_asked_about_values_that_are_wrong_in_themselves() -> None:
    with pytest.raises(LuthierError) as caught:
        loads(Outer, '[inner]\nlow = "x"')
    assert [one.where for one in caught.value.errors] == ["recipe.toml [inner] low"]


def test_sections_by_name_are_read_and_written() -> None:
    outer = loads(Outer, "[named.a]\nhigh = 3\n[named.b]\nlow = -1")
    assert outer.named == {"a": Picky(high=3), "b": Picky(low=-1)}
    assert loads(Outer, dump(outer)) == outer
    with pytest.raises(LuthierError, match=r'^recipe.toml \[named\] b.hgh: is not an option\. did you mean "high"\?$'):
        loads(Outer, "[named.b]\nhgh = 1")


@dataclass(frozen=True)
class TwoDefaults:
    inner: Picky = option(Picky(high=9), about="another default than its class's")


def test_a_section_with_two_different_defaults_is_our_bug() -> None:
    with pytest.raises(AssertionError, match="inner.high has two different defaults"):
        loads(TwoDefaults, "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name = "x"\n[data\n', ":2: it is not TOML"),
        (b'name = "x"\nname = "y"\n', ":2: it is not TOML"),
        (b'name = "x"\n[data]\nsource = "rows', ":3: it is not TOML"),
        (b'name = "x"\n\0\0\n', ":2: it holds a NUL byte"),
        ('name = "x"\n'.encode("utf-16"), ":1: it holds a NUL byte"),
        (b'name = "x"\n\n# \xff\n', ":3: it holds a byte that is not UTF-8"),
        (b"a = " + b"[" * 5000, ": its lists or tables are nested too deeply"),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(LuthierError) as caught:
        load(Recipe, path)
    assert str(caught.value).startswith(f"{path}{said}")


def test_an_empty_file_says_all_that_is_needed(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").touch()
    with pytest.raises(LuthierError) as caught:
        load(Recipe, tmp_path / "recipe.toml")
    assert [one.problem for one in caught.value.errors] == ["is missing", "is missing"]


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="there is no such file"):
        load(Recipe, tmp_path / "recipe.toml")
    with pytest.raises(LuthierError, match="cannot be read"):
        load(Recipe, tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(Recipe, path) == Recipe("x", Data("rows.csv"))
