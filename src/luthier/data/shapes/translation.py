"""translation: a sentence in one language and the same in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Pair
from luthier.core.jsonvalue import Json
from luthier.data.shapes.columns import Common, Sample, normal, put, text_of

_CODES = (
    "source target src tgt aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it "
    "iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd "
    "ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su "
    "sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1, and the two ends by name: what columns are called, and how the names of parallel files end."""
_ENDS = (("source", "target"), ("src", "tgt"), ("source_text", "target_text"), ("src_text", "tgt_text"))
_WORDS = (
    "english german french spanish italian portuguese dutch russian chinese japanese korean arabic hindi turkish polish czech swedish "
    "danish finnish norwegian greek hebrew ukrainian romanian hungarian vietnamese indonesian thai"
)
_NAMES = frozenset(_WORDS.split())
_ENGLISH = ("en", "english", "en_us", "en_gb")
_UNLIKELY = frozenset({"id", "no", "is", "to", "or", "as"})
"""Codes of languages that are rather the names of other columns."""


@dataclass(frozen=True)
class Translation:
    """Two columns called by their languages, or one called `translation` that holds an object of both."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "translation"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    needs: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    shape: ClassVar[str] = "pair"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """The two languages, in the order of the columns; of the members of an object, English is the one to translate from."""
        if given:
            return cls(dict(given)) if len(given) == 2 and all(_language(path) for path in given.values()) else None
        ends = next(((a, b) for x, y in _ENDS if (a := sample.pick((x,))) and (b := sample.pick((y,)))), None)
        paths = list(ends or ())
        if not paths:
            inside = [value for value in sample.values("translation") if isinstance(value, Mapping) and len(value) == 2]
            # The members of an object stand in no order that means anything; columns do.
            names = sorted(inside[0], key=lambda name: normal(name) not in _ENGLISH) if inside else []
            paths = [f"translation.{name}" for name in names] or [name for name in sample.columns if _language(name)]
        if len(paths) != 2 or not all(sample.mostly(path, lambda value: isinstance(value, str)) for path in paths):
            return None
        return cls({"prompt": paths[0], "completion": paths[1]})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Pair:
        """The sentence, and its translation as the completion."""
        return Pair(row_id, text_of(record, self.fields["prompt"]), text_of(record, self.fields["completion"]), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """Both sentences."""
        assert isinstance(example, Pair), "this layout's examples are pairs"
        if not style and all("." in path for path in self.fields.values()):
            names = (path.partition(".")[2] for path in self.fields.values())
            return {"translation": dict(zip(names, (example.prompt, example.completion), strict=True))}
        return put(put({}, self.fields["prompt"], example.prompt, style), self.fields["completion"], example.completion, style)

    def said(self) -> str:
        """What the rows are, in words."""
        return f'translations from "{self.fields["prompt"]}" to "{self.fields["completion"]}"'


def _language(name: str) -> bool:
    """Whether a column is called by a language."""
    code = normal(name).split(".")[-1]
    return code in _NAMES or (code.partition("_")[0] in LANGUAGES - _UNLIKELY and len(code) in (2, 5))
