"""Leftover HTML tags and entities, and whole web pages, made into the text they show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.data.cleaning.markup import has_markup, is_page, shown_text, speaks_of_markup, without_code
from luthier.data.cleaning.page_text import page_text
from luthier.data.cleaning.stretches import map_sides
from luthier.data.decisions import Changed, Kept, changed_or_kept

# A reply with one of these was asked to be HTML; leftovers are made of other tags.
_WRITTEN = re.compile(
    r"<(?:!doctype|html|head|body|form|input|button|script|style|select|textarea|label|nav|section|link|meta|svg|canvas)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class HtmlToText:
    """Turns pages into their main text, and markup left over in a text into line breaks, list dashes and characters.

    Only what is certainly markup counts: elements that HTML knows, closed or of the kind that needs no closing, and
    entities that HTML knows, ended by a semicolon. Left alone are fenced and quoted code, rows that speak of HTML or
    code, replies that are HTML, and what tools say. Of a whole page only the content stays (`main_content`), without menus,
    banners, footers and buttons to share it. A decoder: it runs once, on raw text.
    """

    kind: Literal["html_to_text"] = "html_to_text"
    decodes: ClassVar[bool] = True

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where markup was found."""
        texts = [text for text in example.texts() if has_markup(text)]
        if not texts or any(speaks_of_markup(text) for text in example.texts() if not is_page(text)):
            return Kept()
        return changed_or_kept(example, map_sides(example, _given, _reply), "HTML")


def _given(text: str) -> str:
    """What the model is given, without markup."""
    return page_text(text) if is_page(text) else without_code(text, shown_text)


def _reply(text: str) -> str:
    """What the model has to say, without markup unless the markup is what it has to say."""
    return text if _WRITTEN.search(text) else without_code(text, shown_text)
