from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.loading import Default, defaults, dump, given_paths, load, loads, option, read_given, required


@dataclass(frozen=True)
class Full:
    """All weights."""

    kind: Literal["full"] = "full"


@dataclass(frozen=True)
class LoRA:
    """Low-rank."""

    kind: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] = option(16, about="width of the update", why="enough for most tasks")
    alpha: float = option(32.0, about="scale")
    targets: tuple[str, ...] | Literal["all"] = option("all", about="layers")


AnyMethod: TypeAlias = Full | LoRA


@dataclass(frozen=True)
class Lengths:
    """Drops by length."""

    kind: Literal["length"] = "length"
    most: int = 100


@dataclass(frozen=True)
class Near:
    """Drops near-duplicates."""

    kind: Literal["near"] = "near"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8


AnyStep: TypeAlias = Lengths | Near


@dataclass(frozen=True)
class Prepare:
    """Cleaning."""

    steps: tuple[AnyStep, ...] = option((Lengths(most=5), Near()), about="what is done, in order")


@dataclass(frozen=True)
class Data:
    """Rows."""

    source: str = required(about="a file or folder")
    fields: Mapping[str, str] = option({}, about="which column is which")
    split: Mapping[str, float] = option({"train": 0.9, "test": 0.1}, about="shares")
    folder: Path | None = option(None, about="where to put it")


@dataclass(frozen=True)
class Train:
    """Steps."""

    epochs: Annotated[int, Field(ge=1)] = option(3, about="passes", why="validation stops it earlier")
    lr: float = option(1e-4, about="peak learning rate")
    schedule: Literal["cosine", "linear", "constant"] = option("cosine", about="shape")
    resume: bool = option(False, about="go on")
    patience: int | None = option(None, about="early stopping")

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        if self.schedule == "constant" and "patience" in given:
            yield "patience", "does nothing with a constant schedule", "remove it"


@dataclass(frozen=True)
class Recipe:
    """All; the learning rate is pretended to do nothing in full tuning."""

    name: str = required(about="the run's name")
    data: Data = required(about="rows")
    method: AnyMethod = option(LoRA(), about="how the model may change", why="it is cheap")
    train: Train = option(Train(), about="training")
    prepare: Prepare = option(Prepare(), about="cleaning")
    second: Train | None = option(None, about="a second stage")

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        if isinstance(self.method, Full) and "train.lr" in given:
            yield "train.lr", "does nothing in full tuning", "remove it"


MINIMAL = 'name = "x"\n[data]\nsource = "rows.csv"\n'


def complaints(text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(LuthierError) as caught:
        loads(Recipe, text, overrides=overrides)
    return [str(one) for one in caught.value.errors]


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


def test_what_the_user_wrote_is_listed_with_its_sections(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(MINIMAL + '[[prepare.steps]]\nkind = "near"\n', encoding="utf-8")
    assert given_paths(path, ("train.epochs=2",)) == {
        "name", "data", "data.source", "prepare", "prepare.steps", "prepare.steps[0]", "prepare.steps[0].kind", "train", "train.epochs",
    }


def test_defaults_are_what_was_not_written_with_their_reasons(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    written = "split = { train = 1.0 }\n[method]\nalpha = 1.0\n[train]\nlr = 0.1\n[[prepare.steps]]\nkind='near'"
    path.write_text(MINIMAL + written, encoding="utf-8")
    found = defaults(Recipe, read_given(path, ("train.resume=true",)))
    assert {one.path: one.value for one in found} == {
        "data.fields": {},
        "data.folder": None,
        "method.kind": "lora",
        "method.rank": 16,
        "method.targets": "all",
        "train.epochs": 3,
        "train.schedule": "cosine",
        "train.patience": None,
        "prepare.steps[0].threshold": 0.8,
        "second": None,
    }
    assert Default("method.rank", 16, "width of the update", "enough for most tasks") in found
    assert Default("method.kind", "lora", "how the model may change", "it is cheap") in found


def test_a_recipe_that_says_everything_has_no_defaults_left() -> None:
    text = dump(Recipe("x", Data("a", folder=Path("b")), train=Train(patience=1), second=Train(patience=1)))
    assert defaults(Recipe, loads_table(text)) == ()


def loads_table(text: str) -> Mapping[str, object]:
    import tomllib

    return tomllib.loads(text)


def test_what_is_left_out_and_its_default_written_out_are_the_same_recipe() -> None:
    assert loads(Recipe, dump(loads(Recipe, MINIMAL))) == loads(Recipe, MINIMAL)


def test_the_text_of_a_recipe_is_what_a_person_would_write() -> None:
    recipe = Recipe("a \"b\"\\\n\x00\x7f é", Data("rows.csv", {"text": "my col", "a b": "c"}), LoRA(targets=("q",)), Train(lr=1e-05))
    assert dump(recipe) == (
        "# Every option is written out here, defaults included.\n"
        'name = "a \\"b\\"\\\\\\n\\U00000000\\U0000007f é"\n'
        "\n"
        '[data]\nsource = "rows.csv"\nfields = { text = "my col", "a b" = "c" }\nsplit = { train = 0.9, test = 0.1 }\n'
        "\n"
        '[method]\nkind = "lora"\nrank = 16\nalpha = 32.0\ntargets = ["q"]\n'
        "\n"
        '[train]\nepochs = 3\nlr = 1e-05\nschedule = "cosine"\nresume = false\n'
        "\n"
        '[prepare]\nsteps = [\n  { kind = "length", most = 5 },\n  { kind = "near", threshold = 0.8 },\n]\n'
    )


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
trains = st.builds(
    Train,
    st.integers(1, 9),
    numbers,
    st.sampled_from(("cosine", "linear")),
    st.booleans(),
    st.none() | st.integers(),
)
shares = st.dictionaries(texts, numbers, max_size=3)
steps = st.builds(Lengths, most=st.integers()) | st.builds(Near, threshold=st.floats(0.1, 1))
recipes = st.builds(
    Recipe,
    texts,
    st.builds(Data, texts, st.dictionaries(texts, texts, max_size=3), shares, st.none() | st.just(Path("a b"))),
    st.just(Full())
    | st.builds(LoRA, rank=st.integers(1, 2**70), alpha=numbers, targets=st.just("all") | st.lists(texts, max_size=3).map(tuple)),
    trains,
    st.builds(Prepare, st.lists(steps, max_size=3).map(tuple)),
    st.none() | trains,
)


def is_loadable(recipe: Recipe) -> bool:
    return not (isinstance(recipe.method, Full) and recipe.train.lr != Train().lr)


@given(recipes.filter(is_loadable))
@example(Recipe("\x85\u2028\ufeff", Data("", {"": ""}, {})))
@example(Recipe("x", Data(""), LoRA(), Train(lr=-0.0), Prepare(())))
def test_load_of_dump_is_the_same_recipe(recipe: Recipe) -> None:
    text = dump(recipe)
    assert loads(Recipe, text) == recipe
    assert dump(loads(Recipe, text)) == text


@given(recipes)
def test_each_option_is_either_written_or_among_the_defaults(recipe: Recipe) -> None:
    given_ = loads_table(dump(recipe))
    left_out = {one.path for one in defaults(Recipe, given_)}
    for name in (field.name for field in dataclasses.fields(Train)):
        assert (getattr(recipe.train, name) is None) == (f"train.{name}" in left_out)
