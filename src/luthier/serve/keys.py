"""API keys: made here, shown once, and kept only as hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import write_text

PREFIX = "sk-luthier-"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Keys:
    """The hashes of the keys that are let in. A key is 256 random bits, so one round of SHA-256 is enough to hide it."""

    hashes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a file of hashes, one a line; `#` begins a remark.

        Raises:
            LuthierError: the file cannot be read, or holds something else, or nothing.

        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LuthierError(str(path), f"it cannot be read: {error}", f"make a key with `luthier key {path}`") from error
        found = [line.partition("#")[0].strip() for line in lines]
        hashes = tuple(line for line in found if line)
        for number, line in enumerate(found, 1):
            if line and not _is_hash(line):
                # The line itself is not shown: it may be a key that somebody wrote there by mistake.
                raise LuthierError(f"{path}:{number}", "it is no hash of a key", f"make keys with `luthier key {path}`")
        if not hashes:
            raise LuthierError(str(path), "it holds no keys", f"make one with `luthier key {path}`")
        return cls(hashes)

    def admit(self, key: str) -> bool:
        """Whether a key is one of these, in a time that does not tell how much of it was right."""
        hashed = hash_of(key)
        # A sum over all of them, and not `any`, which would stop at the first.
        return sum(hmac.compare_digest(hashed, one) for one in self.hashes) > 0


def hash_of(key: str) -> str:
    """What the file holds of a key."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key(path: Path) -> str:
    """Make a key, add its hash to the file, and give the key, which stands nowhere else.

    Raises:
        LuthierError: the file holds something other than keys, or cannot be written.

    """
    key = PREFIX + secrets.token_urlsafe(32)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before.strip():
            Keys.read(path)
        before = before if not before or before.endswith("\n") else before + "\n"
        write_text(path, f"{before}{hash_of(key)}\n")
        path.chmod(0o600)
    except (OSError, UnicodeDecodeError) as error:
        raise LuthierError(str(path), f"no key can be added to it: {error}", "choose another file, in a folder that is yours") from error
    return key


def _is_hash(line: str) -> bool:
    kind, _, digest = line.partition(":")
    return kind == "sha256" and len(digest) == 64 and set(digest) <= _HEX
