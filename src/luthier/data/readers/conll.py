"""CoNLL: one token a line with its tags in columns, blank lines between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Self

from luthier.core.jsonvalue import Json
from luthier.data.files.encoding import lines
from luthier.data.files.record import BadRow, RawFile, Record

# Ten columns with names of their own (Universal Dependencies, "CoNLL-U Format").
_UNIVERSAL = ("ids", "tokens", "lemmas", "tags", "xpos", "feats", "heads", "deprels", "deps", "misc")
_SPAN_TAG = re.compile(r"O|[BIESLUM]-\S+")
_N_SNIFFED = 400
_MARK = "-DOCSTART-"


@dataclass(frozen=True)
class Conll:
    """Columns parted by tabs or spaces: the token first and its tag last; ten columns are those of CoNLL-U, whose `#` lines are comments.

    Lines of `-DOCSTART-` part documents and are no sentences.
    """

    columns: tuple[str, ...] = ("tokens", "tags")
    tabs: bool = False

    format: ClassVar[str] = "conll"
    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".conllu", ".conll03", ".conll2003", ".iob", ".iob2", ".bio", ".bioes")

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Count the columns of the first token."""
        first = next((text for text in _texts(file) if text.strip() and not text.startswith("#")), "")
        tabs = "\t" in first
        return cls(_names(len(_split(first, tabs))), tabs)

    @classmethod
    def fits(cls, file: RawFile) -> bool:
        """Whether a file of some other ending is written so: tokens with span tags such as B-PER and O, in sentences."""
        texts = [text for text in islice(_texts(file), _N_SNIFFED) if not text.startswith(_MARK)]
        rows = [text.split() for text in texts if text.strip()]
        if len(rows) < 2 or len(rows) == len(texts) or any(len(row) != len(rows[0]) for row in rows) or len(rows[0]) < 2:
            return False
        return all(_SPAN_TAG.fullmatch(row[-1]) for row in rows) and any(row[-1] != "O" for row in rows)

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """The sentences, each with the line of its first token."""
        sentence: list[list[str]] = []
        comments: list[Json] = []
        began = 0
        wrong: BadRow | None = None
        for item in _with_end(file):
            if isinstance(item, BadRow):
                wrong = wrong or item
                continue
            number, text = item
            if not text.strip():
                if wrong is not None:
                    yield wrong
                elif sentence and not (len(sentence) == 1 and sentence[0][0] == _MARK):
                    yield Record(self._record(sentence, comments), began)
                sentence, comments, wrong = [], [], None
                continue
            if self.columns == _UNIVERSAL and text.startswith("#"):
                comments.append(text)
                continue
            cells = _split(text, self.tabs)
            began = began if sentence else number
            sentence.append(cells)
            if len(cells) != len(self.columns):
                wrong = wrong or BadRow(
                    file.place(number),
                    f"the token has {len(cells)} columns where the first one of the file has {len(self.columns)}",
                )

    def _record(self, sentence: list[list[str]], comments: list[Json]) -> dict[str, Json]:
        found: dict[str, Json] = {"comments": comments} if comments else {}
        return {**found, **{name: [cells[i] for cells in sentence] for i, name in enumerate(self.columns)}}

    def said(self) -> str:
        """How the file is read, for people."""
        return "CoNLL-U" if self.columns == _UNIVERSAL else f"CoNLL with {len(self.columns)} columns"


def _names(n: int) -> tuple[str, ...]:
    if n == len(_UNIVERSAL):
        return _UNIVERSAL
    return ("tokens", *(f"column_{i}" for i in range(2, n)), *(["tags"] if n > 1 else []))


def _split(text: str, tabs: bool) -> list[str]:
    return text.rstrip().split("\t") if tabs else text.split()


def _texts(file: RawFile) -> Iterator[str]:
    return (line[1] for line in lines(file) if not isinstance(line, BadRow))


def _with_end(file: RawFile) -> Iterator[tuple[int, str] | BadRow]:
    """The lines, and a blank one behind the last, which ends the last sentence."""
    yield from lines(file)
    yield 0, ""
