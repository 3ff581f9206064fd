"""text+label: a text and the class it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Labelled
from luthier.core.jsonvalue import Json
from luthier.data.shapes.columns import Common, Sample, label_of, put, text_of
from luthier.data.shapes.plain import TEXT_NAMES

LABEL_NAMES = (
    "label", "category", "class", "class_index", "intent", "sentiment", "labels", "label_text", "label_name", "target",
    "topic", "emotion", "tag", "genre", "polarity", "is_spam", "spam", "toxic", "classification", "coarse_label",
    "fine_label", "team", "group", "status", "reason", "kind", "outcome", "rating", "stars", "priority", "department", "queue", "type", "y",
)  # fmt: skip
_MANY = 40
_SHARE_DISTINCT = 0.9
_MORE_TEXTS = ("question", "title", "subject", "prompt", "input", "text_a", "x")


@dataclass(frozen=True)
class TextLabel:
    """One column of text, one of labels."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "text+label"
    roles: ClassVar[tuple[str, ...]] = ("text", "label")
    needs: ClassVar[tuple[str, ...]] = ("text", "label")
    shape: ClassVar[str] = "labelled"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """Columns called as texts and labels usually are, the labels being single values."""
        text = given.get("text") or sample.pick((*TEXT_NAMES, *_MORE_TEXTS), (given.get("label"),))
        label = given.get("label") or sample.pick(LABEL_NAMES, (text,))
        if text is None or label is None or ("text" not in given and not sample.holds_texts(text)):
            return None
        if "label" not in given and not (sample.holds_texts(label) and _are_labels(sample.values(label))):
            return None
        return cls({"text": text, "label": label})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Labelled:
        """The row's text and label."""
        return Labelled(row_id, text_of(record, self.fields["text"]), label_of(record, self.fields["label"]), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The text and the label."""
        assert isinstance(example, Labelled), "this layout's examples are labelled"
        return put(put({}, self.fields["text"], example.text, style), self.fields["label"], example.label, style)

    def said(self) -> str:
        """What the rows are, in words."""
        return f'texts with labels: the text in "{self.fields["text"]}", the label in "{self.fields["label"]}"'


def _are_labels(values: list[Json]) -> bool:
    """Whether these can be labels: at least some of them repeat once there are many."""
    return len(values) < _MANY or len(set(map(str, values))) <= _SHARE_DISTINCT * len(values)
