"""Markdown or wiki markup made into the text that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.cleaning.plain_markup import without_markdown, without_wiki
from luthier.data.decisions import Changed, Kept, changed_or_kept


@dataclass(frozen=True, kw_only=True)
class MarkupToText:
    """Makes the marks of Markdown, or of MediaWiki, into plain text, wherever a model reads or writes.

    Headings, emphasis and links keep their words, lists their dashes, tables their cells with bars between them, code stays. A
    decoder: it runs once, on raw text. Opt-in, for most models are meant to read and write Markdown, and nothing tells a
    dash or star that is a mark from one that is meant.
    """

    kind: Literal["markup_to_text"] = "markup_to_text"
    syntax: Literal["markdown", "wiki"] = option("markdown", about="whose marks they are", why="it is the more common one")
    decodes: ClassVar[bool] = True

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where marks were found."""
        change = without_markdown if self.syntax == "markdown" else without_wiki
        return changed_or_kept(example, example.map_text(change), "Markdown" if self.syntax == "markdown" else "wiki markup")
