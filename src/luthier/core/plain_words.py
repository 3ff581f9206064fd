"""What is wrong with one value of a recipe, in words that need no knowledge of types."""

from __future__ import annotations

import datetime
import difflib
import functools
import json
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pydantic
from pydantic_core import ErrorDetails

from luthier.core.options import bare, members

_LIMITS = {
    "greater_than": ("not greater than {gt}", "give a number greater than {gt}"),
    "greater_than_equal": ("less than {ge}", "give {ge} or more"),
    "less_than": ("not less than {lt}", "give a number less than {lt}"),
    "less_than_equal": ("greater than {le}", "give {le} or less"),
    "multiple_of": ("not a multiple of {multiple_of}", "give a multiple of {multiple_of}"),
    "string_too_short": ("shorter than {min_length} characters", "give at least {min_length} characters"),
    "string_too_long": ("longer than {max_length} characters", "give at most {max_length} characters"),
    "string_pattern_mismatch": ("not of the form {pattern}", "write it so that it matches {pattern}"),
    "too_short": ("shorter than {min_length} entries", "give at least {min_length} entries"),
    "too_long": ("longer than {max_length} entries", "give at most {max_length} entries"),
    "missing": ("without this entry, which is needed", "add it"),
    "unexpected_keyword_argument": ("not expected", "remove it"),
}
_TYPES: Mapping[Any, tuple[str, str]] = {
    int: ("a whole number", "give a whole number, such as 3"),
    float: ("a number", "give a number, such as 0.1"),
    bool: ("true or false", "write true or false, without quotes"),
    str: ("text", 'write it in quotes, such as "text"'),
}

Wrong = tuple[str, str, str]
"""The path below the option (`""`, `.train`, `[2]`), the problem, and the fix."""


def checked(annotation: Any, value: object) -> tuple[Any, list[Wrong]]:
    """The value as the type wants it, and what is wrong with it.

    Types are strict, since TOML has types: `"16"` is not a number, and 1.0 is not a whole one; a whole number is a
    number. None in a type is ignored, since TOML cannot say it.
    """
    odd = list(_odd(value, ""))
    if odd:
        return None, odd
    alternatives = members(annotation)
    if len(alternatives) == 1:
        return _checked_as(annotation, value)
    found = []
    for one in alternatives:
        _, wrong = _checked_as(one, value)
        if not wrong:
            return _checked_as(annotation, value)
        found.append(wrong)
    by_value = [wrong for one, wrong in zip(alternatives, found, strict=True) if _is_of(one, value)]
    if by_value:
        return None, by_value[0]
    expected = " or ".join(dict.fromkeys(_expected(one)[0] for one in alternatives))
    return None, [("", f"is {shown(value)}, not {expected}", f"give {expected}")]


def shown(value: object) -> str:
    """A value as a person would write it, cut where it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = f"'{value}'"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {shown(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, Sequence):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    else:
        text = str(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= 60 else text[:57] + "…" + text[-1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, if there is one."""
    choices = {one.lower().replace("-", "_"): one for one in known}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), choices, n=1, cutoff=0.6)
    return choices[close[0]] if close else None


@functools.cache
def _adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(annotation)


def _checked_as(annotation: Any, value: object) -> tuple[Any, list[Wrong]]:
    try:
        return _adapter(annotation).validate_json(json.dumps(value), strict=True), []
    except pydantic.ValidationError as error:
        found = [_in_words(annotation, value, one) for one in error.errors(include_url=False)]
        return None, list({path: (path, problem, fix) for path, problem, fix in reversed(found)}.values())[::-1]


def _odd(value: object, path: str) -> Iterable[Wrong]:
    """What TOML can hold and a recipe cannot."""
    if isinstance(value, datetime.date | datetime.time):
        yield path, f"is the date or time {value}, which no option takes", "write it in quotes if text is meant"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"is {value}, not a finite number", "give a finite number"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _odd(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _odd(item, f"{path}[{index}]")


def _in_words(annotation: Any, value: Any, error: ErrorDetails) -> Wrong:
    path, inner, context = "", annotation, error.get("ctx", {})
    for step in error["loc"]:
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            path, value, inner = f"{path}[{step}]", value[step], _item_type(inner, step)
        elif isinstance(step, str) and isinstance(value, dict) and step in value:
            path, value, inner = f"{path}.{step}", value[step], _item_type(inner, -1)
    kind = error["type"]
    if kind in _LIMITS:
        problem, fix = (text.format_map(context) for text in _LIMITS[kind])
        return path, f"is {shown(value)}, {problem}", fix
    if kind == "value_error":
        return path, f"is {shown(value)}, but {context.get('error', error['msg'])}", "correct it"
    expected, fix = _expected(inner)
    if kind == "literal_error" and isinstance(value, str):
        close = nearest(value, (str(one) for one in typing.get_args(bare(inner))))
        fix = f'did you mean "{close}"?' if close else fix
    return path, f"is {shown(value)}, not {expected}", fix


def _item_type(annotation: Any, index: int) -> Any:
    """The type of one entry of a list or a table."""
    plain = bare(annotation)
    args = [one for one in typing.get_args(plain) if one is not ...]
    if not args:
        return Any
    origin = typing.get_origin(plain)
    if origin is tuple and 0 <= index < len(args) and ... not in typing.get_args(plain):
        return args[index]
    return args[-1] if index < 0 else args[0]


def _expected(annotation: Any) -> tuple[str, str]:
    """What a type asks for, and how to give it."""
    several = members(annotation)
    if len(several) > 1:
        expected = " or ".join(dict.fromkeys(_expected(one)[0] for one in several))
        return expected, f"give {expected}"
    plain = bare(annotation)
    origin = typing.get_origin(plain)
    if origin is typing.Literal:
        choices = ", ".join(f'"{one}"' if isinstance(one, str) else shown(one) for one in typing.get_args(plain))
        return f"one of {choices}", f"choose one of {choices}"
    if plain in _TYPES:
        return _TYPES[plain]
    if isinstance(plain, type) and issubclass(plain, PurePath):
        return "a path", 'write the path in quotes, such as "data/train.csv"'
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table", "write a table, such as { name = value }"
    if isinstance(origin, type) and issubclass(origin, Sequence | frozenset | set):
        inside = "" if plain is Any else f" of which each entry is {_expected(_item_type(plain, 0))[0]}"
        return "a list" + inside, 'write a list, such as [1, 2] or ["a", "b"]'
    return f"a {getattr(plain, '__name__', plain)}", "give a value of that kind"


def _is_of(annotation: Any, value: object) -> bool:
    """Whether a value is of the type apart from the type's constraints."""
    return not _checked_as(bare(annotation), value)[1]
