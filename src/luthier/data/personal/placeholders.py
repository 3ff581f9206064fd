"""Placeholders that stand for one value each, the same in every row and on every machine, and that only a key turns back.

`<EMAIL_k3v9x2p7q4wz>`: the kind, and sixty bits of HMAC-SHA-256 of kind and value under the key. The value itself
travels in the row, sealed by AES-SIV (RFC 5297), which is deterministic: equal rows stay equal. Both keys are derived from the
key's file by HKDF (RFC 5869). No counter and no table is shared, so order and number of workers do not matter.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.secret_keys import read_key, read_or_make_key

PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]{1,30}_[a-z2-7]{12}>")
SEALED = "luthier_sealed"
"""The entry of a row's `extra` that maps each placeholder of the row to `key's name:sealed value`."""
_N_CHARACTERS = 12
_BLOCK = 32


@dataclass(frozen=True)
class Vault:
    """A key, and what can be done with it; never printed.

    Attributes:
        name: the key's.
        for_names: the derived key that placeholders are made with.
        for_values: the derived key that values are sealed with; None in one that cannot turn anything back.

    """

    name: str
    for_names: bytes = field(repr=False)
    for_values: bytes | None = field(repr=False)

    def placeholder(self, kind: str, value: str) -> str:
        """What stands for a value."""
        digest = hmac.digest(self.for_names, kind.encode() + b"\0" + _bytes(value), hashlib.sha256)
        return f"<{kind.upper()}_{base64.b32encode(digest).decode().lower()[:_N_CHARACTERS]}>"

    def sealed(self, placeholder: str, value: str) -> str:
        """The value as only the key's owner can read it; its length shows to the next multiple of 32 bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        assert self.for_values is not None, "a vault without a key of its own seals nothing"
        plain = _bytes(value) + b"\x80"
        plain += bytes(-len(plain) % _BLOCK)
        return f"{self.name}:{base64.b64encode(AESSIV(self.for_values).encrypt(plain, [placeholder.encode()])).decode()}"

    def opened(self, placeholder: str, sealed: str) -> str | None:
        """The value that was sealed for a placeholder; None where another key sealed it, or it was changed since."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        assert self.for_values is not None, "a vault without a key of its own opens nothing"
        try:
            plain = AESSIV(self.for_values).decrypt(base64.b64decode(sealed.partition(":")[2]), [placeholder.encode()])
        except (InvalidTag, ValueError):
            return None
        return plain.rstrip(b"\0")[:-1].decode("utf-8", "surrogatepass")


def vault_in(folder: Path | None, name: str, home: Path | None) -> Vault:
    """The vault of a key, made if there is none yet.

    Args:
        folder: that of keys.
        name: the key's.
        home: the folder of the run's data, which must not hold the keys.

    Raises:
        LuthierError: there is no folder, it lies in the run, or the key cannot be made or read.

    """
    if folder is None:
        raise LuthierError("personal data", "there is no folder for the key that turns placeholders back", "name one with LUTHIER_SECRETS")
    if home is not None and home.parent.resolve() in (folder.resolve(), *folder.resolve().parents):
        problem = "the folder of keys lies in the run that the key is to be kept away from"
        raise LuthierError(str(folder), problem, "name another with LUTHIER_SECRETS")
    return _derived(name, read_or_make_key(folder, name))


def vault_of(folder: Path, name: str) -> Vault:
    """The vault of a key that is there; LuthierError where it is not."""
    return _derived(name, read_key(folder, name))


@cache
def passing_vault() -> Vault:
    """One for rows that wait for an answer: placeholders look as they did in training, under a key that ends with the process."""
    return Vault("", secrets.token_bytes(32), None)


def turned_back(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder that has a value replaced by it; others stay."""
    return PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), text)


def _derived(name: str, key: bytes) -> Vault:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    both = HKDF(algorithm=SHA256(), length=96, salt=None, info=b"luthier placeholders 1").derive(key)
    return Vault(name, both[:32], both[32:])


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
