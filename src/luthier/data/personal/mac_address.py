"""Addresses of network cards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import NUMBER, Finding

_MAC = re.compile(r"(?<![\w:.-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-]|\.\w)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class MacAddress:
    """Six bytes in hexadecimal, joined by colons or hyphens.

    Broadcast and multicast addresses, zeros, and parts of longer fingerprints are left alone.
    """

    kind: Literal["mac_address"] = "mac_address"
    signs: ClassVar[int] = NUMBER

    def find(self, text: str) -> Iterator[Finding]:
        """Each address in the text."""
        if text.count(":") < 5 and text.count("-") < 5:
            return
        for match in _MAC.finditer(text):
            if len(set(re.sub("[:-]", "", match[0]))) > 1 and int(match[0][:2], 16) & 1 == 0:
                yield Finding(self.kind, match.start(), match.end(), "likely")
