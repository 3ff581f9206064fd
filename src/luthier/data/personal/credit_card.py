"""Numbers of payment cards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.checks import luhn
from luthier.data.personal.finding import DIGITS, Finding, spoken_of

# One separator throughout, and groups as cards print them: 4-4-4-4, 4-6-5, 4-6-4, or none.
_NUMBER = re.compile(
    r"(?<![\w.,/+=#-])(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}|\d{4}([ -])\d{4}\3\d{5})(?![\w/=-]|[.,]\d)",
    re.ASCII,
)
_WORDS = re.compile(r"card|visa|master|amex|maestro|credit|debit|karte|carte|tarjeta|carta|cart[ãa]o|cvv|cvc", re.IGNORECASE)
# Issuers: first and last prefix, and the lengths that they give out (ISO/IEC 7812; the networks' published ranges).
_ISSUERS: tuple[tuple[str, str, str, frozenset[int]], ...] = (
    ("Visa", "4", "4", frozenset((13, 16, 19))),
    ("Mastercard", "51", "55", frozenset((16,))),
    ("Mastercard", "2221", "2720", frozenset((16,))),
    ("American Express", "34", "34", frozenset((15,))),
    ("American Express", "37", "37", frozenset((15,))),
    ("Discover", "6011", "6011", frozenset((16, 19))),
    ("Discover", "644", "659", frozenset((16, 19))),
    ("Diners Club", "300", "305", frozenset((14, 16, 19))),
    ("Diners Club", "36", "36", frozenset((14, 16, 19))),
    ("Diners Club", "38", "39", frozenset((14, 16, 19))),
    ("JCB", "3528", "3589", frozenset((16, 19))),
    ("JCB", "1800", "1800", frozenset((15,))),
    ("JCB", "2131", "2131", frozenset((15,))),
    ("UnionPay", "62", "62", frozenset((16, 17, 18, 19))),
    ("Mir", "2200", "2204", frozenset((16, 19))),
    ("RuPay", "81", "82", frozenset((16,))),
    ("Maestro", "50", "50", frozenset((12, 13, 14, 15, 16, 17, 18, 19))),
    ("Maestro", "56", "58", frozenset((12, 13, 14, 15, 16, 17, 18, 19))),
    ("Maestro", "63", "63", frozenset((12, 13, 14, 15, 16, 17, 18, 19))),
    ("Maestro", "67", "67", frozenset((12, 13, 14, 15, 16, 17, 18, 19))),
)
_NEEDS_WORDS = frozenset({"Maestro", "RuPay"})


@dataclass(frozen=True, kw_only=True)
class CreditCard:
    """Numbers that pass Luhn's check, start as an issuer's do and are as long as that issuer's are.

    Certain where they are grouped as on a card or spoken of as one; a bare run of digits is likely. One of thirteen
    digits or fewer, and those of issuers with wide ranges, need a word about cards nearby: times in milliseconds have
    thirteen.
    """

    kind: Literal["credit_card"] = "credit_card"
    signs: ClassVar[int] = DIGITS

    def find(self, text: str) -> Iterator[Finding]:
        """Each number in the text that could be charged."""
        for match in _NUMBER.finditer(text):
            digits = re.sub(r"[ -]", "", match[0])
            issuer = _issuer(digits)
            if issuer is None or not luhn(digits):
                continue
            said = spoken_of(text, match.start(), match.end(), _WORDS, 60, 30)
            if not said and (issuer in _NEEDS_WORDS or len(digits) <= 13):
                continue
            is_certain = said or len(digits) < len(match[0])
            yield Finding(self.kind, match.start(), match.end(), "certain" if is_certain else "likely", issuer)


def _issuer(digits: str) -> str | None:
    for name, first, last, lengths in _ISSUERS:
        if len(digits) in lengths and first <= digits[: len(first)] <= last:
            return name
    return None
