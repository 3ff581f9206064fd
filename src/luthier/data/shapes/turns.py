"""The messages of a conversation as people write them down: OpenAI's `role` and `content`, ShareGPT's `from` and `value`, or bare text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from luthier.core import messages
from luthier.core.jsonvalue import Json, dump
from luthier.core.messages import Message, Role, ToolCall
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import unpacked

_OPENAI_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant", "function": "tool", "ipython": "tool"}
_SHAREGPT_ROLES: Mapping[str, Role] = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "model": "assistant", "bot": "assistant", "system": "system", "developer": "developer", "observation": "tool",
    "tool": "tool", "function_response": "tool", "function": "tool",
}  # fmt: skip
_CALLS = ("function_call", "tool_call")
_FROM: Mapping[str, str] = {"user": "human", "assistant": "gpt", "tool": "observation"}

Turn = Mapping[str, Json]


def turns_in(value: Json, what: str) -> list[Turn]:
    """The entries of a list of messages, which may stand in its column as JSON text; RowError if it is none, or one is no object."""
    turns = unpacked(value, what)
    if not isinstance(turns, list) or not turns:
        raise RowError(f"{what} {'is missing' if turns is None else 'holds no messages'}")
    wrong = next((number for number, turn in enumerate(turns, 1) if not isinstance(turn, Mapping)), None)
    if wrong is not None:
        raise RowError(f"message {wrong} is not an object")
    return [turn for turn in turns if isinstance(turn, Mapping)]


def messages_in(value: Json, what: str, speaker: Role) -> tuple[Message, ...]:
    """The messages of a list, of one object, or of a bare text, which `speaker` is then taken to say."""
    if isinstance(value, str) and not value.lstrip().startswith(("[{", "{")):
        return (Message(speaker, value),)
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return (Message(speaker, value),)
        if not _is_turn(found) and not (isinstance(found, list) and all(map(_is_turn, found))):
            return (Message(speaker, value),)
        value = found
    return read_turns([value] if isinstance(value, Mapping) else turns_in(value, what))


def _is_turn(value: object) -> bool:
    return isinstance(value, Mapping) and ({"role", "content"} <= value.keys() or {"from", "value"} <= value.keys())


def read_turns(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The messages, by whichever of the two spellings the first one has; RowError where one makes no message."""
    return sharegpt_messages(turns) if "from" in turns[0] and "role" not in turns[0] else openai_messages(turns)


def openai_messages(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Messages with roles; the older `function_call` and the role `function` become tool calls and tool messages."""
    found: list[Message] = []
    for number, turn in enumerate(turns, 1):
        try:
            found.append(messages.from_dict(_modern(turn, found)))
        except ValueError as error:
            raise RowError(f"message {number}: {error}") from None
    return tuple(found)


def _modern(turn: Turn, before: list[Message]) -> Turn:
    """A message in today's spelling."""
    new = dict(turn)
    role = turn.get("role")
    if isinstance(role, str):
        new["role"] = _OPENAI_ROLES.get(role.strip().lower(), role.strip().lower())
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


def sharegpt_messages(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Turns of `from` and `value`; a function call becomes a tool call, and the observations behind it answer its calls in order."""
    found: list[Message] = []
    unanswered: list[str] = []
    n_calls = 0
    for number, turn in enumerate(turns, 1):
        said_by, value = str(turn.get("from")).strip().lower(), turn.get("value")
        if not isinstance(value, str):
            raise RowError(f"message {number}: its value is not text")
        weight = _weight(turn, number)
        if said_by in _CALLS:
            calls = _calls(value, n_calls, number)
            n_calls += len(calls)
            unanswered = [call.id for call in calls]
            found.append(Message("assistant", tool_calls=calls, weight=weight))
        elif said_by in _SHAREGPT_ROLES:
            role = _SHAREGPT_ROLES[said_by]
            answered = unanswered.pop(0) if role == "tool" and unanswered else None
            found.append(Message(role, value, tool_call_id=answered, weight=weight))
        else:
            raise RowError(f"message {number}: it is from {said_by!r}, not one of {', '.join((*_SHAREGPT_ROLES, *_CALLS))}")
    return tuple(found)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _weight(turn: Turn, number: int) -> float | None:
    weight = turn.get("weight", turn.get("loss_weight"))
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e30:
        raise RowError(f"message {number}: its weight is {weight!r}, not a number of 0 or more")
    return float(weight)


def _calls(value: str, n_before: int, number: int) -> tuple[ToolCall, ...]:
    """The calls written as JSON: one object with `name` and `arguments`, or a list of them."""
    try:
        found = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RowError(f"message {number}: its function call is not JSON") from None
    calls = []
    for i, call in enumerate(found if isinstance(found, list) else [found]):
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise RowError(f"message {number}: its function call has no name")
        arguments = call.get("arguments", {})
        calls.append(ToolCall(f"call_{n_before + i}", call["name"], arguments if isinstance(arguments, str) else dump(arguments)))
    return tuple(calls)


def spelled(turns: Sequence[Message], style: Json, bare: bool = False) -> Json:
    """The messages as they were spelled in `style`, where they were: as a list, as one object, as text, or a list as JSON text.

    A message that says what it said stands as it stood; of one that was changed, only what changed is new. Without a style it is a list
    in OpenAI's spelling, or with `bare`, of a single message, its text.
    """
    if isinstance(style, str):
        packed = style.lstrip().startswith(("[{", "{")) and messages_in(style, "", "user") != (Message("user", style),)
        return dump(spelled(turns, json.loads(style))) if packed else "\n".join(message.text for message in turns)
    if isinstance(style, Mapping):
        found = spelled(turns, [style])
        return found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(style, list):
        return turns[0].text if bare and len(turns) == 1 else [messages.to_dict(message) for message in turns]
    olds = [turn for turn in style if isinstance(turn, Mapping)]
    if not olds or len(olds) != len(turns):
        return [to_turn(message) if olds and "from" in olds[0] else messages.to_dict(message) for message in turns]
    before = read_turns(olds)
    return [old if now == then else _patched(old, then, now) for old, then, now in zip(olds, before, turns, strict=True)]


def _patched(old: Turn, then: Message, now: Message) -> Turn:
    """A message as it was spelled, with what it says now."""
    if "from" in old and "role" not in old:
        return {**old, "value": now.text} if not now.tool_calls else dict(old)
    a, b = messages.to_dict(then), messages.to_dict(now)
    return {**old, **{name: value for name, value in b.items() if a.get(name) != value}}


def to_turn(message: Message) -> dict[str, Json]:
    """A message in ShareGPT's spelling."""
    weight: dict[str, Json] = {} if message.weight is None else {"weight": message.weight}
    if message.tool_calls:
        calls: list[Json] = [{"name": call.name, "arguments": _object(call.arguments)} for call in message.tool_calls]
        return {"from": "function_call", "value": dump(calls[0] if len(calls) == 1 else calls), **weight}
    return {"from": _FROM.get(message.role, message.role), "value": message.text, **weight}


def _object(text: str) -> Json:
    try:
        found: Json = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return found
