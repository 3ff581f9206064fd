"""The token ids that were served, one JSON line a reply: the proof that they are those of training can be made from outside."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import dump

LOG = logging.getLogger("luthier.serve")


class TokenLog:
    """Appends to a file that only its owner can read, since tokens are what people said."""

    def __init__(self, path: Path) -> None:
        try:
            # Without a buffer, so that what could not be written is not tried again with each reply that follows.
            self._file: BinaryIO = open(path, "ab", buffering=0, opener=_private)  # noqa: SIM115
            if path.is_file():
                path.chmod(0o600)  # it may have been there before; devices are left alone
        except OSError as error:
            raise LuthierError(str(path), f"it cannot be written: {error.strerror}", "choose another file for --log-tokens") from error

    def note(self, request_id: str, model: str, prompt: Sequence[int], reply: Sequence[int]) -> None:
        """Write one reply's line, at once. Where the disk is full, say, the server's log tells that it is missing here."""
        line = dump({"request": request_id, "model": model, "prompt": list(prompt), "reply": list(reply)}) + "\n"
        try:
            self._file.write(line.encode())
        except OSError as error:
            LOG.error("%s: its tokens could not be logged: %s", request_id, error.strerror)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
