"""The messages of a conversation, in the vocabulary of the chat-completions interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from luthier.core.jsonvalue import Json, dump

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)
_MOST_WEIGHT = 1e30


@dataclass(frozen=True)
class TextPart:
    """A stretch of text inside a message that is made of parts."""

    text: str


@dataclass(frozen=True)
class OtherPart:
    """A part that is not text (an image, audio, a file); kept as it came, for families that can take it."""

    kind: str
    payload: Mapping[str, Json] = field(default_factory=dict)


Part: TypeAlias = TextPart | OtherPart


@dataclass(frozen=True)
class ToolCall:
    """A function that the assistant asks to be called; `arguments` is a JSON text, as it was generated."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """One turn.

    `weight` says how much a turn counts in training: None means the default of its role (assistant 1, others 0).
    """

    role: Role
    content: str | tuple[Part, ...] = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    weight: float | None = None

    @property
    def text(self) -> str:
        """The message's text, its text parts joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def other_parts(self) -> tuple[OtherPart, ...]:
        """The parts that are not text."""
        return () if isinstance(self.content, str) else tuple(part for part in self.content if isinstance(part, OtherPart))

    @property
    def trained_weight(self) -> float:
        """How much this turn counts in training, the default of its role filled in."""
        if self.weight is not None:
            return self.weight
        return 1.0 if self.role == "assistant" else 0.0


def to_dict(message: Message) -> dict[str, Json]:
    """The message in the chat-completions shape; fields that are empty are left out."""
    value: dict[str, Json] = {"role": message.role, "content": _content_to_json(message.content)}
    if message.reasoning is not None:
        value["reasoning_content"] = message.reasoning
    if message.tool_calls:
        value["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        value["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        value["name"] = message.name
    if message.weight is not None:
        value["weight"] = message.weight
    return value


def _content_to_json(content: str | tuple[Part, ...]) -> Json:
    if isinstance(content, str):
        return content
    return [{"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": part.kind, **part.payload} for part in content]


def from_dict(value: Mapping[str, Json]) -> Message:
    """Read a message in the chat-completions shape.

    Raises:
        ValueError: the shape is wrong; the text says what was found, and the caller knows where.

    """
    role = value.get("role")
    if role not in ROLES:
        raise ValueError(f"a message's role is {role!r}, not one of {', '.join(ROLES)}")
    weight = value.get("weight")
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < _MOST_WEIGHT):
        raise ValueError(f"a message's weight is {weight!r}, not a number of 0 or more")
    return Message(
        role=role,  # type: ignore[arg-type]
        content=_content_from_json(value.get("content")),
        reasoning=_optional_text(value, "reasoning_content", "reasoning"),
        tool_calls=_tool_calls_from_json(value.get("tool_calls")),
        tool_call_id=_optional_text(value, "tool_call_id"),
        name=_optional_text(value, "name"),
        weight=None if weight is None else float(weight),
    )


def _optional_text(value: Mapping[str, Json], *names: str) -> str | None:
    for name in names:
        found = value.get(name)
        if found is not None:
            if not isinstance(found, str):
                raise ValueError(f"a message's {name} is {type(found).__name__}, not text")
            return found
    return None


def _content_from_json(content: Json) -> str | tuple[Part, ...]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError(f"a message's content is {type(content).__name__}, not text or a list of parts")
    return tuple(_part_from_json(part) for part in content)


def _part_from_json(part: Json) -> Part:
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise ValueError("a part of a message has no type")
    kind = str(part["type"])
    if kind == "text":
        text = part.get("text")
        if not isinstance(text, str):
            raise ValueError("a text part of a message has no text")
        return TextPart(text)
    return OtherPart(kind, {name: item for name, item in part.items() if name != "type"})


def _tool_calls_from_json(calls: Json) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise ValueError("a message's tool_calls is not a list")
    found = []
    for i, call in enumerate(calls):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"tool call {i + 1} of a message has no function name")
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = dump(arguments if arguments is not None else {})
        found.append(ToolCall(str(call.get("id") or f"call_{i}"), str(function["name"]), arguments))
    return tuple(found)
