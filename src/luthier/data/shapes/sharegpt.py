"""sharegpt: conversations of `from` and `value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Chat
from luthier.core.jsonvalue import Json, dump
from luthier.core.messages import Message
from luthier.data.shapes.columns import Common, Sample, lookup, optional_text_of, put
from luthier.data.shapes.openai_chat import TOOLS_NAMES, message_column, tools_of, turns_of
from luthier.data.shapes.pair import SYSTEM_NAMES
from luthier.data.shapes.turns import sharegpt_messages, spelled, to_turn


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
        system = optional_text_of(record, self.fields.get("system"))
        opening = (Message("system", system),) if system.strip() else ()
        turns = sharegpt_messages(turns_of(record, self.fields["messages"]))
        return Chat(row_id, (*opening, *turns), tools_of(record, self.fields.get("tools")), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The turns, with the system message in its own column where there is one, and tools as JSON text."""
        assert isinstance(example, Chat), "this layout's examples are conversations"
        turns, found = example.messages, dict[str, Json]()
        if "system" in self.fields:
            old = optional_text_of(style, self.fields["system"]) if self.fields["system"] in style else "there"
            said = turns[0].text if turns and turns[0].role == "system" and old.strip() else ""
            turns = turns[1:] if said else turns
            put(found, self.fields["system"], said, style)
        old_turns = lookup(style, self.fields["messages"])
        put(found, self.fields["messages"], spelled(turns, old_turns) if old_turns else [to_turn(turn) for turn in turns], style)
        if "tools" in self.fields and example.tools:
            in_list = isinstance(lookup(style, self.fields["tools"]), list)
            put(found, self.fields["tools"], list(example.tools) if in_list else dump(list(example.tools)), style)
        return found

    def said(self) -> str:
        """What the rows are, in words."""
        others = "".join(f' and {role} in "{self.fields[role]}"' for role in ("tools", "system") if role in self.fields)
        return f'conversations in ShareGPT\'s layout: turns in "{self.fields["messages"]}"{others}'
