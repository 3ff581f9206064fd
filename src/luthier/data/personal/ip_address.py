"""Addresses of machines on the internet."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import NUMBER, Finding, spoken_of

_V4 = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![\w-]|\.\d)", re.ASCII)
_DOTTED = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]")
_V6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}[0-9A-Fa-f:]{1,30}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:]|\.\d)", re.ASCII)
_VERSION = re.compile(r"(?:\bv|version|release|build|firmware|driver|section|chapter|clause|§)[ .:]*$", re.IGNORECASE)
# Documentation (RFC 5737, 3849): they stand for no machine.
_EXAMPLES = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))


@dataclass(frozen=True, kw_only=True)
class IpAddress:
    """Addresses of version 4 and 6 that belong to a machine.

    Likely where they are public; possible where they are private, link-local or kept for examples. Loopback, masks,
    broadcast and multicast addresses are nobody's. What follows "version" and the like is a version.
    """

    kind: Literal["ip_address"] = "ip_address"
    signs: ClassVar[int] = NUMBER

    def find(self, text: str) -> Iterator[Finding]:
        """Each address in the text."""
        if _DOTTED.search(text):
            for match in _V4.finditer(text):
                if not spoken_of(text, match.start(), match.end(), _VERSION, 12):
                    yield from self._judged(match)
        if text.count(":") >= 2:
            for match in _V6.finditer(text):
                yield from self._judged(match)

    def _judged(self, match: re.Match[str]) -> Iterator[Finding]:
        written = match[0]
        while written.endswith(":") and not written.endswith("::"):
            written = written[:-1]
        try:
            address = ipaddress.ip_address(written)
        except ValueError:
            return
        if address.is_loopback or address.is_unspecified or address.is_multicast or (address.version == 4 and address in _MASKS):
            return
        # "a::b" is written in programs too; the internet's own addresses begin with 2 or 3, those of a house with f.
        if address.version == 6 and not (address in _GLOBAL_V6 or address.is_private or address.is_link_local):
            return
        if address.version == 6 and written.count(":") < 3 and not address.is_global:
            return
        is_public = address.is_global and not any(address.version == one.version and address in one for one in _EXAMPLES)
        yield Finding(self.kind, match.start(), match.start() + len(written), "likely" if is_public else "possible", f"v{address.version}")


_MASKS = ipaddress.ip_network("255.0.0.0/8")
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
