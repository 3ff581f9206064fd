"""International bank account numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.checks import mod_97
from luthier.data.personal.finding import CODE, DIGITS, Finding

# The SWIFT IBAN registry's lengths by country.
_LENGTHS = {
    code: n
    for n, codes in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL SD FK", 19: "MK SI", 20: "AT BA EE XK KZ LT LU MN",
        21: "HR LV LI CH", 22: "BH BG CR GE DE IE ME RS GB VA", 23: "TL GI IQ IL OM SO AE",
        24: "AD CZ MD PK RO SA SK ES SE TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MR MC SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d\d(?=[ -]?[A-Za-z0-9])", re.ASCII)
_CHARACTER = re.compile(r"[ -]?([A-Za-z0-9])")


@dataclass(frozen=True, kw_only=True)
class Iban:
    """Numbers as long as their country's are, whose check digits fit (ISO 13616, MOD 97-10); spaces and hyphens allowed."""

    kind: Literal["iban"] = "iban"
    signs: ClassVar[int] = CODE | DIGITS

    def find(self, text: str) -> Iterator[Finding]:
        """Each account number in the text."""
        for match in _START.finditer(text):
            n_wanted = _LENGTHS.get(match[0][:2].upper())
            if n_wanted is None:
                continue
            characters, end = list(match[0].upper()), match.end()
            while len(characters) < n_wanted and (more := _CHARACTER.match(text, end)):
                characters.append(more[1].upper())
                end = more.end()
            follows = text[end : end + 1]
            if len(characters) < n_wanted or (follows.isalnum() and follows.isascii()):
                continue
            account = "".join(characters)
            if mod_97(account[4:] + account[:4]):
                yield Finding(self.kind, match.start(), end, "certain", account[:2])
