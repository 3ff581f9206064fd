"""Web pages as plain text: their main content, with lists, tables and code kept in the shape that plain text has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from luthier.data.cleaning.html_tree import BLOCKS, Element, parsed
from luthier.data.cleaning.main_content import main_content
from luthier.data.cleaning.page_sums import Sums, is_data_table, measured

_UNSEEN = frozenset((
    "audio", "base", "button", "canvas", "datalist", "embed", "head", "iframe", "input", "link", "meta", "noembed", "noframes",
    "noscript", "object", "option", "script", "select", "style", "svg", "template", "textarea", "title", "track", "video",
))  # fmt: skip
_PARAGRAPHS = frozenset((
    "blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul",
))  # fmt: skip
_MOST_INDENTED = 8
_SPACE = re.compile(r"[ \t\n\r\f]+")
_FENCE = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)


def page_text(page: str) -> str:
    """The main content of an HTML page as text.

    Paragraphs stand apart by an empty line, list items have dashes or numbers, cells of tables bars between them, and code
    stands in fences. Empty only if the page shows nothing at all. Time grows in proportion to the page; nothing is too broken to be read.
    """
    content = main_content(lambda: parsed(page))
    return "" if content is None else rendered(content)


def rendered(content: Element) -> str:
    """All text of an element, laid out as plain text."""
    sums = measured(content)
    writer = _Writer()
    waiting: list[tuple[Element | str, bool]] = [(content, False)]
    while waiting:
        node, is_done = waiting.pop()
        if isinstance(node, str):
            writer.write(node)
        elif is_done:
            writer.leave(node)
        elif node.tag not in _UNSEEN:
            writer.enter(node, sums)
            waiting.append((node, True))
            waiting += [(child, False) for child in reversed(node.children)]
    return writer.text()


class _Writer:
    """What is written so far, and inside of what the writing goes on."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._breaks = 0  # line ends that are due before the next text
        self._space = False  # whether a space is due before it
        self._lists: list[int | None] = []  # the next number of each open list; None: dashes
        self._code = 0  # open `pre` elements
        self._cells = 0  # open cells of tables of data
        self._row_has_cells: list[bool] = []
        self._bars: set[Element] = set()

    def enter(self, element: Element, sums: Mapping[Element, Sums]) -> None:
        """Begin an element."""
        tag = element.tag
        if tag == "br":
            self._break(min(self._breaks + 1, 2))
        elif tag in ("ul", "ol", "menu"):
            self._break(1 if self._lists else 2)
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._break(1)
            self._put(self._bullet())
        elif tag in ("td", "th"):
            self._enter_cell(element)
        else:
            if tag in BLOCKS:
                self._break(2 if tag in _PARAGRAPHS else 1)
            if tag == "pre" and not self._cells and (self._code or sums[element].text):
                self._code += 1
                if self._code == 1:
                    self._put("```\n")
            elif tag == "tr":
                self._row_has_cells.append(False)
            elif tag == "table" and (is_data_table(element, sums[element]) or sums[element].columns > 1):
                self._bars.add(element)

    def leave(self, element: Element) -> None:
        """End an element."""
        tag = element.tag
        if tag == "pre" and self._code:
            self._code -= 1
            if self._code == 0:
                self._put("```" if self._pieces and self._pieces[-1].endswith("\n") else "\n```")
        if tag in ("ul", "ol", "menu"):
            self._lists.pop()
            self._break(1 if self._lists else 2)
        elif tag in ("td", "th"):
            if self._cells:
                self._cells -= 1
            else:
                self._break(1)
        elif tag in BLOCKS:
            if tag == "tr":
                self._row_has_cells.pop()
            self._break(2 if tag in _PARAGRAPHS else 1)

    def write(self, text: str) -> None:
        """Text that stands in an element."""
        if self._code and not self._cells:
            text = text.removeprefix("\n") if self._pieces[-1] == "```\n" else text
            self._put(_FENCE.sub(lambda found: found[0].replace("`", "'"), text), as_is=True)
            return
        collapsed = _SPACE.sub(" ", text)
        words = collapsed.strip(" ")
        if not words:
            self._space = self._space or bool(collapsed)
            return
        if collapsed[0] == " ":
            self._space = True
        self._put(words)
        self._space = collapsed[-1] == " "

    def text(self) -> str:
        """All that was written."""
        return "".join(self._pieces).strip("\n")

    def _enter_cell(self, element: Element) -> None:
        row = element.parent
        table = row.parent if row is not None else None
        if table is not None and table.tag in ("tbody", "thead", "tfoot"):
            table = table.parent
        if table is None or table not in self._bars:
            self._break(1)
            return
        if self._row_has_cells and self._row_has_cells[-1]:
            self._put(" |")
            self._space = True
        if self._row_has_cells:
            self._row_has_cells[-1] = True
        self._cells += 1

    def _bullet(self) -> str:
        indent = "  " * min(max(len(self._lists) - 1, 0), _MOST_INDENTED)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{indent}- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _break(self, n_lines: int) -> None:
        if self._cells:
            self._space = True
        else:
            self._breaks = max(self._breaks, n_lines)

    def _put(self, text: str, as_is: bool = False) -> None:
        if self._breaks and self._pieces:
            after_bullet = self._pieces[-1].endswith(("- ", ". ")) and not self._pieces[-1].strip(" -.0123456789")
            if not after_bullet:
                self._pieces.append("\n" * self._breaks)
        elif self._space and self._pieces and not self._pieces[-1].endswith((" ", "\n")) and not as_is:
            self._pieces.append(" ")
        self._breaks, self._space = 0, False
        self._pieces.append(text)
