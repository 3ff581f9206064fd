"""Laws of augmentation: a way to make rows that joins `AnyAugmentation` is tested by that alone."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.loading import dump, loads
from luthier.core.messages import Message, ToolCall
from luthier.core.options import kind_of
from luthier.data.augment import AnyAugmentation, Paraphrase, Swaps, Templates
from luthier.data.augment.balance import Oversample
from luthier.data.kept.additions import TOO_LIKE, Additions, names
from luthier.data.likeness.neighbours import similarity
from luthier.data.pipeline import KeptRow, Prepare
from luthier.data.sides.certificate import certify
from luthier.data.sides.split import Side
from luthier.data.tools import Tools

KINDS = get_args(AnyAugmentation)
SOME: dict[Any, dict[str, Any]] = {
    Swaps: {"words": (("violin", "viola", "cello"), ("Anna", "Bertil"))},
    Templates: {"patterns": ("Dear all, {text}", "{text} Thank you!")},
    Paraphrase: {"model": "backwards"},
}
WORDS = ["my", "violin", "has", "a", "crack", "and", "Anna", "says", "12", "pegs", "slip", "since", "winter", "tell", "Bertil", "bow"]


def backwards(prompts: Sequence[str], temperature: float, seed: int) -> list[str | None]:
    """Other words of a kind: those of the prompt's last line, from the end."""
    return [" ".join(reversed(prompt.rpartition("\n\n")[2].split())) for prompt in prompts]


TOOLS = Tools(rephrase=lambda name: backwards)


def step_of(kind: Any, **options: Any) -> Any:
    return kind(**{**SOME.get(kind, {}), "share": 1.0, **options})


texts = st.lists(st.sampled_from(WORDS), min_size=4, max_size=14).map(" ".join)


@st.composite
def placed_rows(draw: st.DrawFn) -> list[tuple[KeptRow, Side]]:
    found: list[tuple[KeptRow, Side]] = []
    for i in range(draw(st.integers(1, 12))):
        said, name = draw(texts), f"r{i}"
        extra = {"who": f"g{i}"}
        row: AnyExample
        match draw(st.sampled_from(["labelled", "pair", "chat", "text"])):
            case "labelled":
                row = Labelled(name, said, draw(st.sampled_from(["yes", "no"])), extra=extra)
            case "pair":
                row = Pair(name, said, draw(texts), extra=extra)
            case "chat":
                row = Chat(name, (Message("system", "Be brief."), Message("user", said), Message("assistant", draw(texts))), extra=extra)
            case _:
                row = Text(name, said, extra=extra)
        found.append((KeptRow(row), draw(st.sampled_from(["train", "train", "validation", "test"]))))
    return found


def additions(placed: Sequence[tuple[KeptRow, Side]], steps: Sequence[Any], seed: int = 0, balance: Any = None) -> Additions:
    train = [row.example for row, side in placed if side == "train"]
    judged = [row.example for row, side in placed if side != "train"]
    tools = Tools(rephrase=TOOLS.rephrase, seed=seed)
    return Additions(balance, steps, lambda: train, lambda: judged, 0.8, tools)


def made_by(placed: Sequence[tuple[KeptRow, Side]], steps: Sequence[Any], seed: int = 0) -> list[tuple[KeptRow, Side]]:
    """All rows after the steps; a step that makes nothing is no error here."""
    more = additions(placed, steps, seed)
    more.refuse_idle = lambda: None  # type: ignore[method-assign]
    return list(more.after(placed))


@pytest.mark.parametrize("kind", KINDS)
def test_an_augmentation_is_a_frozen_dataclass_that_a_recipe_can_name(kind: Any) -> None:
    step = step_of(kind)
    assert kind_of(kind) == step.kind
    assert loads(Prepare, dump(Prepare(augment=(step,)))).augment == (step,)
    with pytest.raises(AttributeError):
        step.share = 0.5


@pytest.mark.parametrize("kind", KINDS)
@given(placed=placed_rows(), seed=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_only_training_rows_get_children_and_everything_else_stays_as_it_was(
    kind: Any, placed: list[tuple[KeptRow, Side]], seed: int
) -> None:
    before = copy.deepcopy(placed)
    found = made_by(placed, [step_of(kind)], seed)
    own = {row.example.id: side for row, side in placed}
    assert [(row, side) for row, side in found if row.example.id in own] == before == placed
    children = [(row, side) for row, side in found if row.example.id not in own]
    for row, side in children:
        parent = next(one.example for one, _ in placed if one.example.id == row.example.parent)
        assert (side, own[parent.id]) == ("train", "train")
        assert row.example.id == f"{parent.id}+{step_of(kind).kind}"
        assert row.example.extra == parent.extra and row.example.source == parent.source and type(row.example) is type(parent)
        assert row.example.fields() != parent.fields()
        if isinstance(parent, Labelled):
            assert isinstance(row.example, Labelled) and row.example.label == parent.label
    ids = [row.example.id for row, _ in found]
    assert len(set(ids)) == len(ids)
    for (row, _), (above, _) in zip(found[1:], found, strict=False):
        assert row.example.parent is None or row.example.parent in (above.example.id, above.example.parent)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Swaps])
@given(placed=placed_rows())
@settings(max_examples=25, deadline=None)
def test_what_the_model_is_to_say_stays_and_plain_text_is_left_alone(kind: Any, placed: list[tuple[KeptRow, Side]]) -> None:
    rows = {row.example.id: row.example for row, _ in placed}
    for row, _ in made_by(placed, [step_of(kind)]):
        if row.example.parent is None:
            continue
        child, parent = row.example, rows[row.example.parent]
        assert not isinstance(child, Text)
        if isinstance(child, Pair) and isinstance(parent, Pair):
            assert child.completion == parent.completion
        if isinstance(child, Chat) and isinstance(parent, Chat):
            others = [(one, two) for one, two in zip(child.messages, parent.messages, strict=True) if one.role != "user"]
            assert all(one == two for one, two in others)


@given(placed=placed_rows(), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_child_is_nearly_the_same_as_a_validation_or_test_row(placed: list[tuple[KeptRow, Side]], seed: int) -> None:
    found = made_by(placed, [step_of(kind) for kind in KINDS], seed)
    judged = [row.example for row, side in placed if side != "train"]
    for row, _ in found:
        if row.example.parent is not None:
            # By brute force, with the definition.
            mine = row.example
            for other in judged:
                if type(mine) is type(other):
                    assert all(similarity(a.casefold(), b.casefold()) < 0.8 for a, b in [(first_text(mine), first_text(other))])


def first_text(row: AnyExample) -> str:
    return row.messages[1].text if isinstance(row, Chat) else row.texts()[0]


@given(placed=placed_rows(), seed=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_certificate_that_held_without_children_holds_with_them(placed: list[tuple[KeptRow, Side]], seed: int) -> None:
    before = certify(((row.example, side) for row, side in placed), "who", 0.8)
    after = certify(((row.example, side) for row, side in made_by(placed, [step_of(kind) for kind in KINDS], seed)), "who", 0.8)
    assert after.near_duplicates_shared == before.near_duplicates_shared
    assert after.groups_shared == before.groups_shared


@pytest.mark.parametrize("kind", KINDS)
@given(placed=placed_rows(), seed=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_child_hangs_on_its_parent_and_the_seed_alone(kind: Any, placed: list[tuple[KeptRow, Side]], seed: int) -> None:
    train = [(row, side) for row, side in placed if side == "train"]
    together = {row.example.id: row for row, _ in made_by(train, [step_of(kind, share=0.7)], seed)}
    for one in train:
        alone = {row.example.id: row for row, _ in made_by([one], [step_of(kind, share=0.7)], seed)}
        assert {name: together.get(name) for name in alone} == alone
        assert set(alone) == {name for name in together if name.split("+")[0] == one[0].example.id}


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_share_keeps_the_children_of_a_smaller_one_and_shares_come_out(kind: Any) -> None:
    placed: list[tuple[KeptRow, Side]] = [
        (KeptRow(Labelled(f"r{i}", f"Anna wrote about violin {i} and its bow", "x")), "train") for i in range(600)
    ]  # fmt: skip
    few = {row.example.id for row, _ in made_by(placed, [step_of(kind, share=0.2)])}
    many = {row.example.id for row, _ in made_by(placed, [step_of(kind, share=0.5)])}
    assert few < many
    assert 600 + 80 <= len(few) <= 600 + 160 and 600 + 240 <= len(many) <= 600 + 360
    assert few != {row.example.id for row, _ in made_by(placed, [step_of(kind, share=0.2)], seed=1)}


def test_two_of_a_kind_draw_apart_and_have_names_of_their_own() -> None:
    steps = [Templates(patterns=("Hello, {text}",), share=0.5), Templates(patterns=("{text} Bye!",), share=0.5)]
    placed: list[tuple[KeptRow, Side]] = [(KeptRow(Labelled(f"r{i}", f"bow number {i}", "x")), "train") for i in range(100)]
    found = [row.example.id for row, _ in made_by(placed, steps)]
    first, second = ({name.split("+")[0] for name in found if name.endswith(end)} for end in ("+templates", "+templates-2"))
    assert names(steps) == ["templates", "templates-2"]
    assert first and second and first != second


def test_the_account_says_what_was_made_and_why_what_was_not() -> None:
    same = "when does the workshop open on a saturday in the winter"
    placed: list[tuple[KeptRow, Side]] = [
        (KeptRow(Labelled("a", same.upper(), "x")), "train"),
        (KeptRow(Labelled("b", "the pegs of Anna slip", "x")), "train"),
        (KeptRow(Text("c", "plain prose")), "train"),
        (KeptRow(Labelled("d", "thank you! " + same, "x")), "validation"),
    ]
    more = additions(placed, [step_of(Templates, patterns=("Thank you! {text}",))])
    assert [row.example.id for row, _ in more.after(placed)] == ["a", "b", "b+templates", "c", "d"]
    refused = more.account.refused["templates"]
    assert more.account.as_dict() == {"templates": {"made": 1, "not_made": dict(refused)}}
    assert refused[TOO_LIKE] == 1 and refused.total() == 2


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (step_of(Swaps, words=(("flute", "oboe"),)), "tried 4 training rows and made nothing of them: nothing in it to change"),
        (step_of(Templates, share=1e-9), "was drawn for no training row"),
    ],
)
def test_an_augmentation_that_makes_nothing_is_an_error(step: Any, wrong: str) -> None:
    placed: list[tuple[KeptRow, Side]] = [(KeptRow(Labelled(f"r{i}", "the bow", "x")), "train") for i in range(4)]
    with pytest.raises(LuthierError, match=wrong) as caught:
        list(additions(placed, [step_of(Templates), step]).after(placed))
    assert caught.value.where == "[prepare] augment[1]"


def test_children_are_made_of_copies_too_and_copies_name_the_row_that_they_copy() -> None:
    rows = [Labelled(f"r{i}", f"Anna sent bow {i}", "rare" if i == 0 else "often") for i in range(4)]
    placed: list[tuple[KeptRow, Side]] = [(KeptRow(row), "train") for row in rows]
    more = additions(placed, [step_of(Templates)], balance=Oversample())
    found = [row.example for row, _ in more.after(placed)]
    assert Counter(row.label for row in found if isinstance(row, Labelled)) == {"rare": 6, "often": 6}
    parents = {row.id: row.parent for row in found}
    assert parents["r0+copy-1"] == parents["r0+copy-2"] == "r0"
    assert parents["r0+copy-1+templates"] == "r0+copy-1"
    assert more.account.made == {"oversample": 2, "templates": 6}


def test_a_tool_call_and_the_words_in_it_go_on_to_agree() -> None:
    call = ToolCall("1", "book", '{"for": "anna"}')
    chat = Chat("r", (Message("user", "Book a lesson for Anna"), Message("assistant", "", tool_calls=(call,))))
    more = additions([(KeptRow(chat), "train")], [step_of(Swaps), step_of(Templates)])
    more.refuse_idle = lambda: None  # type: ignore[method-assign]
    assert [row.example.id for row, _ in more.after([(KeptRow(chat), "train")])] == ["r", "r+templates"]
    assert more.account.refused["swaps"].total() == 1
