"""What is left out of a recipe is told with its reason, and a recipe that is written out is the recipe that was read."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from tests.made_recipes import MINIMAL, Data, Full, Lengths, LoRA, Near, Prepare, Recipe, Train

from luthier.core.loading import Default, defaults, dump, given_paths, loads, read_given


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
    assert defaults(Recipe, tomllib.loads(text)) == ()


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


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)  # no recipe may hold a NUL
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
    given_ = tomllib.loads(dump(recipe))
    left_out = {one.path for one in defaults(Recipe, given_)}
    for name in (field.name for field in dataclasses.fields(Train)):
        assert (getattr(recipe.train, name) is None) == (f"train.{name}" in left_out)
