"""openai chat: messages with roles, as the chat-completions interface and its fine-tuning files have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core import messages
from luthier.core.examples import Chat
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message
from luthier.data.columns import Common, Sample, lookup, unpacked
from luthier.data.record import RowError

MESSAGES_NAMES = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog", "turns")
TOOLS_NAMES = ("tools", "functions")
_OPTIONS_NAMES = ("chat_template_kwargs", "template_options")
_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant", "function": "tool", "ipython": "tool"}


@dataclass(frozen=True)
class OpenAIChat:
    """A list of messages with `role` and `content`; tools, weights, parts and tool calls as the interface writes them."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "openai chat"
    roles: ClassVar[tuple[str, ...]] = ("messages", "tools", "template_options")
    needs: ClassVar[tuple[str, ...]] = ("messages",)
    shape: ClassVar[str] = "chat"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of lists of objects that have a role."""
        column = message_column(sample, given, ("role",))
        if column is None:
            return None
        found = {"messages": column}
        for role, names in (("tools", TOOLS_NAMES), ("template_options", _OPTIONS_NAMES)):
            other = given.get(role) or sample.pick(names)
            if other:
                found[role] = other
        return cls(found)

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Chat:
        """The conversation; the older `function_call` and the role `function` become tool calls and tool messages."""
        turns: list[Message] = []
        for number, turn in enumerate(turns_of(record, self.fields["messages"]), 1):
            try:
                turns.append(messages.from_dict(_modern(turn, turns)))
            except ValueError as error:
                raise RowError(f"message {number}: {error}") from None
        options = lookup(record, self.fields["template_options"]) if "template_options" in self.fields else None
        if options is not None and not isinstance(options, Mapping):
            raise RowError(f'the column "{self.fields["template_options"]}" is not an object')
        return Chat(row_id, tuple(turns), tools_of(record, self.fields.get("tools")), options or {}, **common)

    def said(self) -> str:
        """What the rows are, in words."""
        tools = f' and tools in "{self.fields["tools"]}"' if "tools" in self.fields else ""
        return f'conversations in OpenAI\'s layout: messages in "{self.fields["messages"]}"{tools}'


def message_column(sample: Sample, given: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    """The column whose entries are objects with these keys."""
    usual = tuple(column for column in (sample.pick((name,)) for name in MESSAGES_NAMES) if column)
    for column in (given["messages"],) if "messages" in given else usual:
        for value in sample.values(column):
            try:
                turns = unpacked(value, column)
            except RowError:
                break
            if isinstance(turns, list) and turns:
                if isinstance(turns[0], Mapping) and all(key in turns[0] for key in keys):
                    return column
                break
    return None


def turns_of(record: Mapping[str, Json], path: str) -> list[Mapping[str, Json]]:
    """The entries of the column of messages, each of which must be an object."""
    what = f'the column "{path}"'
    turns = unpacked(lookup(record, path), what)
    if not isinstance(turns, list) or not turns:
        raise RowError(f"{what} {'is missing' if turns is None else 'holds no messages'}")
    wrong = next((number for number, turn in enumerate(turns, 1) if not isinstance(turn, Mapping)), None)
    if wrong is not None:
        raise RowError(f"message {wrong} is not an object")
    return [turn for turn in turns if isinstance(turn, Mapping)]


def tools_of(record: Mapping[str, Json], path: str | None) -> tuple[Mapping[str, Json], ...]:
    """The tools of a row, given as a list or as its JSON text; bare functions are wrapped as the interface wants them."""
    value = None if path is None else lookup(record, path)
    if value is None or value in ("", []):
        return ()
    tools = unpacked(value, f'the column "{path}"')
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise RowError(f'the column "{path}" is not a list of tools')
    found = [tool for tool in tools if isinstance(tool, Mapping)]
    return tuple(tool if "function" in tool or "name" not in tool else {"type": "function", "function": tool} for tool in found)


def _modern(turn: Mapping[str, Json], before: list[Message]) -> Mapping[str, Json]:
    """A message in today's spelling."""
    new = dict(turn)
    role = turn.get("role")
    if isinstance(role, str):
        new["role"] = _ROLES.get(role.strip().lower(), role.strip().lower())
    if isinstance(turn.get("content"), list):
        new["content"] = [_part(part) for part in turn["content"]]  # type: ignore[union-attr]
    if "weight" not in turn and turn.get("loss_weight") is not None:
        new["weight"] = turn["loss_weight"]
    if turn.get("function_call") is not None and not turn.get("tool_calls"):
        n_calls = sum(len(message.tool_calls) for message in before)
        new["tool_calls"] = [{"id": f"call_{n_calls}", "type": "function", "function": turn["function_call"]}]
    if role == "function" and "tool_call_id" not in turn:
        calls = [call.id for message in before for call in message.tool_calls]
        new["tool_call_id"] = calls[-1] if calls else None
    return new


def _part(part: Json) -> Json:
    """A text part whose text stands under `value`, as LLaMA-Factory writes it, in the interface's spelling."""
    if isinstance(part, Mapping) and part.get("type") == "text" and "text" not in part and "value" in part:
        return {"type": "text", "text": part["value"]}
    return part
