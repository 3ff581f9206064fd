"""How a reply's text holds reasoning and tool calls, read from the marks that the template itself uses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from luthier.core.jsonvalue import dump
from luthier.core.messages import Message, ToolCall

MARKS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
"""What the formats below read off a reply's text."""
_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_THOUGHT = re.compile(r"^\s*<think>(.*?)</think>", re.DOTALL)


@dataclass(frozen=True)
class ReplyFormat:
    """Which marks mean something in this template's replies; text that merely looks like others stays text."""

    has_reasoning: bool
    has_tool_calls: bool

    @classmethod
    def of(cls, template: str) -> ReplyFormat:
        """Read the marks off a template's source."""
        return cls(has_reasoning="<think>" in template, has_tool_calls="<tool_call>" in template)

    def parse(self, text: str) -> Message:
        """The message that a reply's text says; a tool call that is no valid JSON stays text."""
        reasoning: str | None = None
        if self.has_reasoning and (thought := _THOUGHT.match(text)):
            reasoning = thought.group(1).strip() or None
            text = text[thought.end() :].lstrip("\n")
        calls: list[ToolCall] = []
        if self.has_tool_calls:
            for match in list(_CALL.finditer(text)):
                call = _read_call(match.group(1), len(calls))
                if call is not None:
                    calls.append(call)
                    text = text.replace(match.group(0), "", 1)
            text = text.strip() if calls else text
        return Message("assistant", text, reasoning=reasoning, tool_calls=tuple(calls))


def _read_call(text: str, number: int) -> ToolCall | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", {})
    return ToolCall(f"call_{number}", value["name"], arguments if isinstance(arguments, str) else dump(arguments))
