"""Paragraphs: one long text in parts, cut at blank lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.data.files.encoding import lines
from luthier.data.files.record import BadRow, RawFile, Record

PART_CHARACTERS = 2_000


@dataclass(frozen=True)
class Paragraphs:
    """A text in parts: paragraphs that follow one another, together at least `PART_CHARACTERS` long but for the last part.

    So a book or a corpus in one file has rows, of which some can be set aside to judge by. A part ends where a paragraph does.
    """

    format: ClassVar[str] = "paragraphs"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Nothing is to be found out."""
        return cls()

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The parts, each with the line on which it starts; the lines between two parts are left out if they are blank."""
        part: list[str] = []
        began = size = 0
        for line in lines(file):
            if isinstance(line, BadRow):
                yield line
                continue
            number, text = line
            if not text.strip() and size >= PART_CHARACTERS:
                yield Record({"text": "\n".join(part)}, began)
                part, size = [], 0
            elif part or text.strip():
                began = began if part else number
                part.append(text)
                size += len(text) + 1
        while part and not part[-1].strip():
            part.pop()
        if part:
            yield Record({"text": "\n".join(part)}, began)

    def said(self) -> str:
        """How the file is read, for people."""
        return f"text, in parts of {PART_CHARACTERS:,} characters or more that end at blank lines"
