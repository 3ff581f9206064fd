"""plain text: documents to be continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Text
from luthier.core.jsonvalue import Json
from luthier.data.shapes.columns import Common, Sample, put, text_of

TEXT_NAMES = (
    "text", "message", "sentence", "content", "review", "review_text", "body", "sms", "tweet", "comment",
    "comment_text", "utterance", "query", "document", "article", "post", "description", "email", "ticket", "feedback",
    "headline", "news", "passage", "abstract", "raw_text", "full_text",
)  # fmt: skip


@dataclass(frozen=True)
class PlainColumn:
    """One column of text."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "plain text"
    roles: ClassVar[tuple[str, ...]] = ("text",)
    needs: ClassVar[tuple[str, ...]] = ("text",)
    shape: ClassVar[str] = "text"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column called as texts usually are, and that holds texts."""
        text = given.get("text") or sample.pick(TEXT_NAMES)
        return None if text is None or ("text" not in given and not sample.holds_texts(text)) else cls({"text": text})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Text:
        """The row's text."""
        return Text(row_id, text_of(record, self.fields["text"]), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The text."""
        assert isinstance(example, Text), "this layout's examples are texts"
        return put({}, self.fields["text"], example.text, style)

    def said(self) -> str:
        """What the rows are, in words."""
        return f'plain texts, in "{self.fields["text"]}"'
