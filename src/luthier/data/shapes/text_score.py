"""text+score: a text, or two that are compared, and the number that is to be told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Scored
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.alpaca import joined, parted
from luthier.data.shapes.columns import Common, Sample, lookup, normal, optional_text_of, put, text_of
from luthier.data.shapes.labelled import LABEL_NAMES
from luthier.data.shapes.plain import TEXT_NAMES

SCORE_NAMES = (
    "score", "target", "similarity", "similarity_score", "value", "rating", "stars", "label", "grade", "points", "price",
    "readability", "y",
)  # fmt: skip
_FIRST = ("sentence1", "text1", "text_a", "premise")
_SECOND = ("sentence2", "text2", "text_b", "hypothesis")
_MANY = 20
_FEW = 10


@dataclass(frozen=True)
class TextScore:
    """One or two columns of text, one of numbers on a scale."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "text+score"
    roles: ClassVar[tuple[str, ...]] = ("text", "second", "target")
    needs: ClassVar[tuple[str, ...]] = ("text", "target")
    shape: ClassVar[str] = "scored"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of texts and one called as scores are, whose numbers are no classes: some of them have fractions."""
        if given and "target" not in given:
            return None
        text = given.get("text") or sample.pick((*_FIRST, *TEXT_NAMES))
        target = given.get("target") or sample.pick(SCORE_NAMES, (text,))
        if text is None or target is None or ("target" not in given and not _are_scores(sample.values(target), normal(target))):
            return None
        second = given.get("second") or (sample.pick(_SECOND, (text, target)) if not given else None)
        return cls({"text": text, **({"second": second} if second else {}), "target": target})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Scored:
        """The text, a second one below it, and the number."""
        text = joined(text_of(record, self.fields["text"]), optional_text_of(record, self.fields.get("second")))
        number = _number(lookup(record, self.fields["target"]))
        if number is None:
            raise RowError(f'the column "{self.fields["target"]}" is not a number')
        return Scored(row_id, text, number, **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The texts and the number."""
        assert isinstance(example, Scored), "this layout's examples are scored"
        text, second = example.text, ""
        if "second" in self.fields and style:
            text, second = parted(text, *(optional_text_of(style, self.fields[role]) for role in ("text", "second")))
        found = put({}, self.fields["text"], text, style)
        if "second" in self.fields:
            put(found, self.fields["second"], second, style)
        return put(found, self.fields["target"], example.target, style)

    def said(self) -> str:
        """What the rows are, in words."""
        return "texts with numbers to be told: " + ", ".join(f'{role} in "{column}"' for role, column in self.fields.items())


def _number(value: Json) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value.replace(",", ".") if isinstance(value, str) and value.count(",") == 1 and "." not in value else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _are_scores(values: list[Json], name: str) -> bool:
    """Whether these are numbers, and no names of classes: a tenth have a fraction, or there are many different ones.

    A column called as labels are has to show it in several rows.
    """
    numbers = [_number(value) for value in values]
    found = [number for number in numbers if number is not None]
    if not found or len(found) < 0.9 * len(values) or (name in LABEL_NAMES and len(found) < _FEW):
        return False
    n_parts = sum(number != int(number) for number in found)
    return n_parts >= max(1, 0.1 * len(found)) or len(set(found)) > max(_MANY, 0.3 * len(found))
