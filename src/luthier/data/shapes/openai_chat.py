"""openai chat: messages with roles, as the chat-completions interface and its fine-tuning files have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Chat
from luthier.core.jsonvalue import Json, dump
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, put, unpacked
from luthier.data.shapes.turns import openai_messages, spelled, turns_in

MESSAGES_NAMES = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog", "turns")
TOOLS_NAMES = ("tools", "functions")
_OPTIONS_NAMES = ("chat_template_kwargs", "template_options")


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
        turns = openai_messages(turns_of(record, self.fields["messages"]))
        options = lookup(record, self.fields["template_options"]) if "template_options" in self.fields else None
        if options is not None and not isinstance(options, Mapping):
            raise RowError(f'the column "{self.fields["template_options"]}" is not an object')
        return Chat(row_id, turns, tools_of(record, self.fields.get("tools")), options or {}, **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The messages, and tools and template options where there are any."""
        assert isinstance(example, Chat), "this layout's examples are conversations"
        return chat_record(example, self.fields, style, spelled(example.messages, lookup(style, self.fields["messages"])))

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


def chat_record(example: Chat, fields: Mapping[str, str], style: Mapping[str, Json], turns: Json) -> dict[str, Json]:
    """The columns of a conversation whose messages are spelled already."""
    found = put({}, fields["messages"], turns, style)
    for role, value in (("tools", example.tools), ("template_options", example.template_options)):
        if role in fields and value:
            as_text = isinstance(lookup(style, fields[role]), str)
            spelling: Json = list(value) if isinstance(value, tuple) else dict(value)
            put(found, fields[role], dump(spelling) if as_text else spelling, style)
    return found


def turns_of(record: Mapping[str, Json], path: str) -> list[Mapping[str, Json]]:
    """The entries of the column of messages, each of which must be an object."""
    return turns_in(lookup(record, path), f'the column "{path}"')


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
