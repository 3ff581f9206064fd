"""Laws of cleaning steps: a step that joins `AnyStep` is tested by that alone."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.loading import dump, loads
from luthier.core.messages import Message, OtherPart, TextPart, ToolCall
from luthier.core.options import kind_of
from luthier.data.decisions import KeyStep, SetStep, ready
from luthier.data.pipeline import DEFAULT_STEPS, Prepare, clean
from luthier.data.steps import AnyKeyStep, AnyRowStep, AnySetStep, AnyStep, Contamination, OwnFilter, SemanticDuplicates
from luthier.data.tools import Tools

STEPS = get_args(AnyStep)
ROW_STEPS = get_args(AnyRowStep)

def by_letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """An embedder: how often each of the letters occurs, each text's vector of length 1."""
    found = np.array([[1e-3, *(text.casefold().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz<>éã")] for text in texts])
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


TOOLS = Tools(count_tokens=lambda texts: [len(text.split()) for text in texts], embed=lambda name: by_letters)
OWN = """
def decide(row):
    texts = str(row)
    return "cafés are closed" if "Ã" in texts else "zero" not in texts
"""


@pytest.fixture(scope="module")
def step_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """Makes a step of any kind."""
    path = tmp_path_factory.mktemp("given") / "own.py"
    path.write_text(OWN, encoding="utf-8")
    confinement = "full" if sys.platform.startswith("linux") else "possible"
    exam = path.with_name("exam.jsonl")
    exam.write_text('{"text": "plain plain plain cafÃ© x"}\n{"text": "not in any row at all"}\n', encoding="utf-8")
    some: dict[Any, dict[str, Any]] = {
        OwnFilter: {"function": f"{path}:decide", "confinement": confinement},
        Contamination: {"against": (str(exam),)},
        SemanticDuplicates: {"model": "letters"},
    }
    return lambda kind: kind(**some.get(kind, {}))


DIRT = [
    "",
    " ",
    "plain",
    "  lead and tail \t",
    "cafÃ©",
    "line\r\nline\rline",
    "zero\u200bwidth",
    "\ufeffmark",
    "e\u0301",
    "a\u00a0b",
    "1 <br> 2",
    "<p>x</p>",
    "&amp;amp;",
    "&lt;b&gt;",
    "a < b > c",
    "    def f():\n        return 1",
    "x\n\n\n\n\n\ny",
    "\ud800",
    "```\n a  b \n```",
    "| a  | b |",
    "“q”",
    "👩\u200d👩",
    "mail jane@acme.org or +44 20 7946 0958",
    "4111 1111 1111 1111",
    "password: Tr0ub4dor&3",
    "\u3000全角",
    "> quoted\nOn 3 May 2025, Ann wrote:\n> more",
    "Kind regards\n\nAnn Lee\nTel. 01632 960000",
    "-- \nAnn",
    "pаypal Mосква",
    "See [1] that [[1]edit]. It is so! Is it? Yes. No.",
    "# Heading\n\n**bold** [link](http://x.example)",
    "This sentense has one slip in its second word.",
]
texts = st.one_of(st.sampled_from(DIRT), st.lists(st.sampled_from(DIRT), max_size=4).map(" ".join), st.text(max_size=60))


@st.composite
def examples(draw: st.DrawFn, name: str = "r") -> AnyExample:
    text = draw(texts)
    match draw(st.sampled_from(["text", "labelled", "pair", "chat"])):
        case "text":
            return Text(name, text)
        case "labelled":
            return Labelled(name, text, draw(st.sampled_from(["yes", "no", " yes ", None])))
        case "pair":
            return Pair(name, text, draw(texts))
        case _:
            parts = (TextPart(draw(texts)), OtherPart("image_url", {"image_url": {"url": "x"}}))
            turns = [
                Message("system", draw(texts)),
                Message("user", parts),
                Message("assistant", text, tool_calls=(ToolCall("1", "f", "{}"),)),
            ]
            return Chat(name, tuple(turns[: draw(st.integers(0, 3))]))


@st.composite
def data_sets(draw: st.DrawFn) -> list[AnyExample]:
    n = draw(st.integers(0, 12))
    return [draw(examples(f"r{i}")) for i in range(n)]


def test_the_table_is_its_three_parts() -> None:
    assert set(STEPS) == {*get_args(AnyRowStep), *get_args(AnyKeyStep), *get_args(AnySetStep)}
    assert {type(step) for step in DEFAULT_STEPS} <= set(STEPS)


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_is_a_frozen_dataclass_that_a_recipe_can_name(kind: Any, step_of: Callable[[Any], Any]) -> None:
    step = step_of(kind)
    assert kind_of(kind) == step.kind
    assert isinstance(step, KeyStep) == (kind in get_args(AnyKeyStep))
    assert isinstance(step, SetStep) == (kind in get_args(AnySetStep))
    assert loads(Prepare, dump(Prepare((step,)))).steps == (step,)
    with pytest.raises(AttributeError):
        step.kind = "other"


@pytest.mark.parametrize("kind", ROW_STEPS)
@given(example=examples())
@settings(max_examples=60, deadline=None)
def test_a_row_step_is_pure(kind: Any, step_of: Callable[[Any], Any], example: AnyExample) -> None:
    before = copy.deepcopy(example)
    one, two = (ready(step_of(kind), TOOLS) for _ in range(2))
    assert one.apply(example) == two.apply(example) == one.apply(example)
    assert example == before


@pytest.mark.parametrize("kind", STEPS)
@given(rows=data_sets())
@settings(max_examples=60, deadline=None)
def test_every_row_is_kept_or_dropped_with_a_reason(kind: Any, step_of: Callable[[Any], Any], rows: list[AnyExample]) -> None:
    cleaned = clean(rows, [step_of(kind)], tools=TOOLS)
    left = [row.example.id for row in cleaned.kept]
    gone = [row.example.id for row in cleaned.dropped]
    assert sorted(left + gone) == sorted(row.id for row in rows)
    assert left == [row.id for row in rows if row.id in left]
    assert all(row.reason and row.step == kind_of(kind) for row in cleaned.dropped)
    assert all(change.reason for row in cleaned.kept for change in row.changes)
    assert all(row.kept_id is None or row.kept_id in left for row in cleaned.dropped)


@pytest.mark.parametrize("kind", [kind for kind in STEPS if not kind.decodes])
@given(rows=data_sets())
@settings(max_examples=150, deadline=None)
def test_a_step_that_does_not_decode_is_idempotent(kind: Any, step_of: Callable[[Any], Any], rows: list[AnyExample]) -> None:
    once = clean(rows, [step_of(kind)], tools=TOOLS)
    again = clean([row.example for row in once.kept], [step_of(kind)], tools=TOOLS)
    assert [row.example for row in again.kept] == [row.example for row in once.kept]
    assert again.dropped == ()
    assert again.changed() == {}


@pytest.mark.parametrize("kind", [kind for kind in ROW_STEPS if kind.decodes])
def test_a_decoder_may_stand_in_a_recipe_once(kind: Any) -> None:
    problems = [problem for _, problem, _ in Prepare((kind(), kind())).complaints(frozenset())]
    assert len(problems) == 1
    assert "twice" in problems[0]
    assert not list(Prepare((kind(),)).complaints(frozenset()))


@pytest.mark.parametrize("kind", get_args(AnyKeyStep))
@given(rows=data_sets())
@settings(max_examples=60, deadline=None)
def test_a_key_step_decides_the_same_on_any_machine(kind: Any, rows: list[AnyExample]) -> None:
    assert [kind().keys(row) for row in rows] == [kind().keys(copy.deepcopy(row)) for row in rows]
    assert clean(rows, [kind()]) == clean(copy.deepcopy(rows), [kind()])


@pytest.mark.parametrize("kind", get_args(AnyKeyStep))
def test_equal_rows_share_a_key_and_one_of_them_stays(kind: Any) -> None:
    rows = [Text(str(i), "the bridge of the cello has warped") for i in range(3)] + [Text("3", "a quite different sentence about bows")]
    random.Random(0).shuffle(rows)
    cleaned = clean(rows, [kind()])
    first = next(row.id for row in rows if row.text.startswith("the"))
    assert sorted(row.example.id for row in cleaned.kept) == sorted([first, "3"])
    assert {row.kept_id for row in cleaned.dropped} == {first}


def test_default_steps_make_no_complaint() -> None:
    assert not list(Prepare().complaints(frozenset()))
