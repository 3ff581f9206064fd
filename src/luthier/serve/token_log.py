"""The token ids that were served, one JSON line a reply: the proof that they are those of training can be made from outside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import dump


class TokenLog:
    """Appends to a file that only its owner can read, since tokens are what people said."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: TextIO = open(path, "a", encoding="utf-8", opener=_private)  # noqa: SIM115 - it stays open
            path.chmod(0o600)  # it may have been there before
        except OSError as error:
            raise LuthierError(str(path), f"it cannot be written: {error.strerror}", "choose another file for --log-tokens") from error

    def note(self, request_id: str, model: str, prompt: Sequence[int], reply: Sequence[int]) -> None:
        """Write one reply's line, at once."""
        self._file.write(dump({"request": request_id, "model": model, "prompt": list(prompt), "reply": list(reply)}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
