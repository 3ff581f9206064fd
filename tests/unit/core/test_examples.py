"""Examples: their texts, and their way into kept rows and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

import pytest

from luthier.core.examples import (
    SHAPES,
    AnyExample,
    Chat,
    Labelled,
    Pair,
    Preference,
    Ranking,
    Rated,
    Scored,
    Tagged,
    Text,
    from_record,
    to_record,
)  # fmt: skip
from luthier.core.messages import Message, OtherPart, TextPart, ToolCall

CALL = Message("assistant", "", tool_calls=(ToolCall("c", "look", '{"where": "there"}'),), reasoning="let me see")
EXAMPLES: tuple[AnyExample, ...] = (
    Text("1", "some text", source="a.txt:1"),
    Labelled("2", "some text", "good", source="a.csv:2", extra={"mark": 3}),
    Labelled("3", "some text", None),
    Pair("4", "some text", "more", extra={"nested": {"a": [1, None]}}),
    Chat(
        "5", (Message("user", (TextPart("some text"), OtherPart("image_url", {"url": "x"}))), CALL, Message("tool", "ok", tool_call_id="c"))
    ),
    Chat(
        "6",
        (Message("system", "s"), Message("user", "some text"), Message("assistant", "a", weight=0.5)),
        ({"type": "function"},),
        {"thinking": False},
    ),
)


def _says(role: str, text: str) -> Message:
    return Message(role, text)  # type: ignore[arg-type]


EXAMPLES += (
    Preference("7", (_says("user", "some text"),), (_says("assistant", "good"),), (_says("assistant", "bad"),), ({"type": "function"},)),
    Ranking("8", (_says("user", "some text"),), ((_says("assistant", "a"),), (_says("assistant", "b"),)), (2, 1)),
    Rated("9", (_says("user", "some text"),), (CALL,), False, written={"values": {"label": 0}}),
    Tagged("10", ("some", "text"), ("O", "B-X")),
    Tagged("11", ("some", "text"), None, parent="10"),
    Scored("12", "some text", 0.5),
)


def test_there_is_an_example_of_each_shape() -> None:
    assert {type(example) for example in EXAMPLES} == set(get_args(AnyExample)) == set(SHAPES.values())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_a_record_reads_back_as_the_example_even_through_json(example: AnyExample) -> None:
    record = to_record(example)
    assert from_record(record) == example
    assert from_record(json.loads(json.dumps({**record, "side": "train"}))) == example
    assert record["id"] == example.id and record["shape"] == example.shape


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_changing_text_reaches_all_of_it_and_nothing_else(example: AnyExample) -> None:
    assert "some text" in example.texts()
    changed = example.map_text(str.upper)
    assert changed.texts() == tuple(text.upper() for text in example.texts())
    assert (changed.id, changed.source, changed.extra, type(changed)) == (example.id, example.source, example.extra, type(example))
    assert example.map_text(lambda text: text) == example


def test_labels_and_tool_calls_are_no_text() -> None:
    assert EXAMPLES[1].texts() == ("some text",)
    chat = EXAMPLES[4].map_text(str.upper)
    assert isinstance(chat, Chat)
    assert chat.messages[0].content == (TextPart("SOME TEXT"), OtherPart("image_url", {"url": "x"}))
    assert chat.messages[1].tool_calls == CALL.tool_calls and chat.messages[1].reasoning == "LET ME SEE"


def test_fields_have_their_usual_names() -> None:
    assert EXAMPLES[1].fields() == {"text": "some text", "label": "good"}
    assert EXAMPLES[3].fields() == {"prompt": "some text", "completion": "more"}
    assert set(EXAMPLES[5].fields()) == {"messages", "tools", "template_options"}
    assert set(EXAMPLES[4].fields()) == {"messages"}


@pytest.mark.parametrize("change", [lambda text: "", lambda text: f"{text} more", lambda text: text.replace("B", " "), str.upper])
def test_no_change_of_text_parts_a_token_from_its_tag(change: Callable[[str], str]) -> None:
    before = Tagged("1", ("aBc", "10\u00a0000", "d"), ("X", "Y", "Z"))
    after = before.map_text(change)
    assert len(after.tokens) == 3 and after.tags == before.tags
    assert all(token for token in after.tokens)


def test_all_that_is_said_in_a_preference_is_its_text() -> None:
    found = [example.text for example in EXAMPLES if isinstance(example, Preference | Ranking)]
    assert found == ["some text\ngood\nbad", "some text\na\nb"]
