"""Which part of a web page is what somebody wrote, and which is there to sell it, to lead away from it, or to ask for cookies.

The way of Readability (arc90, 2009; Mozilla, github.com/mozilla/readability): paragraphs give points to what holds them, the
element with the most points, little of them links, is the content, its neighbours may join it, and what in it looks like a menu or
an advertisement goes. Where little is left, it is done again with more patience. Of the extractors compared by Bevendorff et al.
(2023, doi:10.1145/3539618.3591920) it had the best median. Differences: all is computed in a constant number of passes, so
that time grows with the page and not with its depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from luthier.data.cleaning.html_tree import Element
from luthier.data.cleaning.page_sums import HEADINGS, Sums, is_data_table, measured

_UNSEEN = frozenset((
    "applet", "area", "audio", "base", "canvas", "datalist", "embed", "head", "iframe", "link", "map", "meta", "noembed", "noframes",
    "noscript", "object", "param", "progress", "script", "source", "style", "svg", "template", "title", "track", "video",
))  # fmt: skip
_BESIDE = frozenset(("aside", "button", "footer", "input", "nav", "select", "textarea"))
_UNLIKELY = re.compile(
    r"-ad-|ad-break|agegate|ai2html|banner|breadcrumb|combx|comment|community|consent|cookie|cover-wrap|disqus|extra|footer|gdpr|header|legends"
    r"|menu|newsletter|pager|pagination|popup|related|remark|replies|rss|share-|shoutbox|sidebar|skyscraper|social|sponsor|subscribe"
    r"|supplemental|yom-remote", re.IGNORECASE,
)  # fmt: skip
_MAYBE = re.compile(r"and|article|body|column|content|main|mathjax|shadow", re.IGNORECASE)
_GOOD = re.compile(r"article|blog|body|content|entry|hentry|main|page|pagination|post|story|text", re.IGNORECASE)
_BAD = re.compile(
    r"-ad-|hidden|(?:^|\s)hid(?:$|\s)|banner|combx|comment|com-|contact|cookie|footer|gdpr|masthead|media|meta|outbrain|promo|related|scroll"
    r"|share|shopping|shoutbox|sidebar|skyscraper|sponsor|tags|widget", re.IGNORECASE,
)  # fmt: skip
_UNLIKELY_ROLES = frozenset(("alert", "alertdialog", "complementary", "dialog", "menu", "menubar", "navigation"))
_SHARES = re.compile(r"(?:\b|_)share(?:daddy)?(?:\b|_)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?: |$)")
_BYLINE = re.compile(r"author|byline|dateline|p-author|writtenby", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ALONE = re.compile(
    r"\W*(?:ad(?:vertisement|vertising)?|anuncio|cargando|chargement|loading|pub(?:licité)?|werbung|загрузка|реклама|广告)\W*",
    re.IGNORECASE,
)
_PHRASES = frozenset((
    "abbr", "b", "bdo", "br", "cite", "code", "data", "dfn", "em", "font", "i", "img", "kbd", "label", "mark", "math", "meter", "output",
    "q", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
))  # fmt: skip
_PHRASES_IF = frozenset(("a", "del", "ins"))
_BLOCKS_IN_DIV = frozenset(("blockquote", "dl", "div", "ol", "p", "pre", "section", "table", "ul"))
_SCORED = frozenset(("section", "h2", "h3", "h4", "h5", "h6", "p", "td", "pre"))
_DOUBTED = frozenset(("form", "fieldset", "table", "ul", "ol", "div"))
_OWN_SCORE = {"div": 5, "article": 5, "pre": 3, "td": 3, "blockquote": 3, "form": -3, "address": -3, "ol": -3, "ul": -3, "dl": -3,
              "dd": -3, "dt": -3, "li": -3, "th": -5, **dict.fromkeys(HEADINGS, -5)}  # fmt: skip
_FEW_ELEMENTS = 50  # elements with more in them are not read as one line: nested ones would be read again and again
_SHORTEST, _ENOUGH, _FEW_COMMAS, _N_BEST = 25, 500, 10, 5


@dataclass(frozen=True)
class _Patience:
    """What is believed about a page: class names that say "menu", class names at all, and that lists of links are menus."""

    unlikely_goes: bool
    names_weigh: bool
    doubted_goes: bool


_PATIENCE = (_Patience(True, True, True), _Patience(False, True, True), _Patience(False, False, True), _Patience(False, False, False))


def main_content(parse: Callable[[], Element]) -> Element | None:
    """An element that holds the content of a page, in the page's order; None if the page shows no text at all.

    Args:
        parse: gives the page's tree; called once for each attempt, and the tree is taken apart.

    """
    best: tuple[int, Element] | None = None
    for patience in _PATIENCE:
        content = _attempt(parse(), patience)
        n_characters = measured(content)[content].text
        if n_characters >= _ENOUGH:
            return content
        if n_characters > (best[0] if best else 0):
            best = (n_characters, content)
    return best[1] if best else None


def _attempt(root: Element, patience: _Patience) -> Element:
    sums = measured(root)
    _strip(root, sums, patience)
    _make_paragraphs(root, sums)
    body = next((one for one in root.elements() if one.tag == "body"), root)
    sums = measured(body)
    scores = _scored(body, sums, patience)
    top = _top(scores, body)
    content = Element("div")
    content.children = list(body.children) if top is body else [*_with_siblings(top, scores, sums)]
    for child in content.elements():
        child.parent = content
    _prune(content, patience)
    return content


def _strip(root: Element, sums: Mapping[Element, Sums], patience: _Patience) -> None:
    """Take out what shows no text, what is hidden, the first line that names an author, the title, and what looks unlikely."""
    title = next(("".join(one.texts()) for one in root.walk() if one.tag == "title"), "")
    known = frozenset(re.findall(r"\w+", title.lower()))
    found: set[str] = set()

    def goes(element: Element) -> bool:
        if element.tag in _UNSEEN or _is_hidden(element.attributes):
            return True
        names = _names(element)
        if "byline" not in found and 0 < sums[element].text < 100 and _is_byline(element, names):
            found.add("byline")
            return True
        is_heading = element.tag in ("h1", "h2") and 0 < sums[element].text < 500 and sums[element].elements < _FEW_ELEMENTS
        if is_heading and "title" not in found and _repeats(known, element):
            found.add("title")
            return True
        return patience.unlikely_goes and _is_unlikely(element, names)

    for element in root.walk():
        element.children = [child for child in element.children if isinstance(child, str) or not goes(child)]


def _names(element: Element) -> str:
    return f"{element.attributes.get('class', '')} {element.attributes.get('id', '')}" if element.attributes else " "


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    if not attributes:
        return False
    if "hidden" in attributes or (attributes.get("aria-hidden") == "true" and "fallback-image" not in attributes.get("class", "")):
        return True
    if attributes.get("aria-modal") == "true" and attributes.get("role") == "dialog":
        return True
    return bool(_HIDDEN.search(attributes.get("style", "")))


def _is_byline(element: Element, names: str) -> bool:
    attributes = element.attributes
    return attributes.get("rel") == "author" or "author" in attributes.get("itemprop", "") or bool(_BYLINE.search(names))


def _is_unlikely(element: Element, names: str) -> bool:
    if element.attributes.get("role") in _UNLIKELY_ROLES:
        return True
    if names == " " or element.tag in ("body", "a") or not _UNLIKELY.search(names) or _MAYBE.search(names):
        return False
    return not _stands_in(element, ("table", "code"), 4)


def _repeats(known: frozenset[str], heading: Element) -> bool:
    """Whether over three quarters of a heading are words of the title."""
    words = re.findall(r"\w+", "".join(heading.texts()).lower())
    return bool(words) and len(" ".join(word for word in words if word not in known)) < 0.25 * len(" ".join(words))


def _stands_in(element: Element, tags: Sequence[str], n_levels: int) -> bool:
    above = element.parent
    for _ in range(n_levels):
        if above is None:
            return False
        if above.tag in tags:
            return True
        above = above.parent
    return False


def _make_paragraphs(root: Element, sums: Mapping[Element, Sums]) -> None:
    """Make a paragraph of each run of phrases that stands in a `div` of its own accord, or between empty lines."""
    for element in list(root.walk()):
        if element.tag == "div" or (element.tag not in ("pre", "code") and _has_empty_line(element)):
            was_alone = _only_element(element)
            _wrap(element)
            alone = _only_element(element)
            if element.tag != "div":
                continue
            if alone is not None and alone.tag == "p" and (was_alone is not alone or sums[alone].link_density < 0.25):
                element.tag, element.children = "p", alone.children
                for child in element.elements():
                    child.parent = element


def _only_element(element: Element) -> Element | None:
    """The one element in it, if there is nothing else but space."""
    inner = element.elements()
    return inner[0] if len(inner) == 1 and all(isinstance(one, Element) or not one.strip() for one in element.children) else None


def _has_empty_line(element: Element) -> bool:
    """Whether two line breaks follow one another in it."""
    after_break = False
    for child in element.children:
        is_break = isinstance(child, Element) and child.tag == "br"
        if is_break and after_break:
            return True
        after_break = is_break or (after_break and isinstance(child, str) and not child.strip())
    return False


def _wrap(element: Element) -> None:
    """Put each run of phrases between other elements or empty lines into a paragraph of its own."""
    made: list[Element | str] = []
    run: list[Element | str] = []

    def end_run() -> None:
        if any(one.tag != "br" if isinstance(one, Element) else one.strip() for one in run):
            paragraph = Element("p", parent=element, children=list(run))
            for one in paragraph.elements():
                one.parent = paragraph
            made.append(paragraph)
        run.clear()

    n_breaks = 0
    for child in element.children:
        if not _is_phrase(child):
            end_run()
            made.append(child)
            n_breaks = 0
            continue
        is_break = isinstance(child, Element) and child.tag == "br"
        n_breaks += is_break
        if n_breaks > 1:
            end_run()
        if not is_break and not (isinstance(child, str) and not child.strip()):
            n_breaks = 0
        run.append(child)
    end_run()
    element.children = made


def _is_phrase(child: Element | str) -> bool:
    if isinstance(child, str) or child.tag in _PHRASES:
        return True
    return child.tag in _PHRASES_IF and all(isinstance(one, str) or one.tag in _PHRASES for one in child.children)


def _weight(element: Element, patience: _Patience) -> float:
    """What the element's class and id say for or against it."""
    if not patience.names_weigh or not element.attributes:
        return 0.0
    names = [element.attributes.get(name, "") for name in ("class", "id")]
    return sum(25.0 * bool(_GOOD.search(name)) - 25.0 * bool(_BAD.search(name)) for name in names if name)


def _scored(body: Element, sums: Mapping[Element, Sums], patience: _Patience) -> dict[Element, float]:
    """Element → points, of the elements that hold paragraphs; links have been taken off."""
    scores: dict[Element, float] = {}
    for element in body.walk():
        if element.tag not in _SCORED or sums[element].text < _SHORTEST:
            continue
        points = 2.0 + sums[element].commas + min(sums[element].text // 100, 3)
        above, level = element.parent, 0
        while above is not None and above.parent is not None and level < 5:
            if above not in scores:
                scores[above] = _OWN_SCORE.get(above.tag, 0) + _weight(above, patience)
            scores[above] += points / (1 if level == 0 else 2 if level == 1 else 3 * level)
            above, level = above.parent, level + 1
    return {element: score * (1 - sums[element].link_density) for element, score in scores.items() if element in sums}


def _top(scores: Mapping[Element, float], body: Element) -> Element:
    """The element that holds the content: the best, or what it shares with others that are nearly as good."""
    best = sorted(scores, key=lambda one: -scores[one])[:_N_BEST]
    if not best or best[0] is body:
        return body
    top = best[0]
    rivals = [set(_above(one)) for one in best[1:] if scores[one] >= 0.75 * scores[top]]
    if len(rivals) >= 3:
        top = next((one for one in _above(top) if one is not body and sum(one in rival for rival in rivals) >= 3), top)
    last = scores.get(top, 0.0)
    least = last / 3
    for above in _above(top):
        if above is body or scores.get(above, least) < least:
            break
        if above in scores:
            if scores[above] > last:
                top = above
                break
            last = scores[above]
    for above in _above(top):
        if above is body or len(above.elements()) != 1:
            break
        top = above
    return top


def _above(element: Element) -> Iterator[Element]:
    """What holds the element, from the inside out."""
    above = element.parent
    while above is not None:
        yield above
        above = above.parent


def _with_siblings(top: Element, scores: Mapping[Element, float], sums: Mapping[Element, Sums]) -> Iterator[Element]:
    """The best element, and what beside it looks like more of the same."""
    least = max(10.0, 0.2 * scores.get(top, 0.0))
    names = top.attributes.get("class", "")
    for sibling in top.parent.elements() if top.parent is not None else [top]:
        bonus = 0.2 * scores.get(top, 0.0) if names and sibling.attributes.get("class", "") == names else 0.0
        if sibling is top or (sibling in scores and scores[sibling] + bonus >= least):
            yield sibling
        elif sibling.tag == "p":
            is_long = sums[sibling].text > 80
            if (is_long and sums[sibling].link_density < 0.25) or (
                not is_long and sums[sibling].linked == 0 and _SENTENCE_END.search("".join(sibling.texts()))
            ):
                yield sibling


def _prune(content: Element, patience: _Patience) -> None:
    """Take out what in the content is still no part of it."""
    sums = measured(content)
    order = list(content.walk())
    kept_whole = {element for element in order if element.tag == "table" and is_data_table(element, sums[element])}
    holds_data = set(kept_whole)
    for element in reversed(order):
        if element in holds_data and element.parent is not None:
            holds_data.add(element.parent)
    for element in order:
        if element.parent in kept_whole or _stands_in(element, ("code",), 4):
            kept_whole.add(element)
    live: dict[Element, Sums] = {}
    gone: set[Element] = set()
    for element in reversed(order):
        element.children = [child for child in element.children if child not in gone]
        live[element] = Sums.of(element, live)
        if element is not content and _is_pruned(element, live[element], element in kept_whole or element in holds_data, patience):
            gone.add(element)
    content.children = [child for child in content.children if child not in gone]


def _is_pruned(element: Element, now: Sums, stays: bool, patience: _Patience) -> bool:
    if element.tag in _BESIDE:
        return True
    if _SHARES.search(_names(element)) and now.text < _ENOUGH:
        return True
    if element.tag in ("h1", "h2"):
        return _weight(element, patience) < 0
    if not patience.doubted_goes or stays or element.tag not in _DOUBTED:
        return False
    weight = _weight(element, patience)
    return weight < 0 or (now.commas < _FEW_COMMAS and _looks_empty(element, now, weight))


def _looks_empty(element: Element, now: Sums, weight: float) -> bool:
    """Whether what stands in it is a menu, a form, an advertisement, or nothing."""
    if now.text < 30 and now.elements < _FEW_ELEMENTS and _ALONE.fullmatch("".join(element.texts())):
        return True
    is_list = element.tag in ("ul", "ol") or now.listed > 0.9 * now.text
    in_figure = _stands_in(element, ("figure",), 4)
    return (
        (not in_figure and now.images > 1 and now.paragraphs < 0.5 * now.images)
        or (not is_list and now.items - 100 > now.paragraphs)
        or now.inputs > now.paragraphs // 3
        or (not is_list and not in_figure and now.headings < 0.9 * now.text and now.text < _SHORTEST
            and (now.images == 0 or now.images > 2) and now.linked > 0)
        or (not is_list and weight < 25 and now.link_density > 0.2)
        or (weight >= 25 and now.link_density > 0.5)
        or (now.images == 0 and now.in_blocks == 0)
    )  # fmt: skip
