"""Plain text: one document a file, or one a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal, Self

from luthier.data.files.encoding import MAX_LINE, lines
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.shapes.labelled_line import are_labelled

_N_SNIFFED = 200
_PARTS_FIX = 'read it in parts: format = "paragraphs" under [data], or format = "text" for one document a line'


@dataclass(frozen=True)
class PlainText:
    """Text without structure.

    A file is one document, blank lines and all. It is one document a line if every line begins with its label, or if the recipe says
    `format = "text"` and the file has several lines and no blank one.
    """

    per: Literal["file", "line"] = "file"

    format: ClassVar[str] = "text"
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".text", ".md", ".markdown", ".rst", ".html", ".htm")

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """See what the lines are like; `asked` says that the recipe names the format."""
        texts = (line[1] for line in lines(file) if not isinstance(line, BadRow))
        if are_labelled([text for text in islice(texts, _N_SNIFFED) if text.strip()]):
            return cls("line")
        return cls("line" if asked and _is_linewise(file) else "file")

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The documents, each as a record with the one field `text`; blank documents are passed over."""
        whole: list[str] = []
        broken = False
        size = 0
        for line in lines(file):
            if isinstance(line, BadRow):
                yield line
                broken = True
            elif self.per == "file":
                size += len(line[1]) + 1
                if size <= MAX_LINE:
                    whole.append(line[1])
                elif not broken:
                    yield BadRow(file.place(1), f"the document is longer than {MAX_LINE:,} characters", _PARTS_FIX)
                    broken = True
            elif line[1].strip():
                yield Record({"text": line[1]}, line[0])
        text = "\n".join(whole)
        if text.strip() and not broken:
            yield Record({"text": text}, 1)

    def said(self) -> str:
        """How the file is read, for people."""
        return f"text, one document a {self.per}"


def _is_linewise(file: RawFile) -> bool:
    """Several lines, and none of them blank but perhaps the last ones."""
    n_lines = 0
    blank = False
    for line in lines(file):
        empty = not isinstance(line, BadRow) and not line[1].strip()
        if blank and not empty:
            return False
        blank = empty
        n_lines += not empty
    return n_lines > 1
