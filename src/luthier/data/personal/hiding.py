"""Rows with what was found in them covered: masked by its kind, or replaced by a placeholder."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luthier.core.examples import COMMON, AnyExample
from luthier.core.jsonvalue import Json, dump
from luthier.core.messages import Message
from luthier.data import personal
from luthier.data.decisions import Changed, Dropped, Kept
from luthier.data.personal import Certainty, Finding
from luthier.data.personal.finding import Recogniser, covered, mask
from luthier.data.personal.placeholders import PLACEHOLDER, SEALED, Vault

Action = Literal["mask", "replace", "drop"]
Cover = Callable[[str, str], str]
"""(kind, value) to what stands in the text instead."""
_ROUNDS = 8
_COVERED = re.compile(rf"\[[A-Z][A-Z_]{{1,30}}\]|{PLACEHOLDER.pattern}")


@dataclass(frozen=True)
class Hidden:
    """A row with what was found covered, and what that was, by kind."""

    example: AnyExample
    kinds: tuple[str, ...]
    sealed: Mapping[str, str]


@dataclass(frozen=True)
class Seeker:
    """What is looked for, how certain it must be, and whether in columns that no model reads too."""

    wanted: Sequence[Recogniser]
    at_least: Certainty
    columns: bool

    def find(self, text: str) -> tuple[Finding, ...]:
        """What stands in a text and is not covered already."""
        found = personal.find(text, self.wanted, self.at_least)
        if found and _COVERED.search(text):
            covered = [match.span() for match in _COVERED.finditer(text)]
            found = tuple(one for one in found if all(one.end <= start or end <= one.start for start, end in covered))
        return found


def decided(example: AnyExample, seeker: Seeker, action: Action, vault: Vault | None) -> Kept | Changed | Dropped:
    """What becomes of a row.

    A row that is dropped is recorded with what was found masked, so that the record does not keep what was to go.

    Args:
        example: the row.
        seeker: what is looked for.
        action: what is done about it.
        vault: the key for placeholders; None where nothing is replaced.

    """
    hidden = hidden_row(example, seeker, vault if action == "replace" else None)
    if not hidden.kinds:
        return Kept()
    said = ", ".join(hidden.kinds)
    if action == "drop":
        return Dropped(hidden.kinds[0], said, shown=hidden.example)
    extra = {**hidden.example.extra, SEALED: {**_sealed(example), **hidden.sealed}} if hidden.sealed else hidden.example.extra
    return Changed(dataclasses.replace(hidden.example, extra=extra), said)


def hidden_row(example: AnyExample, seeker: Seeker, vault: Vault | None) -> Hidden:
    """The row with what is found covered by placeholders of the vault, or masked where there is none."""
    kinds: dict[str, None] = {}
    sealed: dict[str, str] = {}

    def cover(kind: str, value: str) -> str:
        kinds[kind] = None
        if vault is None:
            return mask(kind, value)
        placeholder = vault.placeholder(kind, value)
        if vault.for_values is not None:
            sealed[placeholder] = vault.sealed(placeholder, value)
        return placeholder

    def change(text: str) -> str:
        return _without(text, seeker, cover)

    made = _turns_covered(example.map_text(change), change)
    if "values" in made.written:  # how the row was spelled in its source, which says it all once more
        made = dataclasses.replace(made, written={**made.written, "values": _leaves(made.written["values"], change)})
    if seeker.columns and made.extra:
        extra = {name: value if name == SEALED else _leaves(value, change) for name, value in made.extra.items()}
        made = dataclasses.replace(made, extra=extra)
    return Hidden(made if kinds else example, tuple(sorted(kinds)), sealed)


def _without(text: str, seeker: Seeker, cover: Cover) -> str:
    # What is covered may have kept something beside it from being seen, so that one look is not always enough.
    for _ in range(_ROUNDS):
        found = seeker.find(text)
        if not found:
            break
        text = covered(text, found, cover)
    return text


def _turns_covered(example: AnyExample, change: Callable[[str], str]) -> AnyExample:
    """The example with what its turns hold beside prose changed, whichever of its fields they stand in."""
    before = {item.name: getattr(example, item.name) for item in dataclasses.fields(example) if item.name not in COMMON}
    after: dict[str, Any] = {name: _turns(value, change) for name, value in before.items()}
    return example if after == before else dataclasses.replace(example, **after)


def _turns(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, Message):
        return _calls_covered(value, change)
    return tuple(_turns(one, change) for one in value) if isinstance(value, tuple) else value


def _calls_covered(message: Message, change: Callable[[str], str]) -> Message:
    """The arguments of tool calls and the speaker's name, which are data, but are trained or read as text all the same."""
    calls = tuple(dataclasses.replace(call, arguments=_json_covered(call.arguments, change)) for call in message.tool_calls)
    name = message.name if message.name is None else change(message.name)
    return message if calls == message.tool_calls and name == message.name else dataclasses.replace(message, tool_calls=calls, name=name)


def _json_covered(text: str, change: Callable[[str], str]) -> str:
    """A JSON text with its strings changed; as it was where nothing in it is, and as prose where it is no JSON."""
    try:
        before: Json = json.loads(text)
    except ValueError:
        return change(text)
    after = _leaves(before, change)
    return text if after == before else dump(after)


def _leaves(value: Json, change: Callable[[str], str]) -> Json:
    """A JSON value with each string changed, and each number that is found whole replaced by a string."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _leaves(one, change) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_leaves(one, change) for one in value]
    if isinstance(value, int) and not isinstance(value, bool):
        found = change(str(value))
        return value if found == str(value) else found
    return value


def _sealed(example: AnyExample) -> dict[str, Json]:
    before = example.extra.get(SEALED)
    return dict(before) if isinstance(before, Mapping) else {}
