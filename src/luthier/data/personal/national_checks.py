"""The rules by which countries make the numbers of people; each takes digits and capitals without separators.

Sources are the issuers' own descriptions; every rule is held against python-stdnum in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from luthier.data.personal.checks import is_date, is_short_date, luhn, mod_11_2, mod_11_10, verhoeff, weighted

_FI_CHECK = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ES_CHECK = "TRWAGMYFPDXBNJZSQVHLCKE"
_IE_CHECK = "WABCDEFGHIJKLMNOPQRSTUV"
_IT_ODD = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
        strict=True,
    )
)
_IT_DIGITS = str.maketrans("LMNPQRSTUV", "0123456789")
_MX_ALPHABET = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ"
_CN_PROVINCES = frozenset(
    (
        "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44", "45", "46", "50",
        "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82", "83",
    )
)  # fmt: skip
_MISUSED_SSN = frozenset({"078051120", "219099999", "457555462"})


def us_ssn(number: str) -> bool:
    """Area not 000, 666 or from 900; group not 00; serial not 0000 (SSA, since 2011); not one that was printed in advertisements."""
    area, group, serial = number[:3], number[3:5], number[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and number not in _MISUSED_SSN


def us_itin(number: str) -> bool:
    """Begins with 9; fourth and fifth digit 50–65, 70–88, 90–92 or 94–99 (IRS)."""
    group = int(number[3:5])
    return number[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def gb_nino(number: str) -> bool:
    """Prefixes that HMRC does not give out are left out."""
    return number[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def gb_nhs(number: str) -> bool:
    """Weights 10 to 2, modulus 11."""
    return weighted(number, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0 and len(set(number)) > 1


def es_nif(number: str) -> bool:
    """The number modulo 23 names the letter; X, Y and Z of foreigners stand for 0, 1 and 2."""
    return _ES_CHECK[int(number[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == number[-1]


def it_codice_fiscale(number: str) -> bool:
    """Odd and even places count differently; the sum modulo 26 names the last letter. Month and day must be some."""
    day = int(number[9:11].translate(_IT_DIGITS))
    even = sum(int(one) if one.isdigit() else int(one, 36) - 10 for one in number[1:15:2])
    total = even + sum(_IT_ODD[one] for one in number[0:15:2])
    return (1 <= day <= 31 or 41 <= day <= 71) and chr(ord("A") + total % 26) == number[15]


def fr_nir(number: str) -> bool:
    """97 − number modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    counted = number[:13].replace("2A", "19").replace("2B", "18") if number[5:7] in ("2A", "2B") else number[:13]
    return counted.isdigit() and 97 - int(counted) % 97 == int(number[13:])


def de_idnr(number: str) -> bool:
    """MOD 11,10; of the first ten digits one stands twice or three times (never thrice in a row), no other more than once."""
    counts = sorted(number[:10].count(one) for one in set(number[:10]))
    is_mixed = counts[-1] in (2, 3) and counts[:-1] == [1] * (len(counts) - 1) and not re.search(r"(\d)\1\1", number[:10])
    return number[0] != "0" and is_mixed and mod_11_10(number)


def nl_bsn(number: str) -> bool:
    """The eleven test, the last digit counted negatively."""
    return int(number) > 0 and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def be_national(number: str) -> bool:
    """97 − number modulo 97, with a 2 before it for those born from 2000 on; month and day must be some, or unknown."""
    month, day = int(number[2:4]) % 20, int(number[4:6])
    fits = any(97 - int(before + number[:9]) % 97 == int(number[9:]) for before in ("", "2"))
    return fits and (month == 0 or (month <= 12 and day <= 31))


def pl_pesel(number: str) -> bool:
    """Weights 1, 3, 7, 9; the month counts the century in twenties."""
    month = int(number[2:4])
    century = (1900, 2000, 2100, 2200, 1800)[month // 20]
    is_day = is_date(century + int(number[:2]), month % 20, int(number[4:6]))
    return is_day and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def se_personnummer(number: str) -> bool:
    """A date and Luhn's check over the last ten digits."""
    short = number[-10:]
    return is_short_date(short[:2], short[2:4], short[4:6]) and luhn(short)


def fi_hetu(number: str) -> bool:
    """Day, month, year, and the whole modulo 31; the sign of the century stands in the middle."""
    return is_short_date(number[4:6], number[2:4], number[:2]) and _FI_CHECK[int(number[:6] + number[7:10]) % 31] == number[10]


def no_fodselsnummer(number: str) -> bool:
    """A date, and two check digits modulo 11."""
    return (
        is_short_date(number[4:6], number[2:4], number[:2])
        and weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def dk_cpr(number: str) -> bool:
    """A date; there is no check digit since 2007."""
    return is_short_date(number[4:6], number[2:4], number[:2])


def pt_nif(number: str) -> bool:
    """Weights 9 to 2, modulus 11, ten counted as zero."""
    return number[0] != "0" and (11 - weighted(number, range(9, 1, -1)) % 11) % 11 % 10 == int(number[8])


def ch_ahv(number: str) -> bool:
    """The check digit of a European article number."""
    return weighted(number, (1, 3) * 6 + (1,)) % 10 == 0


def ie_pps(number: str) -> bool:
    """Weights 8 to 2 over the digits, 9 over a second letter; modulo 23 names the first letter."""
    second = _IE_CHECK.index(number[8]) * 9 if len(number) == 9 and number[8] in _IE_CHECK else 0
    return _IE_CHECK[(weighted(number[:7], range(8, 1, -1)) + second) % 23] == number[7]


def ro_cnp(number: str) -> bool:
    """Sex and century, a date, a county, and a check digit modulo 11."""
    total = weighted(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    county = int(number[7:9])
    is_county = 1 <= county <= 48 or county in (51, 52, 70, 80, 81, 82, 83)
    return is_short_date(number[1:3], number[3:5], number[5:7]) and is_county and (1 if total == 10 else total) == int(number[12])


def cz_rodne_cislo(number: str) -> bool:
    """A date (50 on the month for women, 20 for full series), and the ten digits a multiple of 11, ten counted as zero."""
    month = int(number[2:4]) % 50
    is_day = is_short_date(number[:2], f"{month - 20 if month > 20 else month:02}", number[4:6])
    return is_day and int(number[:9]) % 11 % 10 == int(number[9])


def gr_amka(number: str) -> bool:
    """A date and Luhn's check."""
    return is_short_date(number[4:6], number[2:4], number[:2]) and luhn(number)


def bg_egn(number: str) -> bool:
    """A date (the month tells the century), and a check digit modulo 11."""
    month = int(number[2:4])
    century = 2000 if month > 40 else 1800 if month > 20 else 1900
    fits = weighted(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(number[9])
    return fits and is_date(century + int(number[:2]), month % 20, int(number[4:6]))


def ee_isikukood(number: str) -> bool:
    """Sex and century, a date, and a check digit modulo 11 with two sets of weights; the same in Lithuania."""
    total = weighted(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    total = weighted(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 if total == 10 else total
    year = 1800 + (int(number[0]) - 1) // 2 * 100 + int(number[1:3])
    return is_date(year, int(number[3:5]), int(number[5:7])) and total % 10 == int(number[10])


def br_cpf(number: str) -> bool:
    """Two check digits modulo 11, ten counted as zero; numbers of one digit throughout are not given out."""
    first = weighted(number, range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(number, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(number)) > 1 and number[9:] == f"{first}{second}"


def cl_rut(number: str) -> bool:
    """Weights 2 to 7 from the right, modulus 11, ten written K."""
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(number[:-1])))
    return "0123456789K0"[11 - total % 11] == number[-1]


def mx_curp(number: str) -> bool:
    """A date, and a check digit from places 18 down to 2 over an alphabet with Ñ."""
    total = sum(_MX_ALPHABET.index(one) * (18 - place) for place, one in enumerate(number[:17]))
    return is_short_date(number[4:6], number[6:8], number[8:10]) and (10 - total % 10) % 10 == int(number[17])


def ca_sin(number: str) -> bool:
    """Luhn's check; none begins with 0 or 8."""
    return number[0] not in "08" and luhn(number)


def au_tfn(number: str) -> bool:
    """Weights 1, 4, 3, 7, 5, 8, 6, 9, 10, modulus 11."""
    return weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def cn_resident(number: str) -> bool:
    """A province, a date, and MOD 11-2."""
    return number[:2] in _CN_PROVINCES and is_date(int(number[6:10]), int(number[10:12]), int(number[12:14])) and mod_11_2(number)


def kr_rrn(number: str) -> bool:
    """A date and a sign of sex and century; since 2020 there is no check digit."""
    century = {"1": 1900, "2": 1900, "5": 1900, "6": 1900, "3": 2000, "4": 2000, "7": 2000, "8": 2000}.get(number[6])
    return century is not None and is_date(century + int(number[:2]), int(number[2:4]), int(number[4:6]))


def jp_my_number(number: str) -> bool:
    """Weights 6 to 2 and 7 to 2, modulus 11."""
    total = weighted(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if total <= 1 else 11 - total) == int(number[11])


def in_aadhaar(number: str) -> bool:
    """Verhoeff's code; none begins with 0 or 1, or reads the same backwards (UIDAI)."""
    return number[0] not in "01" and number != number[::-1] and verhoeff(number)


def sg_nric(number: str) -> bool:
    """Weights 2, 7, 6, 5, 4, 3, 2; the letter depends on the first one."""
    total = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"S": 0, "T": 4, "F": 0, "G": 4, "M": 3}[number[0]]
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}[number[0]]
    return letters[total % 11] == number[8]


def hk_id(number: str) -> bool:
    """Letters count from A = 10, a missing first one 36; weights 9 to 1, modulus 11, ten written A."""
    values = [36] * (9 - len(number)) + [int(one, 36) for one in number]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def th_pin(number: str) -> bool:
    """Weights 13 to 2, modulus 11."""
    return number[0] not in "09" and (11 - weighted(number, range(13, 1, -1)) % 11) % 10 == int(number[12])


def il_id(number: str) -> bool:
    """Luhn's check over nine digits."""
    return int(number) > 0 and luhn(number)


def tr_kimlik(number: str) -> bool:
    """Two check digits, one from odd and even places, one from the sum."""
    odd, even = sum(map(int, number[0:9:2])), sum(map(int, number[1:8:2]))
    return number[0] != "0" and (odd * 7 - even) % 10 == int(number[9]) and sum(map(int, number[:10])) % 10 == int(number[10])


def za_id(number: str) -> bool:
    """A date, citizenship 0, 1 or 2, and Luhn's check."""
    return is_short_date(number[:2], number[2:4], number[4:6]) and number[10] in "012" and luhn(number)


def hr_oib(number: str) -> bool:
    """MOD 11,10."""
    return mod_11_10(number)


def any_number(number: str) -> bool:
    """No rule beyond the form."""
    return bool(number)


Rule = Callable[[str], bool]
