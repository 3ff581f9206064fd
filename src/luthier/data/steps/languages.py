"""Rows in other languages than those asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.cleaning.language import NO_LANGUAGE, UNKNOWN, language_of
from luthier.data.decisions import Dropped, Kept

CODES = frozenset((
    "ace", "af", "am", "an", "ar", "ary", "arz", "as", "az", "ba", "bcl", "be", "bg", "bn", "br", "bs", "ca", "crh", "cs", "cy", "da",
    "de", "dz", "el", "en", "eo", "es", "et", "eu", "ext", "fa", "fi", "fo", "fr", "fuv", "fy", "ga", "gcf", "gcr", "gd", "gl", "gom",
    "grc", "gu", "gug", "guw", "ha", "hbo", "he", "hi", "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kab", "kik",
    "kk", "km", "kn", "ko", "ku", "ky", "la", "lb", "lg", "lij", "ln", "lo", "lt", "ltg", "lv", "mg", "mk", "ml", "mn", "mr", "ms", "mt",
    "my", "ne", "nl", "nn", "no", "nso", "oc", "om", "or", "pa", "pcm", "pl", "ps", "pt", "qu", "ro", "ru", "rw", "sa", "sdh", "se", "si",
    "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw", "ta", "te", "tg", "th", "tk", "tl", "tr", "tt", "ug", "uk", "ur", "uz", "uzs",
    "vec", "vi", "vo", "wa", "wuu", "xh", "yo", "yue", "zh", "zu",
))  # fmt: skip
"""The languages that can be told apart, by ISO 639."""


@dataclass(frozen=True, kw_only=True)
class Languages:
    """Drops rows of which a text is surely in another language than those to keep.

    Each text of a row is judged by itself, so that a translation needs both of its languages kept. Short texts, and those whose
    language is less than sure, are not judged: "ok, danke" stays. How languages are told apart: `luthier.data.cleaning.language`.
    """

    kind: Literal["languages"] = "languages"
    keep: tuple[str, ...] = option(("en",), about="the languages that stay, by their ISO 639 codes", why="English is the most common case")
    sure_from: Annotated[float, Field(gt=0, le=1)] = option(
        0.5, about="probability of another language from which a text is judged", why="more probable than all others together"
    )
    min_characters: Annotated[int, Field(ge=1)] = option(
        30, about="fewest characters of a text that is judged", why="a greeting is of many languages"
    )
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Languages that nobody can tell."""
        if not self.keep:
            yield "keep", "is empty, so that every row would be dropped", 'name at least one language, such as "en"'
        for code in self.keep:
            if code not in CODES:
                fix = 'use codes of ISO 639 such as "en", "de", "zh"'
                yield "keep", f'"{code}" is no language that can be told apart here', fix

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` with the language that was found."""
        for text in example.texts():
            if len(text.strip()) >= self.min_characters:
                found = language_of(text)
                if found.code not in (UNKNOWN, NO_LANGUAGE, *self.keep) and found.probability >= self.sure_from:
                    return Dropped("in another language", f"{found.code}, probability {found.probability:.2f}")
        return Kept()
