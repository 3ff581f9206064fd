"""Web pages as trees: a parser for whatever people call HTML, that takes time in proportion to its length and never fails.

It follows the HTML standard (WHATWG, html.spec.whatwg.org, "Parsing HTML documents") in what decides about text: elements whose
content is no markup, those without content, and end tags that may be left out. It does without what only a browser needs: encodings,
scripts that write, and the repair of misnested formatting.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"))
_RAW = frozenset(("script", "style", "textarea", "title", "noembed", "noframes", "xmp"))
# A start tag → the open elements that it ends, up to the elements that keep them apart.
_ENDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset(["li"]), frozenset(["ul", "ol", "menu"])),
    "dt": (frozenset(["dt", "dd"]), frozenset(["dl"])),
    "dd": (frozenset(["dt", "dd"]), frozenset(["dl"])),
    "td": (frozenset(["td", "th"]), frozenset(["tr", "table"])),
    "th": (frozenset(["td", "th"]), frozenset(["tr", "table"])),
    "tr": (frozenset(["tr"]), frozenset(["table", "tbody", "thead", "tfoot"])),
    "tbody": (frozenset(["tbody", "thead", "tfoot"]), frozenset(["table"])),
    "thead": (frozenset(["tbody", "thead", "tfoot"]), frozenset(["table"])),
    "tfoot": (frozenset(["tbody", "thead", "tfoot"]), frozenset(["table"])),
    "option": (frozenset(["option"]), frozenset(["select", "datalist"])),
}
BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "dd", "dir", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "li", "main", "menu",
    "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_ENDS_P = BLOCKS - {"body", "html", "tbody", "td", "tfoot", "th", "thead", "tr"}
_P_SCOPE = frozenset(("td", "th", "table", "button", "object", "caption", "body", "html"))
_IN_HEAD = frozenset(("base", "link", "meta", "noscript", "script", "style", "template", "title"))
_MOST_LOOKED_AT = 64  # open elements that are looked through for one that ends: real pages are flatter
_NAME = re.compile(r"[A-Za-z][^\s/>]*")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_ENTITY = re.compile(r"&(?:#\d{1,7}(?!\d)|#[xX][0-9A-Fa-f]{1,6}(?![0-9A-Fa-f])|[A-Za-z][A-Za-z0-9]{1,31});?")
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(eq=False, slots=True)
class Element:
    """An element of a page: its name in small letters, attributes, and what stands in it, texts and elements in order."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=lambda: _NONE)
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def elements(self) -> list[Element]:
        """The elements that stand directly in it."""
        return [child for child in self.children if isinstance(child, Element)]

    def walk(self) -> Iterator[Element]:
        """The element and all below it, in the order of the page; what is taken out meanwhile is not visited."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting += [child for child in reversed(one.children) if isinstance(child, Element)]

    def texts(self) -> Iterator[str]:
        """All texts in it, in order."""
        waiting: list[Element | str] = [self]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                yield one
            else:
                waiting += reversed(one.children)


def parsed(page: str) -> Element:
    """The page's tree, under an element `html`; every page has one, whatever stands in it."""
    root = Element("html")
    builder = _Builder(root)
    at = 0
    while at < len(page):
        begin = page.find("<", at)
        if begin < 0:
            builder.add_text(page[at:])
            break
        builder.add_text(page[at:begin])
        at = _markup(page, begin, builder)
    return root


def _markup(page: str, begin: int, builder: _Builder) -> int:
    """Take in the markup that begins with the `<` at `begin`; returns where to go on."""
    if page.startswith("<!--", begin):
        end = page.find("-->", begin + 2)
        return len(page) if end < 0 else end + 3
    if page.startswith(("<!", "<?"), begin):
        end = page.find(">", begin)
        return len(page) if end < 0 else end + 1
    is_end = page.startswith("</", begin)
    name = _NAME.match(page, begin + 1 + is_end)
    if name is None:
        builder.add_text("<")
        return begin + 1
    tag = name[0].lower()
    attributes, end = _attributes(page, name.end())
    if is_end:
        builder.close(tag)
        return end
    builder.open(tag, attributes)
    if tag in _RAW:
        return _raw(page, tag, end, builder)
    return end


def _attributes(page: str, at: int) -> tuple[dict[str, str], int]:
    """The attributes from `at` on, and where the tag ends."""
    found: dict[str, str] = {}
    while match := _ATTRIBUTE.match(page, at):
        value = match[2] or match[3] or match[4] or ""
        found.setdefault(match[1].lower(), unescaped(value) if "&" in value else value)
        at = match.end()
    end = page.find(">", at)
    return found, len(page) if end < 0 else end + 1


def _raw(page: str, tag: str, at: int, builder: _Builder) -> int:
    """Take in the content of an element that holds no markup, up to its end tag."""
    match = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(page, at)
    content = page[at : match.start()] if match else page[at:]
    if tag in ("title", "textarea"):
        builder.add_text(content)
    elif tag == "xmp":
        builder.add_raw(content)
    builder.close(tag)
    if match is None:
        return len(page)
    end = page.find(">", match.end())
    return len(page) if end < 0 else end + 1


def unescaped(text: str) -> str:
    """The text with its character references replaced; numbers too long to be one stay."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


class _Builder:
    """The tree as far as it is read, and the elements that are still open."""

    def __init__(self, root: Element) -> None:
        self._open = [root]
        self._counts: dict[str, int] = {}

    def add_text(self, text: str) -> None:
        """Text with character references."""
        if text:
            self._open[-1].children.append(unescaped(text))

    def add_raw(self, text: str) -> None:
        """Text that is as it stands."""
        self._open[-1].children.append(text)

    def open(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element, ending what cannot hold it."""
        if tag == "html":
            root = self._open[0]
            root.attributes = {**attributes, **root.attributes}
            return
        if tag not in _IN_HEAD and self._counts.get("head"):
            self._pop_to("head")
        if tag in _ENDS_P and self._counts.get("p"):
            self._end_of(frozenset("p"), _P_SCOPE)
        if tag in _ENDS:
            ended, scope = _ENDS[tag]
            if any(self._counts.get(one) for one in ended):
                self._end_of(ended, scope)
        element = Element(tag, attributes or _NONE, self._open[-1])
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)
            self._counts[tag] = self._counts.get(tag, 0) + 1

    def close(self, tag: str) -> None:
        """End the innermost open element of this name, if there is one; `</br>` and `</p>` stand for themselves."""
        if tag == "br" or (tag == "p" and not self._counts.get("p")):
            self._open[-1].children.append(Element(tag, _NONE, self._open[-1]))
        if self._counts.get(tag):
            self._pop_to(tag)

    def _end_of(self, ended: frozenset[str], scope: frozenset[str]) -> None:
        for element in reversed(self._open[-_MOST_LOOKED_AT:]):
            if element.tag in ended:
                self._pop_to(element.tag)
                return
            if element.tag in scope:
                return

    def _pop_to(self, tag: str) -> None:
        # Each element is opened once and popped once, so all of this is linear in the page.
        while len(self._open) > 1:
            element = self._open.pop()
            self._counts[element.tag] -= 1
            if element.tag == tag:
                return
