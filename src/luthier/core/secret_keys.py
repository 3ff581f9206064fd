"""Keys that turn placeholders back into what they stand for: files of their own, outside of every run.

The folder is the one that the environment variable `LUTHIER_SECRETS` names, else `~/.config/luthier/secrets`. Whoever
can read a key and a run can read what was replaced in it; docs/privacy.md says what follows.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import expanded

KEY_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MARK = "luthier-key-1:"


def secrets_folder() -> Path:
    """Where keys are kept."""
    said = os.environ.get("LUTHIER_SECRETS")
    return expanded(said) if said else Path.home() / ".config" / "luthier" / "secrets"


def key_file(folder: Path, name: str) -> Path:
    """Where the key of a name lies."""
    return folder / f"{name}.key"


def read_key(folder: Path, name: str) -> bytes:
    """The key of a name.

    Raises:
        LuthierError: there is none, others may read it, or it is no key of ours.

    """
    path = key_file(folder, name)
    try:
        with open(path, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            said = file.read(1000).strip()
    except FileNotFoundError as error:
        problem, fix = "there is no such key", "bring it here, or say where it is with LUTHIER_SECRETS"
        raise LuthierError(str(path), problem, fix) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LuthierError(str(path), f"it cannot be read: {error}", "see whose file it is, or restore it") from error
    if mode & 0o077:
        raise LuthierError(str(path), f"others than its owner may use it (mode {mode:o})", f"chmod 600 {path}")
    try:
        key = bytes.fromhex(said.removeprefix(_MARK)) if said.startswith(_MARK) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise LuthierError(str(path), "it is not a key of Luthier's", "restore it; without it nothing can be turned back")
    return key


def read_or_make_key(folder: Path, name: str) -> bytes:
    """The key of a name, made at random if there is none yet: readable by its owner alone, and never written elsewhere.

    Two processes that make it at the same time end up with the same one.

    Raises:
        LuthierError: it cannot be written, or what is there cannot be used.

    """
    path = key_file(folder, name)
    if path.exists():
        return read_key(folder, name)
    # A whole file under another name first, then a link: nobody ever sees half a key, and the first link wins.
    temporary = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_MARK}{secrets.token_hex(KEY_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    except OSError as error:
        problem = f"no key can be written there: {error.strerror or error}"
        raise LuthierError(str(folder), problem, "name another folder with LUTHIER_SECRETS") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return read_key(folder, name)
