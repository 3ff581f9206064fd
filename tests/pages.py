"""Pages as a test reads them: parsed without errors, as words, as the numbers behind, and as what a browser might fetch."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from tinyhtml5.parser import HTMLParser


def parsed(page: str) -> Any:
    """The document, if the page is HTML without a single error."""
    parser = HTMLParser(namespace_html_elements=False)
    document = parser.parse(page)
    assert parser.errors == []
    return document


def words(page: str) -> str:
    """What a reader sees, without tags and with single spaces."""
    body = re.sub(r"<(style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def numbers(page: str) -> set[float]:
    """The exact numbers that stand behind those that are shown."""
    return {float(value) for value in re.findall(r'<data value="([^"]+)">', page)}


def addresses(page: str) -> list[str]:
    """Everything that a browser might fetch."""
    found = re.findall(r'(?:src|href|srcset|action|data)\s*=\s*"([^"]*)"|url\(([^)]*)\)|(@import[^;]*)', page)
    return [one for groups in found for one in groups if one]
