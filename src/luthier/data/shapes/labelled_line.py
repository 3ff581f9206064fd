"""label first in the line: text files whose every line begins with its label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Labelled
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, text_of

# `__label__spam Win a prize` as fastText reads it (Joulin et al. 2016, arXiv 1607.01759); `NUM:date When …` as TREC's questions are.
_LINE = re.compile(r"\s*(?:__label__(?P<fast>\S+)|(?P<typed>[^\s:/]+:[^\s:/]+))\s+(?P<text>\S.*)", re.DOTALL)
_TYPED = re.compile(r"[^\s:/]+:[^\s:/]+")
_MIN_LINES = 4


@dataclass(frozen=True)
class LabelledLine:
    """The label is the first word of the line, `__label__x` or `kind:sub`; the text is the rest."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "label first in the line"
    roles: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    shape: ClassVar[str] = "labelled"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """Records of one text each, all of them written so."""
        if sample.columns != ("text",) or not are_labelled([str(value) for value in sample.values("text")]):
            return None
        return cls({})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Labelled:
        """The line's text and label."""
        found = _LINE.fullmatch(text_of(record, "text"))
        if found is None:
            raise RowError("the line does not begin with a label and a space, as the first lines of the file do")
        return Labelled(row_id, found["text"], found["fast"] or found["typed"], **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The line, its label written as those of the file are."""
        assert isinstance(example, Labelled), "this layout's examples are labelled"
        before = str(style.get("text", ""))
        fast = before.lstrip().startswith("__label__") if before else not _TYPED.fullmatch(example.label or "")
        return {"text": f"{'__label__' if fast else ''}{example.label} {example.text}"}

    def said(self) -> str:
        """What the rows are, in words."""
        return "texts with labels: the label is the first word of each line"


def are_labelled(lines: Sequence[str]) -> bool:
    """Whether these lines begin with labels: all match, and the labels repeat as a class does and a time or a host does not."""
    found = [_LINE.fullmatch(line) for line in lines]
    labels = {match["fast"] or match["typed"] for match in found if match is not None}
    if len(found) < _MIN_LINES or None in found:
        return False
    return all(match is not None and match["fast"] for match in found) or 2 <= len(labels) <= len(found) / 2
