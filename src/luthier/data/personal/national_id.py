"""Numbers that a state gives to a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal import national_checks as rules
from luthier.data.personal.finding import CODE, DIGITS, Certainty, Finding, spoken_of


@dataclass(frozen=True, slots=True)
class _Issued:
    """How a country's numbers look and what holds of them.

    `alone` says how certain one is without words around it, None where it counts only beside one of `words`; beside
    them it is certain.
    """

    what: str
    form: re.Pattern[str]
    rule: rules.Rule
    alone: Certainty | None
    words: re.Pattern[str] | None = None


def _issued(what: str, form: str, rule: rules.Rule, alone: Certainty | None, words: str = "") -> _Issued:
    said = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W\d_])", re.IGNORECASE) if words else None
    return _Issued(what, re.compile(rf"(?<![\w.,/+-])(?:{form})(?![\w/]|[.,-]\w)", re.ASCII), rule, alone, said)


_DATE = r"\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_DAY_FIRST = r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d"
_SSN_WORDS = r"ssn|ss#|soc(?:ial)? sec(?:urity)?|social"
_NORWEGIAN = r"f[øo]dsels\w*|person\w*|fnr"
ISSUED: tuple[_Issued, ...] = (
    _issued("us_ssn", r"\d{3}-\d\d-\d{4}", rules.us_ssn, "likely", _SSN_WORDS),
    _issued("us_ssn", r"\d{3} ?\d\d ?\d{4}", rules.us_ssn, None, _SSN_WORDS),
    _issued("us_itin", r"9\d\d-\d\d-\d{4}", rules.us_itin, "likely", r"itin|tax(?:payer)?"),
    _issued(
        "gb_nino", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]",
        rules.gb_nino, "likely", r"nino?|national insurance",
    ),
    _issued("gb_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", rules.gb_nhs, None, r"nhs"),
    _issued("es_nif", r"(?:\d{8}(?!-?[BGKMT])|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]", rules.es_nif, "likely", r"nif|dni|nie"),
    _issued("es_nif", r"\d{8}-?[BGKMT]", rules.es_nif, None, r"nif|dni|nie"),  # alone, it is as often a size in kilobytes
    _issued(
        "it_codice_fiscale", r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
        rules.it_codice_fiscale, "certain",
    ),
    _issued(
        "fr_nir", r"[1-478] ?\d\d ?(?:0[1-9]|[1-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3}[ -]?\d\d",
        rules.fr_nir, "likely", r"s[ée]cu(?:rit[ée] sociale)?|nir|insee",
    ),
    _issued("de_idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", rules.de_idnr, None, r"steuer\S{0,25}|idnr\.?|id-nr\.?|tin|tax"),
    _issued("nl_bsn", r"\d{3}\.?\d{3}\.?\d{3}|\d{4}\.\d\d\.\d{3}", rules.nl_bsn, None, r"bsn|burgerservice\w*|sofi\w*"),
    _issued("be_national", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", rules.be_national, "certain"),
    _issued("be_national", r"\d{11}", rules.be_national, None, r"rijksregister\w*|registre national|insz|niss"),
    _issued("pl_pesel", r"\d{11}", rules.pl_pesel, None, r"pesel"),
    _issued("se_personnummer", rf"(?:19|20)?{_DATE}[-+]\d{{4}}", rules.se_personnummer, "likely", r"person\w*|pnr"),
    _issued("fi_hetu", rf"{_DAY_FIRST}[-+ABCDEFUVWXY]\d{{3}}[0-9A-FHJ-NPR-Y]", rules.fi_hetu, "certain"),
    _issued("no_fodselsnummer", rf"{_DAY_FIRST} \d{{5}}", rules.no_fodselsnummer, "likely", _NORWEGIAN),
    _issued("no_fodselsnummer", rf"{_DAY_FIRST}\d{{5}}", rules.no_fodselsnummer, None, _NORWEGIAN),
    _issued("dk_cpr", rf"{_DAY_FIRST}-?\d{{4}}", rules.dk_cpr, None, r"cpr(?:-?n\w+)?|person\w*"),
    _issued("pt_nif", r"\d{3} ?\d{3} ?\d{3}", rules.pt_nif, None, r"nif|contribuinte"),
    _issued("ch_ahv", r"756\.?\d{4}\.?\d{4}\.?\d\d", rules.ch_ahv, "certain"),
    _issued("ie_pps", r"\d{7}[A-W][A-IW]?", rules.ie_pps, "likely", r"ppsn?"),
    _issued("ro_cnp", rf"[1-8]{_DATE}\d{{6}}", rules.ro_cnp, "likely", r"cnp"),
    _issued("cz_rodne_cislo", r"\d{6}/\d{4}", rules.cz_rodne_cislo, "likely", r"rodn[ée]\w*|r\.?č"),
    _issued("gr_amka", rf"{_DAY_FIRST}\d{{5}}", rules.gr_amka, None, r"amka|αμκα"),
    _issued("bg_egn", r"\d{10}", rules.bg_egn, None, r"egn|егн"),
    _issued("ee_isikukood", rf"[1-6]{_DATE}\d{{4}}", rules.ee_isikukood, None, r"isikukood|asmens kod\w*"),
    _issued("hr_oib", r"\d{11}", rules.hr_oib, None, r"oib"),
    _issued("br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d", rules.br_cpf, "certain"),
    _issued("br_cpf", r"\d{11}", rules.br_cpf, None, r"cpf"),
    _issued("cl_rut", r"\d{1,2}\.\d{3}\.\d{3}-[0-9Kk]", rules.cl_rut, "likely", r"ru[tn]"),
    _issued("mx_curp", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", rules.mx_curp, "certain"),
    _issued("ca_sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", rules.ca_sin, None, r"sin|social insurance|nas"),
    _issued("au_tfn", r"\d{3} ?\d{3} ?\d{3}", rules.au_tfn, None, r"tfn|tax file"),
    _issued("cn_resident", r"\d{6}(?:18|19|20)\d{9}[0-9Xx]", rules.cn_resident, "certain"),
    _issued("kr_rrn", rf"{_DATE}-[1-8]\d{{6}}", rules.kr_rrn, "likely", r"rrn|resident"),
    _issued("jp_my_number", r"\d{4}[ -]?\d{4}[ -]?\d{4}", rules.jp_my_number, None, r"my ?number|マイナンバー|個人番号"),
    _issued("in_aadhaar", r"[2-9]\d{3}([ -])\d{4}\1\d{4}", rules.in_aadhaar, "likely", r"aadha+r|uid(?:ai)?"),
    _issued("in_aadhaar", r"[2-9]\d{11}", rules.in_aadhaar, None, r"aadha+r|uid(?:ai)?"),
    _issued("in_pan", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", rules.any_number, "likely", r"pan"),
    _issued("sg_nric", r"[STFGM]\d{7}[A-Z]", rules.sg_nric, "likely", r"nric|fin"),
    _issued("hk_id", r"[A-Z]{1,2}\d{6}\([0-9A]\)", rules.hk_id, "certain"),
    _issued("th_pin", r"\d-\d{4}-\d{5}-\d\d-\d", rules.th_pin, "certain"),
    _issued("il_id", r"\d{9}", rules.il_id, None, r"teudat zehut|תעודת זהות|ת\.ז\.?"),
    _issued("tr_kimlik", r"[1-9]\d{10}", rules.tr_kimlik, None, r"t\.?c\.?|kimlik"),
    _issued("za_id", rf"{_DATE}\d{{7}}", rules.za_id, "likely", r"id|identity"),
)  # fmt: skip
"""Every number that is known, most with a rule of its own."""

_SEPARATORS = re.compile(r"[ ./()-]")
# Where to look: six digits with at most two other signs between them, and what may stand around them; the rest by its capitals.
_CLUSTER = re.compile(r"[0-9](?:[A-Za-z ./()-]{0,2}[0-9]){5,}")
_BEFORE, _AFTER = 8, 12
_CAPITALS = re.compile(r"[A-Z]{4}[A-Z0-9]{5}")
_GOES_ON = re.compile(r"[\w/]|[.,-]\w", re.ASCII)
_FEW_DIGITS = frozenset({"in_pan", "it_codice_fiscale", "mx_curp"})
_WITH_DIGITS = tuple(one for one in ISSUED if one.what not in _FEW_DIGITS)
_WITH_LETTERS = tuple(one for one in ISSUED if one.what in _FEW_DIGITS)
_KEPT_SIGNS = frozenset({"fi_hetu"})


@dataclass(frozen=True, kw_only=True)
class NationalId:
    """Numbers of persons from some forty registers, by form and check digits.

    Where the rule alone would let one number in ten pass, or there is none, a word for the number has to stand nearby.
    """

    kind: Literal["national_id"] = "national_id"
    signs: ClassVar[int] = DIGITS | CODE

    def find(self, text: str) -> Iterator[Finding]:
        """Each number that could have been issued."""
        for cluster in _CLUSTER.finditer(text):
            start, end = max(cluster.start() - _BEFORE, 0), min(cluster.end() + _AFTER, len(text))
            for one in _WITH_DIGITS:
                yield from self._all(one, text, start, end)
        for one in _WITH_LETTERS if _CAPITALS.search(text) else ():
            yield from self._all(one, text, 0, len(text))

    def _all(self, one: _Issued, text: str, start: int, end: int) -> Iterator[Finding]:
        """Each of a country's numbers in a stretch of the text."""
        for match in one.form.finditer(text, start, end):
            if match.end() < end or end == len(text) or not _GOES_ON.match(text, end):
                if not one.rule(bare(one.what, match[0])):
                    continue
                if one.words is not None and spoken_of(text, match.start(), match.end(), one.words, 40, 20):
                    yield Finding(self.kind, match.start(), match.end(), "certain", one.what)
                elif one.alone is not None:
                    yield Finding(self.kind, match.start(), match.end(), one.alone, one.what)


def bare(what: str, written: str) -> str:
    """A number as its rule takes it: without separators, in capitals; in Finland's, the separator is part of it."""
    return written if what in _KEPT_SIGNS else _SEPARATORS.sub("", written).upper()
