"""Rows that give a test away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import expanded, file_hash, text_hash
from luthier.core.jsonvalue import canonical
from luthier.core.options import option, required
from luthier.data.decisions import Dropped, Kept
from luthier.data.files.record import BadRow
from luthier.data.likeness.compared import asked
from luthier.data.likeness.near_index import NearRows
from luthier.data.likeness.words import WordRuns, words
from luthier.data.shapes.conversations import all_turns
from luthier.data.source.reading import Data, read, recognise
from luthier.data.source.survey import survey
from luthier.data.tools import Tools

LEAST_WORDS = 8
"""A shorter question is too common to be looked for inside other texts: it is met by what is nearly the same as a whole."""


@dataclass(frozen=True, kw_only=True)
class Contamination:
    """Drops rows that share a run of words with a row of given test sets, or are nearly the same as one.

    A run is 13 words without case and punctuation, as GPT-3's training data were filtered (Brown and others, 2020,
    arXiv:2005.14165, appendix C); there a run that many training documents have is spared, here one that more than ten
    test rows have. A test question with fewer words, down to eight, is looked for as a whole. Nearly the same is by the
    split's rule: what is asked, or all that is said, is alike by Jaccard similarity of character 5-grams. System messages
    are left out of both. The test sets are read once, each of whatever shape it is recognised as; rows are judged one at a
    time.
    """

    kind: Literal["contamination"] = "contamination"
    against: tuple[str, ...] = required(about="the test sets: files or folders; relative paths are taken from the recipe's folder")
    n_words: Annotated[int, Field(ge=LEAST_WORDS)] = option(
        13, about="words of a run that no row may share with a test row", why="GPT-3's rule; shorter runs are met by chance"
    )
    threshold: Annotated[float, Field(ge=0.5, le=1)] = option(
        0.8, about="Jaccard similarity of character 5-grams from which a row is a test row", why="as in the split"
    )
    sha256: tuple[str, ...] = option(
        (), about="what each test set must hash to, in order", why="a recipe that was shipped says which test sets were meant"
    )
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """No test set, or hashes that are not one for each."""
        if not self.against or not all(one.strip() for one in self.against):
            yield "against", "names no test set", 'give files, such as against = ["test.jsonl"], or leave the step out'
        if self.sha256 and len(self.sha256) != len(self.against):
            yield "sha256", f"has {len(self.sha256)} hashes for {len(self.against)} test sets", "give one for each, in order, or none"

    def files(self) -> tuple[str, ...]:
        """The test sets."""
        return self.against

    def rooted(self, folder: Path) -> Contamination:
        """The same with the test sets' paths taken from `folder`."""
        return dataclasses.replace(self, against=tuple(str((folder / expanded(one)).resolve()) for one in self.against))

    def shipped(self) -> Contamination:
        """The same with the test sets' names and hashes, and not where this machine has them."""
        return dataclasses.replace(self, against=tuple(Path(one).name for one in self.against), sha256=tuple(map(_hash_of, self.against)))

    def with_tools(self, tools: Tools) -> KnownTests:
        """The step with its test sets read."""
        complaints = Complaints()
        for name, wanted in zip(self.against, self.sha256, strict=False):
            if _hash_of(name) != wanted:
                complaints.add(name, "it is not the test set that the recipe means (sha256 differs)", "restore it, or correct the hash")
        complaints.raise_if_any()
        return KnownTests(self)

    def apply(self, example: AnyExample) -> Kept:
        """Without the test sets (for a row that waits for its answer, say) nothing is dropped."""
        return Kept()


class KnownTests:
    """The step at work: the rows of the test sets, and whether a row gives one of them away.

    Raises:
        LuthierError: a test set cannot be read; all that is wrong at once.

    """

    kind = "contamination"

    def __init__(self, step: Contamination) -> None:
        self._rows = _rows_of(step.against)
        self._runs = WordRuns(
            [[words(text) for text in _said(row)] for row in self._rows],
            [words(asked(row)) for row in self._rows], step.n_words, LEAST_WORDS,
        )  # fmt: skip
        self._near = NearRows(self._rows, step.threshold)

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` with the test row that was met, and by what."""
        for text in _said(example):
            shared = self._runs.meets(words(text))
            if shared is not None:
                return Dropped("shares a run of words with a test row", f"with {self._rows[shared[0]].source}: {shared[1]}")
        met = self._near.meets(example)
        if met is not None:
            what = "asks nearly the same" if met.view == "asked" else "says nearly the same"
            return Dropped("nearly the same as a test row", f"{what} as {self._rows[met.place].source}, similarity {met.similarity:.2f}")
        return Kept()


def _said(example: AnyExample) -> tuple[str, ...]:
    """The texts of a row, without what the system says, which rows share."""
    turns = all_turns(example)
    return tuple(message.text for message in turns if message.role not in ("system", "developer")) if turns else example.texts()


def _hash_of(name: str) -> str:
    """SHA-256 of a file, or of a folder's files with their names."""
    path = Path(name)
    if path.is_file():
        return file_hash(path)
    files = sorted({one for found in survey(name, "auto", None) for one in found.paths})
    return text_hash(canonical([[one.relative_to(path).as_posix(), file_hash(one)] for one in files]))


def _rows_of(against: Iterable[str]) -> tuple[AnyExample, ...]:
    complaints = Complaints()
    found: list[AnyExample] = []
    for one in against:
        data = Data(source=one)
        try:
            for row in read(data, recognise(data)):
                if isinstance(row, BadRow):
                    complaints.extend(row.as_error())
                else:
                    found.append(row)
        except LuthierError as error:
            complaints.extend(error)
    complaints.raise_if_any()
    return tuple(found)
