"""Numbers of documents, which look like any other number: only words before them tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.checks import luhn, weighted
from luthier.data.personal.finding import CODE, DIGITS, Finding

# After the words: "number", "no.", "is", ":" or "#", in this order, each or none of them.
_LINK = (
    r"(?:'s)?[ \t]*(?:numbers?|num\.?|no\.?|nr\.?|nummer|num[ée]ro|n[úu]mero|n[°º])?[ \t]*(?:\([^)\n]{1,20}\))?[ \t]*"
    r"(?:is|was|are|ist|est|es|è|é)?[ \t]*[:=#]?[ \t]*"
)
_PASSPORT = re.compile(
    r"(?<![A-Za-z0-9_])(?:passports?|reisepass|passeport|pasaporte|passaporto|passaporte)"
    + _LINK
    + r"([A-Z0-9]{6,9})(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"(?<![A-Za-z0-9_])(?:driv(?:er|ing)(?:'?s)? licen[cs]es?|driver licen[cs]e|d\.?l\.?(?=[ ]?(?:#|no|num))|f[üu]hrerschein|"
    r"permis de conduire|(?:licencia|permiso) de conducir|patente di guida|carta de condu[çc][ãa]o)"
    + _LINK
    + r"([A-Z0-9](?:[A-Z0-9]|[ -](?=[A-Z0-9]*\d)){4,18}[A-Z0-9])(?![A-Za-z0-9_-])",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"(?<![A-Za-z0-9_])(?:(?:bank |checking |savings? |current |credit )?(?:account|acct|a/c)|kontonummer|konto|compte|cuenta|conto)"
    + _LINK
    + r"(\d(?:[ -]?\d){5,16})(?![A-Za-z0-9_-]|[.,]\d)",
    re.IGNORECASE,
)
_ROUTING = re.compile(r"(?<![A-Za-z0-9_])(?:routing|aba|rtn)(?: transit)?" + _LINK + r"(\d{9})(?![A-Za-z0-9_])", re.IGNORECASE)
_SORT_CODE = re.compile(r"(?<![A-Za-z0-9_])sort[ -]code" + _LINK + r"(\d\d[ -]?\d\d[ -]?\d\d)(?![A-Za-z0-9_])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Passport:
    """Six to nine letters and digits, two of them digits, right after "passport" or what other languages call it."""

    kind: Literal["passport"] = "passport"
    signs: ClassVar[int] = CODE | DIGITS

    def find(self, text: str) -> Iterator[Finding]:
        """The number alone."""
        for match in _PASSPORT.finditer(text):
            if sum(one.isdigit() for one in match[1]) >= 2:
                yield Finding(self.kind, match.start(1), match.end(1), "likely")


@dataclass(frozen=True, kw_only=True)
class DriverLicence:
    """Letters and digits, four of them digits, right after "driver's licence" or what other languages call it."""

    kind: Literal["driver_licence"] = "driver_licence"
    signs: ClassVar[int] = CODE | DIGITS

    def find(self, text: str) -> Iterator[Finding]:
        """The number alone."""
        for match in _LICENCE.finditer(text):
            if sum(one.isdigit() for one in match[1]) >= 4:
                yield Finding(self.kind, match.start(1), match.end(1), "likely")


@dataclass(frozen=True, kw_only=True)
class BankAccount:
    """Account numbers, American routing numbers (whose check digit fits) and British sort codes, right after the words for them."""

    kind: Literal["bank_account"] = "bank_account"
    signs: ClassVar[int] = DIGITS

    def find(self, text: str) -> Iterator[Finding]:
        """The number alone; one that is a card's is left to the cards."""
        for match in _ACCOUNT.finditer(text):
            digits = re.sub(r"\D", "", match[1])
            if len(digits) < 15 or not luhn(digits):
                yield Finding(self.kind, match.start(1), match.end(1), "likely", "account")
        for match in _ROUTING.finditer(text):
            if weighted(match[1], (3, 7, 1, 3, 7, 1, 3, 7, 1)) % 10 == 0:
                yield Finding(self.kind, match.start(1), match.end(1), "certain", "routing number")
        for match in _SORT_CODE.finditer(text):
            yield Finding(self.kind, match.start(1), match.end(1), "likely", "sort code")
