"""The rows of a data set as Luthier understands them: one frozen class for each shape of example."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias

from luthier.core import messages
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message, OtherPart, Part, TextPart


@dataclass(frozen=True)
class Example:
    """What every example has.

    `id` names the row for good (the source's `id` column, or a hash of the raw record); `source` is where it can be
    opened (`file:line`); `extra` holds the columns that Luthier does not use, so that nothing of a row is lost; `parent` is
    the id of the row that this one was made from, by splitting or by augmentation, and on whose side it stands.
    """

    id: str
    source: str = field(default="", kw_only=True)
    parent: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Json] = field(default_factory=dict, kw_only=True)

    shape: ClassVar[str]

    def fields(self) -> dict[str, Json]:
        """The example's own fields by their usual names, ready for JSON."""
        raise NotImplementedError(f"{type(self).__name__} must say what its fields are")

    def map_text(self, change: Callable[[str], str]) -> Self:
        """The same example with `change` applied to each stretch of text that a model would read."""
        raise NotImplementedError(f"{type(self).__name__} must say where its text is")

    def texts(self) -> tuple[str, ...]:
        """Each stretch of text that a model would read, in order."""
        found: list[str] = []

        def note(text: str) -> str:
            found.append(text)
            return text

        self.map_text(note)
        return tuple(found)


@dataclass(frozen=True)
class Text(Example):
    """Plain text, to be continued."""

    text: str
    shape: ClassVar[str] = "text"

    def fields(self) -> dict[str, Json]:
        """`text`."""
        return {"text": self.text}

    def map_text(self, change: Callable[[str], str]) -> Text:
        """Change the text."""
        return dataclasses.replace(self, text=change(self.text))


@dataclass(frozen=True)
class Labelled(Example):
    """A text and the class it belongs to; `label` is None in rows that wait for a prediction."""

    text: str
    label: str | None
    shape: ClassVar[str] = "labelled"

    def fields(self) -> dict[str, Json]:
        """`text` and `label`."""
        return {"text": self.text, "label": self.label}

    def map_text(self, change: Callable[[str], str]) -> Labelled:
        """Change the text; a label is a name, not prose."""
        return dataclasses.replace(self, text=change(self.text))


@dataclass(frozen=True)
class Pair(Example):
    """A prompt and what should follow it."""

    prompt: str
    completion: str
    shape: ClassVar[str] = "pair"

    def fields(self) -> dict[str, Json]:
        """`prompt` and `completion`."""
        return {"prompt": self.prompt, "completion": self.completion}

    def map_text(self, change: Callable[[str], str]) -> Pair:
        """Change both sides."""
        return dataclasses.replace(self, prompt=change(self.prompt), completion=change(self.completion))


@dataclass(frozen=True)
class Chat(Example):
    """A conversation, the tools it may use, and options that its template takes."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    template_options: Mapping[str, Json] = field(default_factory=dict)
    shape: ClassVar[str] = "chat"

    def fields(self) -> dict[str, Json]:
        """`messages`, and `tools` and `template_options` where there are any."""
        value: dict[str, Json] = {"messages": [messages.to_dict(message) for message in self.messages]}
        if self.tools:
            value["tools"] = list(self.tools)
        if self.template_options:
            value["template_options"] = dict(self.template_options)
        return value

    def map_text(self, change: Callable[[str], str]) -> Chat:
        """Change the content and the reasoning of each message; tool calls are data, not prose."""
        return dataclasses.replace(self, messages=tuple(_map_message(message, change) for message in self.messages))


AnyExample: TypeAlias = Text | Labelled | Pair | Chat
SHAPES: Mapping[str, type[AnyExample]] = {kind.shape: kind for kind in (Text, Labelled, Pair, Chat)}


def _map_message(message: Message, change: Callable[[str], str]) -> Message:
    def part(one: Part) -> Part:
        return one if isinstance(one, OtherPart) else TextPart(change(one.text))

    content = change(message.content) if isinstance(message.content, str) else tuple(part(one) for one in message.content)
    return dataclasses.replace(message, content=content, reasoning=None if message.reasoning is None else change(message.reasoning))


def to_record(example: AnyExample) -> dict[str, Json]:
    """The example as one JSON object of `kept.jsonl.gz`; `from_record` reads it back."""
    record: dict[str, Json] = {"id": example.id, "shape": example.shape, **example.fields(), "source": example.source}
    if example.parent is not None:
        record["parent"] = example.parent
    if example.extra:
        record["extra"] = dict(example.extra)
    return record


def from_record(record: Mapping[str, Json]) -> AnyExample:
    """The example that `to_record` wrote; what else stands in the record (`side`, `changed`) is left to the caller."""
    common: dict[str, Json] = {"source": record.get("source", ""), "parent": record.get("parent"), "extra": record.get("extra", {})}
    kind = SHAPES[str(record["shape"])]
    if kind is Chat:
        turns = record["messages"]
        assert isinstance(turns, list), "to_record writes messages as a list"
        return Chat(
            str(record["id"]),
            tuple(messages.from_dict(turn) for turn in turns),
            tuple(record.get("tools", ())),  # type: ignore[arg-type]
            record.get("template_options", {}),  # type: ignore[arg-type]
            **common,  # type: ignore[arg-type]
        )
    names = [item.name for item in dataclasses.fields(kind) if item.name not in ("id", "source", "parent", "extra")]
    return kind(str(record["id"]), **{name: record[name] for name in names}, **common)  # type: ignore[arg-type]
