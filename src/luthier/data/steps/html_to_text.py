"""Leftover HTML tags and entities, and whole web pages, made into the text they show."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import trafilatura

from luthier.core.examples import AnyExample, Chat, Pair
from luthier.data.decisions import Changed, Kept, changed_or_kept
from luthier.data.markup import has_markup, shown_text, speaks_of_markup, without_code

_PAGE = re.compile(r"\s*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)
# A reply with one of these was asked to be HTML; leftovers are made of other tags.
_WRITTEN = re.compile(
    r"<(?:!doctype|html|head|body|form|input|button|script|style|select|textarea|label|nav|section|link|meta|svg|canvas)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class HtmlToText:
    """Turns pages into their main text, and markup left over in a text into line breaks, list dashes and characters.

    Only what is certainly markup counts: elements that HTML knows, closed or of the kind that needs no closing, and
    entities that HTML knows, ended by a semicolon. Left alone are fenced and quoted code, rows that speak of HTML or
    code, replies that are HTML, and what tools say. A decoder: it runs once, on raw text. Pages go through
    trafilatura (Barbaresi, 2021, doi:10.18653/v1/2021.acl-demo.15).
    """

    kind: Literal["html_to_text"] = "html_to_text"
    decodes: ClassVar[bool] = True

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where markup was found."""
        texts = [text for text in example.texts() if has_markup(text)]
        if not texts or any(speaks_of_markup(text) for text in example.texts() if not _PAGE.match(text)):
            return Kept()
        return changed_or_kept(example, _map_sides(example, _given, _reply), "HTML")


def _given(text: str) -> str:
    """What the model is given, without markup."""
    if _PAGE.match(text):
        return trafilatura.extract(text, include_comments=False) or without_code(text, shown_text)
    return without_code(text, shown_text)


def _reply(text: str) -> str:
    """What the model has to say, without markup unless the markup is what it has to say."""
    return text if _WRITTEN.search(text) else without_code(text, shown_text)


def _map_sides(example: AnyExample, given: Callable[[str], str], reply: Callable[[str], str]) -> AnyExample:
    if isinstance(example, Pair):
        return dataclasses.replace(example, prompt=given(example.prompt), completion=reply(example.completion))
    if not isinstance(example, Chat):
        return example.map_text(given)
    changes: dict[str, Callable[[str], str]] = {"assistant": reply, "tool": lambda text: text}
    turns = [dataclasses.replace(example, messages=(turn,)).map_text(changes.get(turn.role, given)) for turn in example.messages]
    return dataclasses.replace(example, messages=tuple(turn.messages[0] for turn in turns))
