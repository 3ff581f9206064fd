"""token tags: the tokens of a sentence and a tag for each, as CoNLL files and their JSON relatives have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Tagged
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, put, scalar_text, unpacked

_TOKENS = ("tokens", "words", "sentence_tokens", "token")
_TAGS = ("tags", "ner_tags", "ner", "labels", "pos_tags", "upos", "pos", "chunk_tags", "bio", "bio_tags", "iob_tags", "entities", "label")


@dataclass(frozen=True)
class TokenTags:
    """Two lists of equal length; tags may be names or numbers."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "token tags"
    roles: ClassVar[tuple[str, ...]] = ("tokens", "tags")
    needs: ClassVar[tuple[str, ...]] = ("tokens", "tags")
    shape: ClassVar[str] = "tagged"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of lists of tokens and one of lists of tags, equally long."""
        tokens = given.get("tokens") or sample.pick(_TOKENS)
        if tokens is None:
            return None
        names = [given["tags"]] if "tags" in given else [column for name in _TAGS if (column := sample.pick((name,), (tokens,)))]
        tags = next((name for name in names if _are_alike(sample, tokens, name)), None)
        return None if tags is None else cls({"tokens": tokens, "tags": tags})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Tagged:
        """The tokens and their tags."""
        tokens, tags = (_texts(lookup(record, column), column) for column in self.fields.values())
        if not tokens:
            raise RowError(f'the column "{self.fields["tokens"]}" is empty')
        if len(tokens) != len(tags):
            raise RowError(f"there are {len(tokens)} tokens and {len(tags)} tags")
        return Tagged(row_id, tokens, tags, **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The tokens and their tags."""
        assert isinstance(example, Tagged), "this layout's examples are tagged"
        found = put({}, self.fields["tokens"], list(example.tokens), style)
        old = lookup(style, self.fields["tags"])
        known = isinstance(old, list) and len(old) == len(example.tags or ())
        return put(found, self.fields["tags"], old if known else list(example.tags or ()), style)

    def said(self) -> str:
        """What the rows are, in words."""
        return f'sentences with tags: the tokens in "{self.fields["tokens"]}", their tags in "{self.fields["tags"]}"'


def _texts(value: Json, column: str) -> tuple[str, ...]:
    found = unpacked(value, f'the column "{column}"')
    if not isinstance(found, list):
        raise RowError(f'the column "{column}" is {"missing" if found is None else "not a list"}')
    return tuple(scalar_text(one, f"entry {n} of the column \"{column}\"") for n, one in enumerate(found, 1))


def _are_alike(sample: Sample, tokens: str, tags: str) -> bool:
    """Whether most rows have as many tags as tokens."""
    n_alike = 0
    for record in sample.records:
        try:
            a, b = (unpacked(lookup(record, column), column) for column in (tokens, tags))
        except RowError:
            continue
        n_alike += isinstance(a, list) and isinstance(b, list) and len(a) == len(b) > 0
    return 2 * n_alike > len(sample.records)
