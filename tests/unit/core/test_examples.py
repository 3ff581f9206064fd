"""Examples: their texts, and their way into kept rows and back."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from luthier.core.examples import SHAPES, AnyExample, Chat, Labelled, Pair, Text, from_record, to_record
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
