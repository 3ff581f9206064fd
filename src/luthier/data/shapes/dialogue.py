"""dialogue: turns of a speaker and what was said, as corpora of conversations have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Chat
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message, Role
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, put
from luthier.data.shapes.openai_chat import MESSAGES_NAMES, turns_of

_SPEAKERS: Mapping[str, Role] = {
    "user": "user", "human": "user", "customer": "user", "client": "user", "caller": "user", "patient": "user", "guest": "user",
    "visitor": "user", "system": "assistant", "assistant": "assistant", "bot": "assistant", "agent": "assistant", "wizard": "assistant",
    "operator": "assistant", "support": "assistant", "doctor": "assistant", "ai": "assistant",
}  # fmt: skip
_WHO = ("speaker", "author", "sender", "actor")
_WHAT = ("text", "utterance", "content", "message", "value")


@dataclass(frozen=True)
class Dialogue:
    """A list of turns that say who speaks (`speaker`) and what (`text`); the `system` of such corpora is the one that answers."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "dialogue"
    roles: ClassVar[tuple[str, ...]] = ("messages",)
    needs: ClassVar[tuple[str, ...]] = ("messages",)
    shape: ClassVar[str] = "chat"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of lists of objects with a speaker and a text, the speakers being known ones."""
        for column in (given["messages"],) if given else MESSAGES_NAMES:
            if sample.mostly(column, _are_turns):
                return cls({"messages": column})
        return None

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Chat:
        """The conversation."""
        found: list[Message] = []
        for number, turn in enumerate(turns_of(record, self.fields["messages"]), 1):
            said = _said(turn)
            if said is None:
                raise RowError(f"message {number} does not say who speaks ({', '.join(_SPEAKERS)}) and what")
            found.append(Message(*said))
        return Chat(row_id, tuple(found), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The turns, each as it was but for what it says."""
        assert isinstance(example, Chat), "this layout's examples are conversations"
        olds = lookup(style, self.fields["messages"])
        turns: list[Json] = []
        for n, message in enumerate(example.messages):
            old = olds[n] if isinstance(olds, list) and len(olds) == len(example.messages) else None
            if isinstance(old, Mapping):
                what = next(name for name in _WHAT if isinstance(old.get(name), str))
                turns.append({**old, what: message.text})
            else:
                turns.append({"speaker": message.role, "text": message.text})
        return put({}, self.fields["messages"], turns, style)

    def said(self) -> str:
        """What the rows are, in words."""
        return f'conversations: turns of a speaker and a text in "{self.fields["messages"]}"'


def _are_turns(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, Mapping) and _said(turn) is not None for turn in value)


def _said(turn: Mapping[str, Json]) -> tuple[Role, str] | None:
    """Who speaks in a turn and what; None where it does not say."""
    who = next((turn[name] for name in _WHO if isinstance(turn.get(name), str)), None)
    what = next((turn[name] for name in _WHAT if isinstance(turn.get(name), str)), None)
    role = _SPEAKERS.get(who.strip().lower()) if isinstance(who, str) else None
    return None if role is None or not isinstance(what, str) else (role, what)
