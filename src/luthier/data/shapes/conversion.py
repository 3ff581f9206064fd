"""Examples in another layout than that of their source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Pair
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message
from luthier.data.shapes import LAYOUTS, AnyLayout

# The columns that each layout is known by. What stands in files of one column has no layout to be converted to.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "openai chat": ("messages", "tools"), "sharegpt": ("conversations", "system", "tools"), "alpaca": ("instruction", "input", "output"),
    "prompt/completion": ("prompt", "completion"), "openai preference": ("input", "preferred_output", "non_preferred_output"),
    "chosen/rejected": ("prompt", "chosen", "rejected"), "ranked replies": ("prompt", "replies", "ranks"),
    "rated replies": ("prompt", "completion", "label"), "token tags": ("tokens", "tags"), "text+score": ("text", "score"),
    "text+label": ("text", "label"), "plain text": ("text",),
}  # fmt: skip
_ROLES: Mapping[str, str] = {
    "conversations": "messages", "preferred_output": "preferred", "non_preferred_output": "other", "score": "target",
}  # fmt: skip


def layout_named(name: str) -> AnyLayout:
    """The layout of that name, with the columns that it is known by; spaces and signs of the name may be dashes.

    Raises:
        LuthierError: there is none that rows can be converted to.

    """
    found = next((one for one in _COLUMNS if _plain(one) == _plain(name)), None)
    if found is None:
        fix = f"choose from {', '.join(map(_plain, _COLUMNS))}"
        raise LuthierError("--layout", f'"{name}" is no layout that rows can be written in', fix)
    kind = LAYOUTS[found]
    roles = {("good" if column == "label" and "good" in kind.roles else _ROLES.get(column, column)): column for column in _COLUMNS[found]}
    return kind(roles)


def converted(example: AnyExample, layout: AnyLayout) -> dict[str, Json]:
    """The example's record in a layout that its source did not have; the columns that Luthier does not use are left out.

    Raises:
        LuthierError: the layout cannot hold what the example says.

    """
    plain = dataclasses.replace(example, written={}, extra={})
    if isinstance(plain, Pair) and layout.shape == "chat":
        plain = Chat(plain.id, (Message("user", plain.prompt), Message("assistant", plain.completion)))
    if isinstance(plain, Chat) and layout.shape == "pair":
        return _as_pair(plain, layout)
    if plain.shape != layout.shape:
        fix = f"choose a layout of that kind: {', '.join(_plain(one) for one in _COLUMNS if layout_named(one).shape == plain.shape)}"
        raise LuthierError(example.source or example.id, f"a {plain.shape} row cannot be written in the layout {layout.name}", fix)
    return layout.record(plain, {})


def _as_pair(chat: Chat, layout: AnyLayout) -> dict[str, Json]:
    roles = [message.role for message in chat.messages]
    if roles != ["user", "assistant"] or any(message.tool_calls or message.other_parts for message in chat.messages) or chat.tools:
        raise LuthierError(
            chat.source or chat.id,
            f"a conversation of {', '.join(roles) or 'no messages'} is more than the prompt and completion that {layout.name} holds",
            "write it as openai-chat or sharegpt",
        )
    return layout.record(Pair(chat.id, chat.messages[0].text, chat.messages[1].text), {})


def _plain(name: str) -> str:
    return name.lower().replace(" ", "-").replace("/", "-").replace("+", "-").replace("_", "-")
