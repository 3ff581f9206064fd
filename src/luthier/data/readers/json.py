"""JSON: a list of objects, or an object that holds one such list, read without holding the file; or a table as one object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Self

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json as JsonValue
from luthier.data.files.encoding import MAX_LINE, chunks
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.readers.jsonl import MAX_DEPTH, Jsonl, constant, kind, reason, too_deep
from luthier.data.readers.nested_squad import is_nested, questions_of

_SPACE = " \t\n\r"
# A syntax error this near to the end of what has been read may only be a value that goes on in the next piece.
_MARGIN = 16
MAX_OBJECT = 1 << 28


@dataclass(frozen=True)
class Json:
    """One JSON document; a file that in truth has one object a line is read as such.

    A syntax error ends the reading with an error and is never a bad row: what stands behind it cannot be found, and would be lost unseen.
    """

    by_line: bool = False

    format: ClassVar[str] = "json"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """See whether a second object follows the first."""
        document = _Document(file)
        if document.peek() != "{":
            return cls()
        try:
            document.value()
        except LuthierError:
            return cls()
        return cls(by_line=document.peek() == "{")

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The objects of the list, each with the line on which it starts."""
        if self.by_line:
            yield from Jsonl().read(file)
            return
        document = _Document(file)
        opening = document.peek()
        if opening == "[":
            yield from _objects(document, document.elements())
        elif opening == "{":
            yield from _objects_within(document)
        elif opening:
            raise document.error("the file holds neither a list of objects nor an object with a list")
        if document.peek():
            raise document.error("text follows the end of the JSON document")

    def said(self) -> str:
        """How the file is read, for people."""
        return "JSON, one object a line" if self.by_line else "JSON"


def _objects(document: _Document, entries: Iterator[tuple[int, JsonValue]]) -> Iterator[Record | BadRow]:
    for line, value in entries:
        if isinstance(value, dict) and too_deep(value):
            yield BadRow(document.file.place(line), f"this entry of the list nests more than {MAX_DEPTH} deep")
        elif isinstance(value, dict):
            yield from questions_of(value, line, document.file) if is_nested(value) else (Record(value, line),)
        else:
            yield BadRow(document.file.place(line), f"this entry of the list is {kind(value)}, not an object")


def _objects_within(document: _Document) -> Iterator[Record | BadRow]:
    """The one list of objects among the members of the object, or what the members are together."""
    names: list[str] = []
    members: dict[str, JsonValue] = {}
    for name in document.members():
        if document.n_chars > MAX_OBJECT and not names:
            raise document.error(f"the first {MAX_OBJECT:,} characters of this object hold no list of objects", "write the rows as JSONL")
        if document.peek() != "[":
            members[name] = document.value()
            continue
        entries = document.elements()
        first = next(entries, None)
        if first is None or not isinstance(first[1], dict):
            members[name] = [] if first is None else [first[1], *(value for _, value in entries)]
            continue
        names.append(name)
        if len(names) > 1:
            raise document.error(f'the file holds several lists of objects: "{names[0]}" and "{name}"', "leave one of them in the file")
        yield from _objects(document, chain([first], entries))
    if not names:
        yield from _objects(document, ((1, row) for row in _rows_of(members)))


def _rows_of(members: dict[str, JsonValue]) -> Iterator[JsonValue]:
    """The rows of an object without a list of objects.

    A table by columns (`{"text": ["a", "b"], "label": [0, 1]}`, or with `{"0": "a", "1": "b"}` for each, as pandas writes it), a table by
    rows (`{"r1": {"text": "a"}, "r2": {"text": "b"}}`), or else the object itself as the one row.
    """
    values = list(members.values())
    lists = [value for value in values if isinstance(value, list)]
    tables = [value for value in values if isinstance(value, dict)]
    if lists and len(lists) == len(values) and len({len(value) for value in lists}) == 1 and len(values) > 1:
        yield from (dict(zip(members, row, strict=True)) for row in zip(*lists, strict=True))
    elif tables and len(tables) == len(values) and all(list(one) == list(tables[0]) for one in tables) and tables[0]:
        if all(name.isdigit() for name in tables[0]):
            yield from ({name: one[key] for name, one in zip(members, tables, strict=True)} for key in tables[0])
        elif len(tables) > 1:
            yield from ({**({} if "id" in one else {"id": name}), **one} for name, one in zip(members, tables, strict=True))
        else:
            yield members
    elif members:
        yield members


class _Document:
    """A place in a JSON text that is read piece by piece; the text behind the place is forgotten."""

    def __init__(self, file: RawFile) -> None:
        self.file = file
        self._pieces = chunks(file)
        self._text = ""
        self._at = 0
        self._line = 1
        self.n_chars = 0
        self._ended = False
        self._decoder = json.JSONDecoder(parse_constant=constant)

    def peek(self) -> str:
        """The next character that is not white space, or nothing at the end."""
        while True:
            start = self._at
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            self._line += self._text.count("\n", start, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def _read(self, n_chars: int = 1) -> bool:
        """Read on by at least so many characters; false at the end of the file."""
        pieces = [self._text[self._at :]]
        size = 0
        while size < n_chars and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            pieces.append(piece or "")
            size += len(piece or "")
        self.n_chars += size
        self._text, self._at = "".join(pieces), 0
        return size > 0

    def expect(self, marks: str) -> str:
        """Step over one of these marks."""
        found = self.peek()
        if not found or found not in marks:
            wanted = " or ".join(f'"{mark}"' for mark in marks)
            raise self.error(f"the JSON breaks here: {wanted} should stand where {repr(found) if found else 'the file'} "
                             f"{'stands' if found else 'ends'}")
        self._at += 1
        return found

    def value(self) -> JsonValue:
        """The value that stands next; the text read for it doubles until it is whole."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                may_go_on = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _MARGIN
                if self._ended or not may_go_on:
                    line = self._line + self._text.count("\n", self._at, error.pos)
                    raise LuthierError(self.file.place(line), f"the JSON breaks here: {reason(error)}", _FIX) from error
                if len(self._text) - self._at > MAX_LINE:
                    raise self.error(f"one value is longer than {MAX_LINE:,} characters, or a quote or bracket is never closed") from error
                self._read(len(self._text) - self._at)
                continue
            except RecursionError as error:
                raise self.error("the JSON nests too deeply") from error
            except ValueError as error:
                raise self.error("the JSON holds a number with thousands of digits") from error
            # A number at the very end of what was read may go on.
            if end == len(self._text) and not self._ended:
                self._read()
                continue
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            found: JsonValue = value
            return found

    def elements(self) -> Iterator[tuple[int, JsonValue]]:
        """The entries of the list that stands next, each with its first line."""
        self.expect("[")
        if self.peek() == "]":
            self.expect("]")
            return
        while True:
            self.peek()
            line = self._line
            yield line, self.value()
            if self.expect(",]") == "]":
                return

    def members(self) -> Iterator[str]:
        """The names in the object that stands next; whoever asks takes each value before asking on."""
        self.expect("{")
        if self.peek() == "}":
            self.expect("}")
            return
        while True:
            if self.peek() != '"':
                self.expect('"')
            name = self.value()
            self.expect(":")
            yield str(name)
            if self.expect(",}") == "}":
                return

    def error(self, problem: str, fix: str = "") -> LuthierError:
        """An error at this place."""
        return LuthierError(self.file.place(self._line), problem, fix or _FIX)


_FIX = "mend the file; nothing behind this place can be read"
