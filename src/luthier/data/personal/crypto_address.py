"""Addresses of wallets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.checks import base58_check, bech32
from luthier.data.personal.finding import RUN, Finding

_BASE58 = re.compile(r"(?<![A-Za-z0-9])[13LMDTX29A][1-9A-HJ-NP-Za-km-z]{25,34}(?![A-Za-z0-9])")
_BECH32 = re.compile(r"(?<![A-Za-z0-9])(?:bc|ltc|BC|LTC)1[02-9A-Za-z]{11,71}(?![A-Za-z0-9])")
_ETHEREUM = re.compile(r"(?<![A-Za-z0-9])0x[0-9A-Fa-f]{40}(?![A-Za-z0-9])")
# First byte of the payload, which is 21 bytes long.
_VERSIONS = {
    0x00: "Bitcoin", 0x05: "Bitcoin", 0x30: "Litecoin", 0x32: "Litecoin", 0x1E: "Dogecoin", 0x16: "Dogecoin", 0x41: "Tron", 0x4C: "Dash",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CryptoAddress:
    """Base58Check and Bech32 addresses whose checksum fits are certain; twenty bytes after "0x" are likely Ethereum's."""

    kind: Literal["crypto_address"] = "crypto_address"
    signs: ClassVar[int] = RUN

    def find(self, text: str) -> Iterator[Finding]:
        """Each address in the text."""
        for match in _BASE58.finditer(text):
            payload = base58_check(match[0])
            if payload is not None and len(payload) == 21 and payload[0] in _VERSIONS:
                yield Finding(self.kind, match.start(), match.end(), "certain", _VERSIONS[payload[0]])
        for match in _BECH32.finditer(text):
            if bech32(match[0]):
                yield Finding(self.kind, match.start(), match.end(), "certain", "Bitcoin" if match[0][0] in "bB" else "Litecoin")
        for match in _ETHEREUM.finditer(text):
            if len(set(match[0][2:].lower())) > 4:
                yield Finding(self.kind, match.start(), match.end(), "likely", "Ethereum")
