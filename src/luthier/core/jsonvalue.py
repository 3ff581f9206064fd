"""The type of what JSON can hold, and the one way in which Luthier writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | None | Sequence[Json] | Mapping[str, Json]"


def to_bytes(text: str) -> bytes:
    """Text as UTF-8; half of a character (a lone surrogate), which UTF-8 does not have, is spelled as JSON spells it, by its number.

    So nothing is lost in a file of JSON: what reads it gets the half again, or, where two halves of one character stood side by
    side, that character.
    """
    return text.encode("utf-8", "backslashreplace")


def dump(value: Json) -> str:
    """One line of JSON; NaN and infinity are our bug, never a file's content."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def canonical(value: Json) -> str:
    """JSON whose text depends on the content alone, for hashing: sorted keys, no spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
