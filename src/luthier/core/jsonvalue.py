"""The type of what JSON can hold, and the one way in which Luthier writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | None | Sequence[Json] | Mapping[str, Json]"


def dump(value: Json) -> str:
    """One line of JSON; NaN and infinity are our bug, never a file's content."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def canonical(value: Json) -> str:
    """JSON whose text depends on the content alone, for hashing: sorted keys, no spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
