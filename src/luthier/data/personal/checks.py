"""Check digits and checksums: what tells a number that was issued from one that only looks like it.

Each takes digits or characters without spaces and says whether they fit together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

# Verhoeff, 1969, "Error Detecting Decimal Codes": the dihedral group of order ten, and the powers of one permutation.
_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")
_BASE58 = {character: value for value, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {character: value for value, character in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1: every second digit from the right doubled; the sum of all digits is a multiple of ten."""
    total = sum(int(digit) for digit in digits[::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def verhoeff(digits: str) -> bool:
    """Verhoeff's code over the dihedral group."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def mod_97(characters: str) -> bool:
    """ISO 7064 MOD 97-10 over letters and digits, letters counting from A = 10: the remainder is one."""
    return int("".join(str(int(one, 36)) for one in characters)) % 97 == 1


def mod_11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10: a chain of doublings; used for German and Croatian tax numbers."""
    check = 10
    for digit in digits[:-1]:
        check = (int(digit) + check) % 10 or 10
        check = 2 * check % 11
    return (11 - check) % 10 == int(digits[-1])


def mod_11_2(characters: str) -> bool:
    """ISO 7064 MOD 11-2: digits, and X for ten at the end; used for Chinese resident identity numbers."""
    check = 0
    for one in characters:
        check = (2 * check + (10 if one == "X" else int(one))) % 11
    return check == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of digit times weight, as far as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def is_short_date(year: str, month: str, day: str) -> bool:
    """Whether there is such a day in some century, of a year in two digits."""
    return any(is_date(century + int(year), int(month), int(day)) for century in (1900, 2000))


def base58_check(characters: str) -> bytes | None:
    """The payload of a Base58Check text (version byte first), None where its four bytes of double SHA-256 do not fit."""
    number = 0
    for one in characters:
        if one not in _BASE58:
            return None
        number = number * 58 + _BASE58[one]
    n_zeros = len(characters) - len(characters.lstrip("1"))
    raw = b"\0" * n_zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, check = raw[:-4], raw[-4:]
    return payload if hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] == check else None


def bech32(characters: str) -> bool:
    """BIP 173 and BIP 350: prefix, "1", data; the polynomial's remainder is 1 (Bech32) or 0x2bc830a3 (Bech32m)."""
    if characters.lower() != characters and characters.upper() != characters:
        return False
    prefix, one, data = characters.lower().rpartition("1")
    if not one or len(data) < 6 or any(character not in _BECH32 for character in data):
        return False
    values = [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]
    check = 1
    for value in [*values, *(_BECH32[character] for character in data)]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)
