"""prompt/completion in messages: TRL's conversational layout, of which only the completion is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Chat
from luthier.core.jsonvalue import Json
from luthier.data.shapes.columns import Common, Sample, lookup, put
from luthier.data.shapes.openai_chat import TOOLS_NAMES, tools_of
from luthier.data.shapes.turns import read_turns, spelled, turns_in


@dataclass(frozen=True)
class MessageExchange:
    """A list of messages as the prompt and a list of messages as the completion."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "prompt/completion in messages"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "completion", "tools")
    needs: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    shape: ClassVar[str] = "chat"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """Columns of these names that hold lists of messages."""
        found = {role: given.get(role) or sample.pick((role,)) for role in ("prompt", "completion")}
        fields = {role: column for role, column in found.items() if column is not None}
        if len(fields) < 2 or not all(sample.mostly(column, lambda value: isinstance(value, list)) for column in fields.values()):
            return None
        tools = given.get("tools") or sample.pick(TOOLS_NAMES)
        return cls(fields | ({"tools": tools} if tools else {}))

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Chat:
        """The conversation; what the assistant says in the prompt is not trained on."""
        columns = (self.fields["prompt"], self.fields["completion"])
        prompt, completion = (read_turns(turns_in(lookup(record, column), f'the column "{column}"')) for column in columns)
        context = tuple(replace(turn, weight=0.0) if turn.role == "assistant" and turn.weight is None else turn for turn in prompt)
        return Chat(row_id, (*context, *completion), tools_of(record, self.fields.get("tools")), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The last messages as the completion, as many as there were, and those before as the prompt."""
        assert isinstance(example, Chat), "this layout's examples are conversations"
        old = lookup(style, self.fields["completion"])
        at = len(example.messages) - (len(old) if isinstance(old, list) else 1)
        before = example.messages[:at]
        prompt = tuple(replace(turn, weight=None) if turn.role == "assistant" and turn.weight == 0 else turn for turn in before)
        found = put({}, self.fields["prompt"], spelled(prompt, lookup(style, self.fields["prompt"])), style)
        put(found, self.fields["completion"], spelled(example.messages[at:], old), style)
        if "tools" in self.fields and example.tools:
            put(found, self.fields["tools"], list(example.tools), style)
        return found

    def said(self) -> str:
        """What the rows are, in words."""
        return f'conversations: the messages in "{self.fields["prompt"]}", the reply to them in "{self.fields["completion"]}"'
