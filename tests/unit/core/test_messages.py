"""Messages, in and out of the chat-completions shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.messages import ROLES, Message, OtherPart, TextPart, ToolCall, from_dict, to_dict

parts = st.one_of(st.builds(TextPart, st.text()), st.builds(OtherPart, st.sampled_from(["image_url", "audio"]), st.just({"url": "x"})))
calls = st.builds(ToolCall, st.text(min_size=1), st.text(min_size=1), st.just('{"x": 1}'))
messages = st.builds(
    Message,
    role=st.sampled_from(ROLES),
    content=st.text() | st.lists(parts, min_size=1, max_size=3).map(tuple),
    reasoning=st.none() | st.text(),
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=st.none() | st.text(),
    name=st.none() | st.text(),
    weight=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
)


@given(messages)
def test_a_message_reads_back_as_it_was_written(message: Message) -> None:
    assert from_dict(to_dict(message)) == message  # type: ignore[arg-type]


def test_empty_fields_are_left_out() -> None:
    assert to_dict(Message("user", "hi")) == {"role": "user", "content": "hi"}
    assert to_dict(Message("assistant", "", tool_calls=(ToolCall("c", "look", '{"x": 1}'),), weight=0.0)) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}],
        "weight": 0.0,
    }


def test_weights_default_by_role() -> None:
    assert {role: Message(role).trained_weight for role in ROLES} == {"system": 0, "developer": 0, "user": 0, "assistant": 1, "tool": 0}  # type: ignore[arg-type]
    assert Message("assistant", weight=0.0).trained_weight == 0
    assert Message("user", weight=0.5).trained_weight == 0.5


def test_text_parts_are_joined_and_others_listed() -> None:
    image = OtherPart("image_url", {"image_url": {"url": "x"}})
    message = Message("user", (TextPart("a"), image, TextPart("b")))
    assert message.text == "ab" and message.other_parts == (image,)
    assert Message("user", "ab").other_parts == ()


def test_spellings_of_others_are_read() -> None:
    assert from_dict({"role": "assistant", "content": None, "reasoning": "hm"}) == Message("assistant", "", reasoning="hm")
    call = {"function": {"name": "look", "arguments": {"x": 1}}}
    assert from_dict({"role": "assistant", "tool_calls": [call]}).tool_calls == (ToolCall("call_0", "look", '{"x": 1}'),)
    assert from_dict({"role": "assistant", "tool_calls": [{"id": "k", "function": {"name": "look"}}]}).tool_calls == (
        ToolCall("k", "look", "{}"),
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"role": "bot", "content": "x"}, "role is 'bot'"),
        ({"content": "x"}, "role is None"),
        ({"role": "user", "content": 3}, "content is int"),
        ({"role": "user", "content": ["x"]}, "has no type"),
        ({"role": "user", "content": [{"type": "text"}]}, "has no text"),
        ({"role": "user", "content": "x", "weight": -1}, "weight is -1"),
        ({"role": "user", "content": "x", "weight": True}, "weight is True"),
        ({"role": "user", "content": "x", "weight": float("nan")}, "weight is nan"),
        ({"role": "assistant", "tool_calls": {}}, "not a list"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "tool call 1"),
        ({"role": "assistant", "name": 3}, "name is int"),
    ],
)
def test_a_wrong_shape_is_named(value: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        from_dict(value)  # type: ignore[arg-type]


def test_a_weight_that_is_infinite_is_refused() -> None:
    with pytest.raises(ValueError, match="weight is inf"):
        from_dict({"role": "assistant", "content": "x", "weight": float("inf")})
