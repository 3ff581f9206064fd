"""Postal addresses, as far as their form tells: a number and the word for a street, a box, a town with its code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import WORDS, Finding

_WORD = r"[A-ZÀ-ÖØ-Þ0-9][\w'’.-]{0,30}"
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Place|Pl|Terrace|Ter|Parkway|Pkwy|Highway|Hwy|"
    r"Circle|Cir|Crescent|Close|Way|Trail|Row|Gardens|Grove|Mews|Alley|Plaza|Walk|Hill)\b\.?"
)
_UNIT = r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Room|Rm)\.? ?#?[A-Z0-9-]{1,6}| ?#\d{1,5})?"
_UK = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}"
# After the street: a town, then a code; each on the same line or on the next one.
_CODE = rf"(?:[A-Z]{{2}}[ ,]+\d{{5}}(?:-\d{{4}})?|{_UK}|\d{{4,6}})"
_TOWN = rf"(?:[ ]?[,\n] ?\d{{4,6}} {_WORD}(?: {_WORD})?|[ ]?[,\n][ \n]?(?:{_WORD}[ ]?){{1,4}}[,\n]? ?{_CODE})?"
_ENGLISH = re.compile(
    r"(?<![\w$€£.,/-])\d{1,5}[A-Za-z]?(?:-\d{1,4})?,? (?:[NSEW]\.?|North|South|East|West)? ?"
    rf"(?:{_WORD} ){{1,4}}{_STREET}(?! of\b){_UNIT}{_TOWN}"
)
_GERMAN = re.compile(
    rf"(?<!\w)(?:{_WORD} )?[A-ZÄÖÜ][\wäöüß.-]{{1,30}}(?:stra(?:ß|ss)e|str\.|gasse|weg|platz|allee|ufer|damm|ring)"
    rf" \d{{1,4}} ?[a-z]?\b{_TOWN}"
)
_ROMANCE = re.compile(
    rf"(?<![\w.,/-])(?:\d{{1,4}}(?: (?:bis|ter))?,? (?i:rue|avenue|boulevard|bd|place|quai|impasse|chemin|allée) "
    rf"(?:(?:de|du|des|la|le|les|l'|d'|à|aux|et) ?){{0,3}}{_WORD}(?:[ -]{_WORD}){{0,4}}"
    rf"|(?:[Cc]alle|[Cc]/|[Aa]venida|Avda\.|[Pp]laza|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Rr]ua) "
    rf"(?:(?:de|del|della|dei|la|las|los|do|da|dos) ){{0,3}}{_WORD}"
    rf"(?: (?:(?:de|del|di|da) )?{_WORD}){{0,3}},? (?:n[.ºo°]? ?)?\d{{1,4}}\b){_TOWN}"
)
_BOX = re.compile(rf"(?<!\w)(?:P\.? ?O\.? ?Box|Postfach|Apartado(?: de Correos)?|BP|CP) \d{{1,6}}\b{_TOWN}")


@dataclass(frozen=True, kw_only=True)
class PostalAddress:
    """A house's number with the word for a street (English, German, French, Spanish, Italian, Portuguese), or a post-office box.

    Likely with a town and its code, possible without: a museum has an address too, and nothing in the form tells whose
    it is. Addresses of other forms, and towns alone, are not found; that takes a model.
    """

    kind: Literal["postal_address"] = "postal_address"
    signs: ClassVar[int] = WORDS

    def find(self, text: str) -> Iterator[Finding]:
        """Each address, from the house to the town's code."""
        if not any("0" <= one <= "9" for one in text):
            return
        for pattern in (_ENGLISH, _GERMAN, _ROMANCE, _BOX):
            for match in pattern.finditer(text):
                tail = match[0][-14:]
                is_whole = match[0].count(",") + match[0].count("\n") > 0 and sum(one.isdigit() for one in tail) >= 2
                end = match.end() - (len(match[0]) - len(match[0].rstrip(" ,\n")))
                yield Finding(self.kind, match.start(), end, "likely" if is_whole else "possible")
