"""Addresses of electronic mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import AT, Certainty, Finding

# Latin and Cyrillic letters and digits; of other scripts, what stands before an address is seldom part of it.
_L = r"A-Za-z0-9_À-ÖØ-öø-ɏ\u0400-\u04ff"
_LOCAL = re.compile(rf"[{_L}](?:[{_L}.+'-]{{0,62}}[{_L}+-])?$")
_DOMAIN = re.compile(
    rf"(?:(?!_)[{_L}](?:(?!_)[{_L}]|-(?=[{_L}-]*[{_L}])){{0,62}}\.){{1,8}}(?:(?![0-9_])[{_L}]){{2,63}}(?![{_L}]|-[{_L}])"
    r"|(?:[a-z0-9-]{1,63}\.){1,8}xn--[a-z0-9-]{2,59}(?![\w-])"
)
_SPELLED = re.compile(
    r"(?<![\w.])([\w.+-]{1,64}) ?[(\[] ?at ?[)\]] ?([\w-]{1,63}(?:(?:\.| ?[(\[] ?dot ?[)\]] ?)[\w-]{1,63}){0,4}"
    r"(?:\.| ?[(\[] ?dot ?[)\]] ?)[a-z]{2,20})(?![\w-])",
    re.IGNORECASE | re.ASCII,
)
# Names of files and of what people type after an at sign in code: "icon@2x.png", "@app.route".
_FILES = frozenset(
    (
        "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "bmp", "css", "js", "ts", "jsx", "tsx", "json", "html", "htm", "xml", "py", "rb",
        "go", "java", "php", "md", "txt", "pdf", "zip", "gz",
    )
)  # fmt: skip
_AUTHORITY = re.compile(r"://[^\s/?#]*$")
# RFC 2606 and 6761: nobody gets mail there.
_NOBODYS = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org|edu)|example|test|invalid|localhost)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Email:
    """Addresses with a domain of at least two parts, also spelled "name (at) domain (dot) org".

    Certain; likely where it is spelled; possible where the domain is one that is kept for examples.
    """

    kind: Literal["email"] = "email"
    signs: ClassVar[int] = AT

    def find(self, text: str) -> Iterator[Finding]:
        """From each at sign to both sides, so that a long text takes no longer than its at signs."""
        at = text.find("@")
        while at >= 0:
            local = _LOCAL.search(text, max(at - 64, 0), at)
            domain = _DOMAIN.match(text, at + 1)
            if local and domain and not _is_other(text, local.start(), domain):
                yield Finding(self.kind, local.start(), domain.end(), _certainty(domain[0]))
            at = text.find("@", at + 1)
        for match in _SPELLED.finditer(text) if "at)" in text or "at]" in text else ():
            yield Finding(self.kind, match.start(), match.end(), "likely", "spelled out")


def _certainty(domain: str) -> Certainty:
    return "possible" if _NOBODYS.search(domain) else "certain"


def _is_other(text: str, start: int, domain: re.Match[str]) -> bool:
    """Whether it is the name of a file, a repository's address, or the part of a URL before its host."""
    if domain[0].rpartition(".")[2].lower() in _FILES:
        return True
    if text[start : domain.start() - 1] == "git" and text[domain.end() : domain.end() + 1] in (":", "/"):
        return True
    before = text[max(start - 100, 0) : start]
    return "://" in before and bool(_AUTHORITY.search(before))
