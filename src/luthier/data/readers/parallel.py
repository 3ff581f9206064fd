"""Parallel texts: two files of equally many lines, of which each line of one is the translation of that line of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar, Self

from luthier.core.errors import LuthierError
from luthier.data.files.encoding import lines
from luthier.data.files.record import BadRow, RawFile, Record
from luthier.data.shapes.translation import LANGUAGES

# `train.en`, `train.pt_BR`, `train.src`; .txt and .gz may stand behind.
_ENDING = re.compile(r"(?P<stem>.*)[._-](?P<language>(?P<code>[a-z]{2,6})(?:[_-][A-Z][A-Za-z]{1,3})?)")
_FIRST = ("source", "src", "en")
"""The ends that are translated from, where nobody says otherwise."""


@dataclass(frozen=True)
class Parallel:
    """The lines of two files side by side, in columns called by the files' languages."""

    names: tuple[str, str] = ("source", "target")
    other: RawFile | None = None

    format: ClassVar[str] = "parallel"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def sniff(cls, file: RawFile, asked: bool) -> Self:
        """Refuse: one file alone is not parallel to anything.

        Raises:
            LuthierError: always; `beside` makes the reader of two files.

        """
        raise LuthierError(file.where, "it has no second file beside it", 'give two files: source = ["train.en", "train.de"]')

    @classmethod
    def beside(cls, file: RawFile, other: RawFile) -> Self:
        """The reader of a file and its other.

        Raises:
            LuthierError: one has more lines than the other.

        """
        n_lines = [sum(1 for _ in lines(one)) for one in (file, other)]
        if n_lines[0] != n_lines[1]:
            problem = f"it has {n_lines[0]:,} lines and {other.name} has {n_lines[1]:,}, so that they are not translations line by line"
            raise LuthierError(file.where, problem, 'mend the files; or read each as plain text: format = "text"')
        names = (language_of(file.name), language_of(other.name))
        return cls(names if names[0] and names[1] and names[0] != names[1] else ("source", "target"), other)

    def read(self, file: RawFile) -> Iterator[Record | BadRow]:
        """A record for each line; lines that are blank in both files are passed over."""
        assert self.other is not None, "a reader of two files is made by `beside`"
        for a, b in zip_longest(lines(file), lines(self.other)):
            if a is None or b is None:
                place = self.other.place(b[0]) if isinstance(b, tuple) else file.place(a[0]) if isinstance(a, tuple) else file.where
                fix = "wait until nothing writes to the files, or read a copy"
                raise LuthierError(place, "from here on the other file has no line", fix)
            if isinstance(a, BadRow) or isinstance(b, BadRow):
                yield a if isinstance(a, BadRow) else b  # type: ignore[misc]
            elif a[1].strip() or b[1].strip():
                yield Record(dict(zip(self.names, (a[1], b[1]), strict=True)), a[0])

    def said(self) -> str:
        """How the files are read, for people."""
        return f"parallel lines, {self.names[0]} and {self.names[1]}"


def language_of(name: str) -> str:
    """The language that a file's name ends with, '' where it says none."""
    return _parts(name)[1]


def _parts(name: str) -> tuple[str, str]:
    """A name without its language, and the language; both '' where it ends with none."""
    found = _ENDING.fullmatch(name.removesuffix(".gz").removesuffix(".txt"))
    return (found["stem"], found["language"]) if found and found["code"] in LANGUAGES else ("", "")


def pairs_among(names: Sequence[str]) -> list[tuple[str, str]]:
    """The names that are alike but for their language, two by two; what is translated from comes first."""
    by_stem: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        stem, language = _parts(name)
        if language:
            by_stem.setdefault(stem, []).append((language, name))

    def order(one: tuple[str, str]) -> tuple[bool, str]:
        return one[0] not in _FIRST, one[0]

    twos = [sorted(found, key=order) for found in by_stem.values() if len(found) == 2]
    return [(a[1], b[1]) for a, b in twos]
