"""JSONL: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.data.files.encoding import lines
from luthier.data.files.record import BadRow, RawFile, Record

MAX_DEPTH = 100


@dataclass(frozen=True)
class Jsonl:
    """One JSON object on each line; blank lines are passed over."""

    format: ClassVar[str] = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonlines")

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Nothing is to be found out."""
        return cls()

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The objects, line by line."""
        decoder = json.JSONDecoder(parse_constant=constant)
        for line in lines(file):
            if isinstance(line, BadRow):
                yield line
                continue
            number, text = line
            text = text.strip(" \t\r")
            if not text:
                continue
            try:
                value = decoder.decode(text)
            except json.JSONDecodeError as error:
                yield BadRow(file.place(number), f"the line is not JSON: {reason(error)} at column {error.colno}")
            except RecursionError:
                yield BadRow(file.place(number), "the line nests too deeply")
            except ValueError:
                yield BadRow(file.place(number), "the line holds a number with thousands of digits")
            else:
                if isinstance(value, dict) and too_deep(value):
                    yield BadRow(file.place(number), f"the line nests more than {MAX_DEPTH} deep")
                elif isinstance(value, dict):
                    yield Record(value, number)
                else:
                    yield BadRow(file.place(number), f"the line holds {kind(value)}, not an object")

    def said(self) -> str:
        """How the file is read, for people."""
        return "JSONL"


def too_deep(value: object) -> bool:
    """Whether lists and objects nest more than `MAX_DEPTH` deep, where whoever walks through them would run out of stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item for one in level if isinstance(one, dict | list) for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]  # fmt: skip
        if not level:
            return False
    return True


def constant(name: str) -> float | None:
    """NaN, which several libraries write for a missing value, is missing; infinity is refused where the record is hashed."""
    return None if name == "NaN" else float(name)


def reason(error: json.JSONDecodeError) -> str:
    """The decoder's message, fitted into a sentence."""
    return error.msg[:1].lower() + error.msg[1:].removesuffix(" at")


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
