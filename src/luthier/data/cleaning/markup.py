"""HTML inside of text: telling it from what only looks like it, and showing it as text."""

from __future__ import annotations

import html.entities
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

# Elements that stand alone, or whose end HTML lets one leave out: one of them is enough to be markup.
_ALONE = frozenset(["br", "hr", "img", "p", "li", "td", "th", "tr", "dd", "dt", "wbr"])
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "div", "dl", "dt", "dd", "fieldset", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "li", "main", "nav", "ol", "p", "pre", "section", "table",
    "title", "tr", "ul",
))
_INLINE = frozenset((
    "a", "abbr", "acronym", "audio", "b", "bdi", "bdo", "big", "br", "button", "cite", "code", "del", "dfn", "em", "font", "i",
    "iframe", "img", "ins", "kbd", "label", "link", "mark", "meta", "noscript", "o:p", "q", "s", "samp", "script", "small", "source",
    "span", "strike", "strong", "style", "sub", "sup", "svg", "tbody", "td", "tfoot", "th", "thead", "time", "tt", "u", "var",
    "video", "wbr",
))
_KNOWN = _BLOCKS | _INLINE | _ALONE
_UNSEEN = frozenset(("script", "style", "noscript", "svg", "head"))
_PARAGRAPHS = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "table", "dl"])

_ATTRIBUTES = r"""(?:\s+[A-Za-z_:][-\w:.]*(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>`=]+))?)*"""
_TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9:]*)({_ATTRIBUTES})\s*(/?)>")
_DOCTYPE = re.compile(r"<!doctype\b[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
_CODE = re.compile(r"(^[ \t]*```.*?^[ \t]*```[^\n]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_PAGE = re.compile(r"(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])", re.IGNORECASE)
_SPEAKS = re.compile(r"\b(?:x?html5?|xml|css|svg|markup|jsx|javascript|jquery|php|hyperlinks?|iframes?|divs?|xss)\b", re.IGNORECASE)


def without_code(text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` applied outside of fenced and quoted code."""
    return "".join(part if i % 2 else change(part) for i, part in enumerate(_CODE.split(text)))


def is_page(text: str) -> bool:
    """Whether the text is a whole HTML page, behind byte-order marks, space, comments and an XML declaration."""
    at = 0
    while at < len(text):
        if text[at].isspace() or text[at] == "\ufeff":
            at += 1
        elif text.startswith(("<!--", "<?xml"), at):
            mark = ">" if text[at + 1] == "?" else "-->"
            end = text.find(mark, at)
            if end < 0:
                return False
            at = end + len(mark)
        else:
            return bool(_PAGE.match(text, at))
    return False


def has_markup(text: str) -> bool:
    """Whether anything in the text, code left out, is certainly HTML."""
    if "<" not in text and "&" not in text:
        return False
    prose = "".join(_CODE.split(text)[::2])
    return bool(_real_tags(prose) or _comments(prose) or any(_is_entity(found) for found in _ENTITY.finditer(prose)))


def speaks_of_markup(text: str) -> bool:
    """Whether the text, its tags and entities left out, is about HTML or code, so that tags are likely its subject."""
    pieces, at = [], 0
    for begin, end in _comments(text):
        pieces.append(text[at:begin])
        at = max(at, end)
    return bool(_SPEAKS.search(_ENTITY.sub(" ", _TAG.sub(" ", " ".join([*pieces, text[at:]])))))


def shown_text(text: str) -> str:
    """The text as a browser would show it, as far as a text can; what is not certainly HTML stays to the letter."""
    tags = _real_tags(text)
    if not tags and "&" not in text and "<!" not in text:
        return text
    viewer = _Viewer()
    viewer.feed(_only(text, tags))
    viewer.close()
    if not viewer.has_tags:
        return "".join(viewer.pieces)
    lead, tail = len(text) - len(text.lstrip()), len(text.rstrip())
    return text[:lead] + viewer.text().strip() + text[max(tail, lead) :]


def _real_tags(text: str) -> frozenset[int]:
    """Where the tags begin that are certainly markup.

    An element needs a name that HTML knows, and either to be of a kind that stands alone, or both a start and an end
    in the text, or attributes with values. `List<int>`, `<me@example.org>`, `<3` and a lone `<table>` are not.
    """
    found = [tag for tag in _TAG.finditer(text) if tag[2].lower() in _KNOWN]
    starts = Counter(tag[2].lower() for tag in found if not tag[1])
    ends = Counter(tag[2].lower() for tag in found if tag[1])

    def is_real(tag: re.Match[str]) -> bool:
        name = tag[2].lower()
        if name in ("script", "style"):
            return bool(starts[name] and ends[name])
        return name in _ALONE or bool(starts[name] and ends[name]) or "=" in tag[3]

    return frozenset(tag.start() for tag in found if is_real(tag))


def _comments(text: str) -> list[tuple[int, int]]:
    """Where the closed comments and document types of the text begin and end, in order."""
    spans: list[tuple[int, int]] = []
    begin = text.find("<!--")
    while begin >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        spans.append((begin, end + 3))
        begin = text.find("<!--", end + 3)
    for found in _DOCTYPE.finditer(text):
        spans.append(found.span())
    return sorted(spans)


def _is_entity(found: re.Match[str]) -> bool:
    decimal, hexadecimal, name = found.groups()
    if name is not None:
        return f"{name};" in html.entities.html5
    return 9 <= (int(decimal) if decimal else int(hexadecimal, 16)) <= 0x10FFFF


def _only(text: str, tags: frozenset[int]) -> str:
    """The text with every `<` and `&` escaped that does not begin markup, so that a parser can be let at it."""
    comments = frozenset(begin for begin, _ in _comments(text))
    entities = frozenset(found.start() for found in _ENTITY.finditer(text) if _is_entity(found))

    def escaped(found: re.Match[str]) -> str:
        if found[0] == "<":
            return "<" if found.start() in tags or found.start() in comments else "&lt;"
        return "&" if found.start() in entities else "&amp;"

    return re.sub("[<&]", escaped, text)


class _Viewer(HTMLParser):
    """Collects what a page shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.has_tags = False
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.has_tags = True
        if tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "br":
            self.pieces.append("\n")
        elif tag == "li":
            self._open(1)
            self.pieces.append("- ")
        elif tag in ("td", "th"):
            if self.pieces and not self.pieces[-1].endswith(("\n", " | ")):
                self.pieces.append(" | ")
        elif tag in _BLOCKS:
            self._open(2 if tag in _PARAGRAPHS else 1)

    def handle_endtag(self, tag: str) -> None:
        self.has_tags = True
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif tag in _BLOCKS and tag != "li":
            self._open(2 if tag in _PARAGRAPHS else 1)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            after_break = self.has_tags and self.pieces and self.pieces[-1].endswith("\n")
            # A break in the source after a break that a tag made is the same break.
            self.pieces.append(re.sub(r"^[ \t]*\n|^ (?! )", "", data) if after_break else data)

    def _open(self, n_breaks: int) -> None:
        """End the line, and leave a blank one if two breaks are asked for; not at the very start."""
        written = "".join(self.pieces[-8:]).rstrip(" \t")
        n_missing = n_breaks - (len(written) - len(written.rstrip("\n")))
        if written.strip("\n") and n_missing > 0:
            self.pieces.append("\n" * n_missing)

    def text(self) -> str:
        """What was collected, without the space that only separated tags."""
        return re.sub(r"[ \t]+(?=\n)", "", "".join(self.pieces))
