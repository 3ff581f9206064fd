"""Private keys in their armour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import WORDS, Finding

_BEGIN = re.compile(r"-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----")
_BODY = re.compile(r"(?:[A-Za-z0-9+/=:,.\- \t]|\\?[nr]|[\r\n]|\\)*")
_LONGEST = 20_000  # an RSA key of 16,384 bits takes 13,000 characters
_PUTTY = re.compile(r"PuTTY-User-Key-File-[23]:[\s\S]{20,4000}?Private-MAC: ?[0-9a-f]{40,64}")


@dataclass(frozen=True, kw_only=True)
class PrivateKey:
    """From its first line to its last, or as far as it goes where the end is missing; a first line with nothing after it is possible."""

    kind: Literal["private_key"] = "private_key"
    signs: ClassVar[int] = WORDS

    def find(self, text: str) -> Iterator[Finding]:
        """Each key in the text; its line ends may be written as a backslash and an n."""
        if "PRIVATE KEY" in text:
            for match in _BEGIN.finditer(text):
                last = f"-----END {match[1]}-----"
                following = text.find("-----BEGIN", match.end(), match.end() + _LONGEST)
                until = following if following >= 0 else match.end() + _LONGEST
                end = text.find(last, match.end(), until)
                if end >= 0:
                    n_inside, end = end - match.end(), end + len(last)
                else:
                    body = _BODY.match(text, match.end(), until)
                    n_inside, end = _cut_short(body[0] if body else "", match.end())
                yield Finding(self.kind, match.start(), end, "certain" if n_inside >= 40 else "possible", match[1].lower())
        if "PuTTY-User-Key" in text:
            for match in _PUTTY.finditer(text):
                yield Finding(self.kind, match.start(), match.end(), "certain", "putty private key")


def _cut_short(body: str, start: int) -> tuple[int, int]:
    """How many characters of a key follow whose end is missing, and where they end: lines of Base64 up to the first other one."""
    n = 0
    for line in body.splitlines(keepends=True):
        bare = line.strip().replace("\\n", "")
        if bare and " " in bare and ":" not in bare:
            break
        n += len(line)
    kept = body[:n].rstrip()
    return len(kept), start + len(kept)
