"""What is in each element of a page, all the way down: lengths, links, lists, and which tables hold data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from luthier.data.cleaning.html_tree import Element

HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_IN_BLOCKS = frozenset(("blockquote", "dl", "div", "img", "li", "ol", "p", "pre", "span", "table", "td", "ul"))
_TABLE_MARKS = frozenset(("caption", "col", "colgroup", "tfoot", "thead", "th"))
_COMMA = re.compile("[,\u060c\ufe50\ufe10\u2e41\u2e34\uff0c\u3001]")
_INPUTS = frozenset(("input", "textarea", "select"))


@dataclass(slots=True)
class Sums:
    """Counts over an element and all below it; lengths are in characters, runs of space counted as one.

    `linked`, `headings`, `listed` and `in_blocks` are the text in links (half-weighted or less where they lead to the same page), in
    headings, in lists, and in any block; `columns` is the most that a row has; `marks` are elements that only tables of data have.
    """

    text: int = 0
    linked: float = 0.0
    commas: int = 0
    paragraphs: int = 0
    images: int = 0
    items: int = 0
    inputs: int = 0
    headings: int = 0
    listed: int = 0
    in_blocks: int = 0
    tables: int = 0
    rows: int = 0
    columns: int = 0
    marks: int = 0
    elements: int = 0

    @property
    def link_density(self) -> float:
        """The share of the text that is links."""
        return self.linked / self.text if self.text else 0.0

    @staticmethod
    def of(element: Element, below: Mapping[Element, Sums]) -> Sums:
        """What is in an element, given what is in those that stand in it."""
        total = Sums()
        n_cells = 0
        for child in element.children:
            if isinstance(child, str):
                words = child.split()
                total.text += sum(map(len, words)) + len(words) - 1 + child[0].isspace() if words else 0
                total.commas += len(_COMMA.findall(child))
            else:
                total._add(child.tag, below[child])
                n_cells += child.tag in ("td", "th")
        total.columns = max(total.columns, n_cells)
        if element.tag == "a":
            total.linked = total.text * (0.3 if element.attributes.get("href", "").startswith("#") else 1.0)
        return total

    def _add(self, tag: str, below: Sums) -> None:
        self.text += below.text
        self.linked += below.linked
        self.commas += below.commas
        self.paragraphs += below.paragraphs + (tag == "p")
        self.images += below.images + (tag == "img")
        self.items += below.items + (tag == "li")
        self.inputs += below.inputs + (tag in _INPUTS)
        self.headings += below.text if tag in HEADINGS else below.headings
        self.listed += below.text if tag in ("ul", "ol") else below.listed
        self.in_blocks += below.text if tag in _IN_BLOCKS else below.in_blocks
        self.tables += below.tables + (tag == "table")
        self.rows += below.rows + (tag == "tr")
        self.columns = max(self.columns, below.columns)
        self.elements += below.elements + 1
        self.marks += below.marks + (tag in _TABLE_MARKS)


def measured(root: Element) -> dict[Element, Sums]:
    """The sums of an element and of all below it, in one pass from the leaves up."""
    sums: dict[Element, Sums] = {}
    for element in reversed(list(root.walk())):
        sums[element] = Sums.of(element, sums)
    return sums


def is_data_table(table: Element, sums: Sums) -> bool:
    """Whether a table holds data, rather than a layout: by what it says of itself, else by its size."""
    if table.attributes.get("role") == "presentation" or table.attributes.get("datatable") == "0":
        return False
    if table.attributes.get("summary") or sums.marks:
        return True
    if sums.tables or sums.columns <= 1 or sums.rows <= 1:
        return False
    return sums.rows >= 10 or sums.columns > 4 or sums.rows * sums.columns > 10
