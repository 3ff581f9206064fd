"""Numbers of telephones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import DIGITS, Certainty, Finding

_NUMBER = re.compile(
    r"(?<![\w.,/#$€£=+-])(?<!\d:)\+?(?:\(\+?\d{1,5}\)|\d)(?:[\d().\u2010-\u2013\u00a0 /-]{4,24})\d(?![a-wyzA-Z\d_%]|x(?!\d)|[.,]\d|[-/]\w)"
    r"(?:[ ,;]{0,2}(?:x|ext\.?|extension|Durchwahl|poste)[ .:]{0,2}\d{1,6}\b)?",
    re.ASCII,
)
# Where digits stand close together: a search from each character on would take ten times as long.
_CLUSTER = re.compile(r"[0-9](?:[ ().\u00a0\u2010-\u2013/+-]{0,3}[0-9]){5,}")
_EXTENSION = re.compile(r"[ ,;]*[A-Za-z].*$")
_WORDS = re.compile(
    r"(?<![A-Za-z])(?:(?:tele)?phone|tel|mobile|cell|cellular|call|fax|whatsapp|sms|dial|hotline|ring|text|telefon\w*|handy|mobil|t[ée]l[ée]phone|"
    r"portable|appel\w*|tel[ée]fono|m[óo]vil|celular|cellulare|telefone|"
    r"chiama\w*|llam\w*)(?![A-Za-z])|電話|电话|手机|携帯|전화|휴대폰",
    re.IGNORECASE,
)
# What a number nearer to these words is instead.
_OTHERS = re.compile(
    r"(?<![A-Za-z])(?:account|acct|order|card|invoice|isbn|issn|doi|ssn|social|iban|zip|code|id|version|serial|case|ticket|reference|tracking|konto\w*|"
    r"passport|licen[cs]e|population|year|page|patent|routing|vat|tax)(?![A-Za-z])",
    re.IGNORECASE,
)
_NO_PHONE = re.compile(
    r"(?:\d{4}([-/. ])\d{1,2}\1\d{1,2}|\d{1,2}([-/. ])\d{1,2}\2\d{2,4}"  # dates
    r"|(?:1[4-9]|20)\d\d ?[-/\u2010-\u2013 ] ?(?:1[4-9]|20)\d\d"  # spans of years
    r"|\d+\.\d+|\d{1,3}(?:([., \u00a0])\d{3})(?:\3\d{3})*|\d{1,4}/\d{1,4}"  # decimals, thousands, fractions
    r"|\d{1,3}(?:\.\d{1,3}){3}|\d{3}-\d{2}-\d{4}"  # machines, social security
    r"|97[89][- ]?(?:\d[- ]?){9}[\dX])(?: .*)?"  # books
)
_SPACED = re.compile(r"\d [-\u2010-\u2013/] ?\(?\d|\d[ ]?[./][ ]|  |(?:^|[ .-])\d[ .-]\d[ .-]\d[ .-]\d[ .-]")
_MOST_GROUPS = 6
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}")
_NATIONAL_PREFIX_0 = re.compile(r"\(?0")


@dataclass(frozen=True, kw_only=True)
class Phone:
    """Numbers that the plans of the countries know (Google's libphonenumber), or that are spoken of as telephone numbers.

    Certain: international, with "+" or "00", and in use. Likely: international and as long as the country's are; in use in
    one of `regions` and written in groups or spoken of ("call", "tel"); or so spoken of and as long as telephone numbers
    are, though no plan of `regions` knows it. Possible: a bare run of digits that happens to be in use.
    """

    kind: Literal["phone"] = "phone"
    regions: tuple[str, ...] = ("US", "GB")
    signs: ClassVar[int] = DIGITS

    def find(self, text: str) -> Iterator[Finding]:
        """Each number in the text; dates, spans of years, decimals, thousands, books and machines are left alone."""
        for cluster in _CLUSTER.finditer(text):
            yield from self._in_cluster(text, max(cluster.start() - 3, 0), cluster.end())

    def _in_cluster(self, text: str, start: int, end: int) -> Iterator[Finding]:
        until = min(end + 24, len(text))
        while (match := _NUMBER.search(text, start, until)) and match.start() < end:
            said = _is_spoken_of(text, match.start())
            start = match.end() if " " not in match[0] else match.start() + match[0].index(" ")
            for written, its_end in _readings(match):
                certainty = self._judged(written, said)
                if certainty is not None:
                    yield Finding(self.kind, match.start(), its_end, certainty)
                    start = its_end
                    break

    def _judged(self, written: str, is_said: bool) -> Certainty | None:
        n_digits = sum(one.isdigit() for one in written)
        if not 7 <= n_digits <= 17 or written.count("(") != written.count(")"):
            return None
        if written.startswith("+") or (written.startswith("00") and n_digits >= 10):
            plus = "+" + written.lstrip("+0(")
            if _in_use(plus, None):
                return "certain"
            return "likely" if is_said or (n_digits >= 10 and _could_be(plus)) else None
        if _SPACED.search(written) or _NO_PHONE.fullmatch(written) or n_digits > 15:
            return None
        if "US" in self.regions and _NORTH_AMERICAN.fullmatch(written):
            return "likely"  # three, three and four digits are hardly anything else, though nobody has area code 555
        is_grouped = not written.isdigit()
        if any(_in_use(written, region) for region in self.regions):
            return "likely" if is_grouped or is_said else "possible"
        return "likely" if is_said and n_digits <= 13 else None


def _readings(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """The number with where it ends: as long as it is written, then with a group less at a time, for another number may follow it."""
    written = _EXTENSION.sub("", match[0]).rstrip()
    yield written, match.end()
    for _ in range(_MOST_GROUPS):
        written = written.rpartition(" ")[0].rstrip()
        if len(written) < 7:
            return
        yield written, match.start() + len(written)


def _is_spoken_of(text: str, start: int) -> bool:
    """Whether the nearest word before that says what a number is says that it is a telephone's."""
    before = text[max(start - 35, 0) : start]
    said = list(_WORDS.finditer(before))
    other = list(_OTHERS.finditer(before))
    return bool(said) and (not other or other[-1].start() < said[-1].start())


def _in_use(written: str, region: str | None) -> bool:
    """Whether the plan of a region, or of the country that the number names, gives such a number out."""
    import phonenumbers

    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return False
    if region is not None and phonenumbers.ndd_prefix_for_region(region, True) == "0" and not _NATIONAL_PREFIX_0.match(written):
        return False
    return bool(phonenumbers.is_valid_number(number) if region is None else phonenumbers.is_valid_number_for_region(number, region))


def _could_be(written: str) -> bool:
    """Whether an international number names a country and is as long as that country's are, though its plan has no such numbers."""
    import phonenumbers

    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(written, None)))
    except phonenumbers.NumberParseException:
        return False


def unknown_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    """Those that no plan is known for; regions are ISO 3166 codes such as "DE"."""
    import phonenumbers

    return tuple(one for one in regions if one not in phonenumbers.SUPPORTED_REGIONS)
