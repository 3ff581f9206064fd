"""A recipe as TOML text that reads back as the same recipe."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from luthier.core.options import options_of

RESOLVED = "# Every option is written out here, defaults included.\n"
"""The first line of a recipe that `dump` wrote: what it says at its default, its user may never have said."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def dump(recipe: object) -> str:
    """The TOML of a recipe with every option written out; what is None is left out.

    `load` of the text gives an equal recipe. That needs each None to be its option's default, which is so in every
    recipe that came from a file, since TOML cannot say None.
    """
    return RESOLVED + "\n".join(_table(recipe, "")).strip("\n") + "\n"


def _table(section: Any, path: str) -> list[str]:
    """The lines of one dataclass: its values first, then its sections."""
    lines, inner = [], []
    for name, value in _written(section).items():
        if dataclasses.is_dataclass(value):
            below = f"{path}.{toml_key(name)}".lstrip(".")
            inner += ["", f"[{below}]", *_table(value, below)]
        elif isinstance(value, tuple | list) and any(dataclasses.is_dataclass(item) for item in value):
            lines += [f"{toml_key(name)} = [", *(f"  {_inline(item)}," for item in value), "]"]
        else:
            lines.append(f"{toml_key(name)} = {_inline(value)}")
    return lines + inner


def _written(section: Any) -> dict[str, Any]:
    options = options_of(type(section))
    values = {name: getattr(section, name) for name in options}
    for name, value in values.items():
        assert value is not None or options[name].default is None, f"{name} is None, which TOML cannot say"
    return {name: value for name, value in values.items() if value is not None}


def _inline(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return _inline(_written(value))
    match value:
        case bool():
            return "true" if value else "false"
        case str() | PurePath():
            return toml_text(str(value))
        case int() | float():
            return repr(value)
        case Mapping():
            items = ", ".join(f"{toml_key(str(key))} = {_inline(item)}" for key, item in value.items())
            return f"{{ {items} }}" if items else "{}"
        case frozenset() | set():
            return f"[{', '.join(sorted(_inline(item) for item in value))}]"
        case tuple() | list():
            return f"[{', '.join(_inline(item) for item in value)}]"
    raise AssertionError(f"{value!r} has no place in a recipe")


def toml_key(name: str) -> str:
    """A name as TOML spells it before an equals sign."""
    return name if _BARE_KEY.fullmatch(name) else toml_text(name)


def toml_text(text: str) -> str:
    """A text as TOML spells it."""
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else f"\\U{ord(char):08x}") for char in text) + '"'
