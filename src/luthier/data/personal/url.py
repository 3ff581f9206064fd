"""Web addresses that tell who somebody is, or let one in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import SCHEME, WORDS, Finding

_WITH_USER = re.compile(
    r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,20}://([^\s/?#@:\"'<>]{1,128})(:[^\s/?#@\"'<>]{0,256})?@[\w.-]{1,255}(?::\d+)?"
    r"[!#-&*-;=?-\\^-~]*",
    re.IGNORECASE | re.ASCII,
)
_PROFILE = re.compile(
    r"(?:https?://)?(?:[a-z]{2,3}\.|www\.|m\.)?(?:linkedin\.com/in/|facebook\.com/(?:profile\.php\?id=\d|people/)?|instagram\.com/|"
    r"(?:twitter|x)\.com/|tiktok\.com/@|t\.me/|snapchat\.com/add/|vk\.com/|mastodon\.social/@|bsky\.app/profile/)"
    r"(?![?#]|(?:share|sharer|intent|home|search|explore|hashtag|p|reel|groups|events|pages|watch|login|help|about|policies|legal|i)\b)"
    r"[\w.%-]{2,80}",
    re.IGNORECASE | re.ASCII,
)
# What must be there for any of these addresses to be.
_HOSTS = (".com/", "t.me/", "x.com/", ".social/", ".app/")
_GENERIC = re.compile(r"(?:git|hg|svn|user(?:name)?|\$\{?\w+\}?|<\w+>|\{+\w+\}+|x+|\.\.\.)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r":(?:\$\{?\w+\}?|<[\w -]+>|\{+\w+\}+|\[\w+\]|x+|\*+|pass(?:word)?|secret|pwd)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class UrlCredentials:
    """Web addresses with a password in them (certain), or with a user's name alone (likely); names that stand for any are possible."""

    kind: Literal["url_credentials"] = "url_credentials"
    signs: ClassVar[int] = SCHEME

    def find(self, text: str) -> Iterator[Finding]:
        """The whole address of each."""
        for match in _WITH_USER.finditer(text):
            end = match.end() - (len(match[0]) - len(match[0].rstrip(".,;:!?")))
            password = match[2] or ""
            if len(password) > 1:
                yield Finding(self.kind, match.start(), end, "possible" if _PLACEHOLDER.fullmatch(password) else "certain", "password")
            else:
                yield Finding(self.kind, match.start(), end, "possible" if _GENERIC.fullmatch(match[1]) else "likely", "user name")


@dataclass(frozen=True, kw_only=True)
class ProfileLink:
    """Addresses of somebody's page on a network of people."""

    kind: Literal["profile_link"] = "profile_link"
    signs: ClassVar[int] = WORDS

    def find(self, text: str) -> Iterator[Finding]:
        """Each such address in the text."""
        lower = text.lower()
        if not any(host in lower for host in _HOSTS):
            return
        for match in _PROFILE.finditer(text):
            before = text[match.start() - 1 : match.start()]
            if not (before.isalnum() or before in ("-", "_", ".", "@")) or match.start() == 0:
                end = match.end() - (len(match[0]) - len(match[0].rstrip(".-")))
                yield Finding(self.kind, match.start(), end, "likely")
