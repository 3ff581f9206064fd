"""openai preference: an input of messages, the preferred output and the other one, as the fine-tuning interface has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Preference
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, put
from luthier.data.shapes.openai_chat import tools_of
from luthier.data.shapes.turns import openai_messages, spelled, turns_in

_NAMES = {"input": "input", "preferred": "preferred_output", "other": "non_preferred_output"}


@dataclass(frozen=True)
class OpenAIPreference:
    """`input` holds `messages` and what else the request had (tools, parallel_tool_calls); both outputs are lists of messages."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "openai preference"
    roles: ClassVar[tuple[str, ...]] = ("input", "preferred", "other")
    needs: ClassVar[tuple[str, ...]] = ("input", "preferred", "other")
    shape: ClassVar[str] = "preference"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """Columns of these very names, the input being an object with messages."""
        found = {role: given.get(role) or sample.pick((name,)) for role, name in _NAMES.items()}
        fields = {role: column for role, column in found.items() if column is not None}
        if len(fields) < len(_NAMES) or not any(isinstance(value, Mapping) for value in sample.values(fields["input"])):
            return None
        return cls(fields)

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Preference:
        """The input's messages and tools, and both outputs."""
        asked = lookup(record, self.fields["input"])
        if not isinstance(asked, Mapping):
            raise RowError(f'the column "{self.fields["input"]}" is not an object with messages')
        prompt = openai_messages(turns_in(asked.get("messages"), f'"messages" in the column "{self.fields["input"]}"'))
        good, other = (
            openai_messages(turns_in(lookup(record, self.fields[role]), f'the column "{self.fields[role]}"'))
            for role in ("preferred", "other")
        )
        return Preference(row_id, prompt, good, other, tools_of(asked, "tools"), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The input as it was but for its messages, and both outputs."""
        assert isinstance(example, Preference), "this layout's examples are preferences"
        old = lookup(style, self.fields["input"])
        beside = dict(old) if isinstance(old, Mapping) else {}
        asked: dict[str, Json] = {**beside, "messages": spelled(example.prompt, beside.get("messages"))}
        if example.tools and "tools" not in beside:
            asked["tools"] = list(example.tools)
        found = put({}, self.fields["input"], asked, style)
        for role, turns in (("preferred", example.chosen), ("other", example.rejected)):
            put(found, self.fields[role], spelled(turns, lookup(style, self.fields[role])), style)
        return found

    def said(self) -> str:
        """What the rows are, in words."""
        return "preferences in OpenAI's layout: " + ", ".join(f'{role} in "{column}"' for role, column in self.fields.items())
