"""Reasoning and tool calls, read off a reply's text."""

from __future__ import annotations

import pytest

from luthier.core.messages import Message, ToolCall
from luthier.text.replies import ReplyFormat

BOTH = ReplyFormat(has_reasoning=True, has_tool_calls=True)
NEITHER = ReplyFormat(has_reasoning=False, has_tool_calls=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plain", Message("assistant", "plain")),
        ("<think>\nhm\n</think>\n\nyes", Message("assistant", "yes", reasoning="hm")),
        ("<think>\n\n</think>\n\nyes", Message("assistant", "yes")),
        ("yes <think>hm</think>", Message("assistant", "yes <think>hm</think>")),
        ("<think>never ends", Message("assistant", "<think>never ends")),
        (
            '<tool_call>\n{"name": "f", "arguments": {"x": {"y": 1}}}\n</tool_call>',
            Message("assistant", "", tool_calls=(ToolCall("call_0", "f", '{"x": {"y": 1}}'),)),
        ),
        ('a <tool_call>{"name": "f"}</tool_call>', Message("assistant", "a", tool_calls=(ToolCall("call_0", "f", "{}"),))),
        ('<tool_call>{"name": "f", "arguments": "{}"}</tool_call>', Message("assistant", "", tool_calls=(ToolCall("call_0", "f", "{}"),))),
        ("<tool_call>{broken}</tool_call>", Message("assistant", "<tool_call>{broken}</tool_call>")),
        ('<tool_call>{"arguments": {}}</tool_call>', Message("assistant", '<tool_call>{"arguments": {}}</tool_call>')),
        ('<tool_call>{"name": 3}</tool_call>', Message("assistant", '<tool_call>{"name": 3}</tool_call>')),
    ],
)
def test_a_reply_says_what_it_says(text: str, message: Message) -> None:
    assert BOTH.parse(text) == message
    assert NEITHER.parse(text) == Message("assistant", text)


def test_calls_are_numbered_in_order_and_broken_ones_stay_text() -> None:
    first, broken, second = '<tool_call>{"name": "f"}</tool_call>', "<tool_call>{no}</tool_call>", '<tool_call>{"name": "g"}</tool_call>'
    parsed = BOTH.parse(first + broken + second + first)
    assert [(call.id, call.name) for call in parsed.tool_calls] == [("call_0", "f"), ("call_1", "g"), ("call_2", "f")]
    assert parsed.text == broken


def test_the_marks_are_read_off_the_template() -> None:
    assert ReplyFormat.of("… '<think>' … <tool_call> …") == BOTH
    assert ReplyFormat.of("plain") == NEITHER
