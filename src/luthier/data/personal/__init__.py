"""What tells who somebody is, or lets one in: recognisers, a leaf for each kind of thing.

`AnyPersonal` and `AnySecret` are the tables. None needs a model, the network or more than one text at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from luthier.core.options import kind_of
from luthier.data.personal.api_key import ApiKey
from luthier.data.personal.assigned_secret import AssignedSecret
from luthier.data.personal.birth_date import BirthDate
from luthier.data.personal.credit_card import CreditCard
from luthier.data.personal.crypto_address import CryptoAddress
from luthier.data.personal.documents import BankAccount, DriverLicence, Passport
from luthier.data.personal.email import Email
from luthier.data.personal.finding import RANK, Certainty, Finding, Recogniser, apart, covered, mask, signs_of
from luthier.data.personal.iban import Iban
from luthier.data.personal.ip_address import IpAddress
from luthier.data.personal.mac_address import MacAddress
from luthier.data.personal.national_id import NationalId
from luthier.data.personal.person_name import PersonName
from luthier.data.personal.phone import Phone
from luthier.data.personal.postal_address import PostalAddress
from luthier.data.personal.private_key import PrivateKey
from luthier.data.personal.url import ProfileLink, UrlCredentials

AnyPersonal: TypeAlias = (
    Email | Phone | CreditCard | Iban | BankAccount | NationalId | Passport | DriverLicence | IpAddress | MacAddress | UrlCredentials
    | ProfileLink | CryptoAddress | BirthDate | PostalAddress | PersonName
)  # fmt: skip
AnySecret: TypeAlias = ApiKey | PrivateKey | AssignedSecret | UrlCredentials

PersonalKind: TypeAlias = Literal[
    "email", "phone", "credit_card", "iban", "bank_account", "national_id", "passport", "driver_licence", "ip_address", "mac_address",
    "url_credentials", "profile_link", "crypto_address", "birth_date", "postal_address", "person_name",
]  # fmt: skip
SecretKind: TypeAlias = Literal["api_key", "private_key", "secret", "url_credentials"]

UNSURE: frozenset[str] = frozenset({"postal_address", "person_name"})
"""Kinds that take a model to be found well, and so are looked for only where they are asked for."""
PERSONAL_KINDS: tuple[PersonalKind, ...] = tuple(name for name in get_args(PersonalKind) if name not in UNSURE)
SECRET_KINDS: tuple[SecretKind, ...] = get_args(SecretKind)

_ALL: tuple[Recogniser, ...] = tuple(dict.fromkeys(kind() for kind in (*get_args(AnySecret), *get_args(AnyPersonal))))
_BY_KIND: dict[str, Recogniser] = {one.kind: one for one in _ALL}
assert set(_BY_KIND) == {*get_args(PersonalKind), *get_args(SecretKind)}, "the names are those of the tables"
assert all(kind_of(type(one)) == one.kind for one in _ALL), "each leaf is called by its kind"


def recognisers(kinds: Sequence[str], regions: tuple[str, ...] = Phone().regions) -> tuple[Recogniser, ...]:
    """Those of the given kinds; `regions` are the countries whose telephone numbers are known without "+"."""
    return tuple(Phone(regions=regions) if kind == "phone" else _BY_KIND[kind] for kind in kinds)


DEFAULT: tuple[Recogniser, ...] = recognisers((*SECRET_KINDS, *(kind for kind in PERSONAL_KINDS if kind not in SECRET_KINDS)))


def find(text: str, wanted: Sequence[Recogniser] = DEFAULT, at_least: Certainty = "likely") -> tuple[Finding, ...]:
    """What stands in a text that tells who somebody is or lets one in.

    Args:
        text: of any length; the time it takes grows with it, and no faster.
        wanted: the recognisers; by default all but those for names and postal addresses.
        at_least: what is less certain is left out.

    Returns:
        Findings in order that do not overlap.

    """
    signs = signs_of(text)
    found = [
        one for recogniser in wanted if recogniser.signs & signs for one in recogniser.find(text) if RANK[one.certainty] >= RANK[at_least]
    ]
    return apart(found) if len(found) > 1 else tuple(found)


def masked(text: str, wanted: Sequence[Recogniser] = DEFAULT, at_least: Certainty = "likely") -> str:
    """The text with what `find` finds masked by its kind: `[EMAIL]`."""
    return covered(text, find(text, wanted, at_least), mask)


__all__ = [
    "DEFAULT", "PERSONAL_KINDS", "SECRET_KINDS", "UNSURE", "AnyPersonal", "AnySecret", "Certainty", "Finding", "PersonalKind", "SecretKind",
    "find", "masked", "recognisers",
]  # fmt: skip
