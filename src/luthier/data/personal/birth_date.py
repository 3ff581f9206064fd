"""Days on which somebody was born."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import NUMBER, Finding

_MONTHS = (
    "jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|"
    "nov(?:ember)?|de[cz](?:ember)?|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|"
    "abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|"
    "ottobre|dicembre|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro"
)
_DATE = (
    r"(?:(?:18|19|20)\d\d[-/.](?:1[0-2]|0?[1-9])[-/.](?:3[01]|[12]\d|0?[1-9])|(?:3[01]|[12]\d|0?[1-9])[-/. ]{1,2}(?:3[01]|[12]\d|0?[1-9])"
    r"[-/. ]{1,2}(?:(?:18|19|20)\d\d|\d\d)"
    rf"|(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th|\.|er|º)?,? (?:of |de |di )?(?:{_MONTHS})\.?,? (?:de |del |of )?(?:18|19|20)\d\d"
    rf"|(?:{_MONTHS})\.? (?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?,? (?:18|19|20)\d\d)(?![A-Za-z0-9_])"
)
# A form's field; and a sentence, which is as often about somebody in a book.
_FIELD = re.compile(
    r"(?<![A-Za-z0-9_])(?:d\.?o\.?b\.?|date[ _]of[ _]birth|birth[ _-]?da(?:te|y)|geburtsdatum|geb\.|date de naissance|fecha de nacimiento|"
    r"data di nascita|data de nascimento|geboortedatum)[\"']?(?: is| was| ist| est| es| è| é)?[ \t]*[:=]?[ \t]*[\"']?(" + _DATE + ")",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?<![A-Za-z0-9_])(?:born(?: in [\w ]{2,30}?)?(?: on)?|geboren(?: am)?|née?(?: le)?|"
    r"nacid[oa](?: el)?|nat[oa](?: il)?|nascid[oa](?: em)?)"
    r"[ \t]+(?:the )?("
    + _DATE
    + ")",
    re.IGNORECASE,
)
# What must be there for any of these words to be.
_BIRTH = (
    "born", "birth", "dob", "d.o.b", "geb", "naissance", "nacim", "nacid", "nascita", "nato", "nata", "nascim", "nascid", "né ", "née ",
)  # fmt: skip
_OWN = re.compile(r"\b(?:i|i'm|my|me|patient|customer|client|applicant|insured|ich|je|yo|io)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class BirthDate:
    """A whole date in the field of a form, or after "born on".

    Likely in a field, and in a sentence about oneself, a patient or a customer; possible in any other sentence, for most
    are about people in books.
    """

    kind: Literal["birth_date"] = "birth_date"
    signs: ClassVar[int] = NUMBER

    def find(self, text: str) -> Iterator[Finding]:
        """The date alone, without the words before it."""
        lower = text.lower()
        if not any(word in lower for word in _BIRTH):
            return
        for match in _FIELD.finditer(text):
            yield Finding(self.kind, match.start(1), match.end(1), "likely", "field")
        for match in _SENTENCE.finditer(text):
            is_own = _OWN.search(text, max(match.start() - 25, 0), match.start())
            yield Finding(self.kind, match.start(1), match.end(1), "likely" if is_own else "possible", "sentence")
