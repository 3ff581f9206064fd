"""sharegpt: conversations of `from` and `value`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import Chat
from luthier.core.jsonvalue import Json, dump
from luthier.core.messages import Message, Role, ToolCall
from luthier.data.columns import Common, Sample, optional_text_of
from luthier.data.record import RowError
from luthier.data.shapes.openai_chat import TOOLS_NAMES, message_column, tools_of, turns_of
from luthier.data.shapes.pair import SYSTEM_NAMES

_ROLES: Mapping[str, Role] = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "model": "assistant", "bot": "assistant", "system": "system", "developer": "developer", "observation": "tool",
    "tool": "tool", "function_response": "tool", "function": "tool",
}  # fmt: skip
_CALLS = ("function_call", "tool_call")


@dataclass(frozen=True)
class ShareGPT:
    """A list of turns with `from` (human, gpt, system, function_call, observation) and `value`."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "sharegpt"
    roles: ClassVar[tuple[str, ...]] = ("messages", "tools", "system")
    needs: ClassVar[tuple[str, ...]] = ("messages",)
    shape: ClassVar[str] = "chat"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of lists of objects that have `from` and `value`."""
        column = message_column(sample, given, ("from", "value"))
        if column is None:
            return None
        found = {"messages": column}
        for role, names in (("tools", TOOLS_NAMES), ("system", SYSTEM_NAMES)):
            other = given.get(role) or sample.pick(names)
            if other:
                found[role] = other
        return cls(found)

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Chat:
        """The conversation; a function call becomes an assistant's tool call, the observations behind it answer its calls in order."""
        turns: list[Message] = []
        system = optional_text_of(record, self.fields.get("system"))
        if system.strip():
            turns.append(Message("system", system))
        unanswered: list[str] = []
        n_calls = 0
        for number, turn in enumerate(turns_of(record, self.fields["messages"]), 1):
            said_by, value = str(turn.get("from")).strip().lower(), turn.get("value")
            if not isinstance(value, str):
                raise RowError(f"message {number}: its value is not text")
            weight = _weight(turn, number)
            if said_by in _CALLS:
                calls = _calls(value, n_calls, number)
                n_calls += len(calls)
                unanswered = [call.id for call in calls]
                turns.append(Message("assistant", tool_calls=calls, weight=weight))
            elif said_by in _ROLES:
                role = _ROLES[said_by]
                answered = unanswered.pop(0) if role == "tool" and unanswered else None
                turns.append(Message(role, value, tool_call_id=answered, weight=weight))
            else:
                raise RowError(f"message {number}: it is from {said_by!r}, not one of {', '.join((*_ROLES, *_CALLS))}")
        return Chat(row_id, tuple(turns), tools_of(record, self.fields.get("tools")), **common)

    def said(self) -> str:
        """What the rows are, in words."""
        others = "".join(f' and {role} in "{self.fields[role]}"' for role in ("tools", "system") if role in self.fields)
        return f'conversations in ShareGPT\'s layout: turns in "{self.fields["messages"]}"{others}'


def _refuse(name: str) -> None:
    raise ValueError(name)


def _weight(turn: Mapping[str, Json], number: int) -> float | None:
    weight = turn.get("weight", turn.get("loss_weight"))
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
        raise RowError(f"message {number}: its weight is {weight!r}, not a number of 0 or more")
    return float(weight)


def _calls(value: str, n_before: int, number: int) -> tuple[ToolCall, ...]:
    """The calls written as JSON: one object with `name` and `arguments`, or a list of them."""
    try:
        found = json.loads(value, parse_constant=_refuse)
    except ValueError:
        raise RowError(f"message {number}: its function call is not JSON") from None
    calls = []
    for i, call in enumerate(found if isinstance(found, list) else [found]):
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise RowError(f"message {number}: its function call has no name")
        arguments = call.get("arguments", {})
        calls.append(ToolCall(f"call_{n_before + i}", call["name"], arguments if isinstance(arguments, str) else dump(arguments)))
    return tuple(calls)
