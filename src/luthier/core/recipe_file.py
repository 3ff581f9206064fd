"""The text of a recipe as nested tables: TOML with the place of each mistake, and `--set` on top of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import Complaints, LuthierError
from luthier.core.recipe_text import RESOLVED

Table = dict[str, Any]
"""What TOML can hold: strings, numbers, booleans, dates, lists and tables of these."""

_PART = r'(?:"[^"]*"|[^\s."=\[\]]+)(?:\[\d+\])*'
_OVERRIDE = re.compile(rf"\s*({_PART}(?:\.{_PART})*)\s*=(.*)", re.DOTALL)
_STEP = re.compile(r'"([^"]*)"|\[(\d+)\]|([^."\[\]]+)')


@dataclass(frozen=True)
class Given:
    """What a user wrote: the tables of the file with the overrides applied, and which paths the overrides set.

    `is_resolved` says that the file is one that `dump` wrote, with every default in it.
    """

    name: str
    table: Table
    overridden: tuple[str, ...] = ()
    is_resolved: bool = False

    def where(self, path: str) -> str:
        """The place of a dotted path that a person can go to: `recipe.toml [method] rank`, or `--set method.rank`."""
        if any(is_within(path, setting) for setting in self.overridden):
            return f"--set {path}"
        below = [one for one in self.paths() if one != path and is_within(one, path)]
        settings = [setting for setting in self.overridden if is_within(setting, path)]
        if below and all(any(is_within(one, setting) or is_within(setting, one) for setting in settings) for one in below):
            return f"--set {settings[0]}"
        section, _, rest = path.partition(".")
        if rest:
            return f"{self.name} [{section}] {rest}"
        return f"{self.name} [{section}]" if isinstance(self.table.get(section), dict) else f"{self.name} {section}".rstrip()

    def paths(self) -> frozenset[str]:
        """Every dotted path that was written, sections included: `method`, `method.rank`, `prepare.steps[0].kind`."""
        return frozenset(_paths(self.table, ""))


def read_given(path: Path, overrides: Sequence[str] = ()) -> Given:
    """Read a recipe's TOML and apply `--set` overrides.

    Args:
        path: the recipe.
        overrides: `section.option=value` each; the value is TOML, or else a bare string. `steps[0]` is the first step.

    Raises:
        LuthierError: the file cannot be read, is not TOML (`recipe.toml:LINE`), or an override cannot be applied.

    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise LuthierError(str(path), "there is no such file", "check the path, or write one with `luthier new`") from error
    except OSError as error:
        raise LuthierError(str(path), f"it cannot be read: {error.strerror or error}", "give a recipe file, such as recipe.toml") from error
    return given_in(_decoded(content, str(path)), str(path), overrides)


def given_in(text: str, name: str, overrides: Sequence[str] = ()) -> Given:
    """The same as `read_given`, from a text that is called `name` in messages."""
    table = _parsed(text, name)
    complaints = Complaints()
    overridden = []
    for setting in overrides:
        try:
            overridden.append(_apply(table, setting))
        except LuthierError as error:
            complaints.extend(error)
    complaints.raise_if_any()
    return Given(name, table, tuple(overridden), text.startswith(RESOLVED))


def _decoded(content: bytes, name: str) -> str:
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise LuthierError(f"{name}:{line}", "it holds a NUL byte, so it is not plain text in UTF-8", "save it as UTF-8 text")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LuthierError(f"{name}:{line}", "it holds a byte that is not UTF-8", "save it as UTF-8 text") from error


def _parsed(text: str, name: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        problem, line, column = found.groups() if found else (str(error), None, None)
        at = int(line) if line else max(1, len(text.rstrip("\n").splitlines()))
        place = f" at column {column}" if column else ""
        raise LuthierError(
            f"{name}:{at}", f"it is not TOML: {problem[:1].lower()}{problem[1:]}{place}", 'write option = value; text stands in "quotes"'
        ) from error
    except RecursionError as error:
        raise LuthierError(name, "its lists or tables are nested too deeply", "a recipe needs no more than four levels") from error


def _apply(table: Table, setting: str) -> str:
    """Set one value in place and return its path in the spelling of `Given.paths`."""
    match = _OVERRIDE.fullmatch(setting)
    if match is None:
        raise LuthierError(f"--set {setting}", "it is not of the form section.option=value", "write, for example, --set train.epochs=3")
    if any("\ud800" <= char <= "\udfff" or char == "\0" for char in setting):
        raise LuthierError(f"--set {match[1]}", "its value is not UTF-8 text", "pass UTF-8 text without NUL characters")
    steps: list[str | int] = [int(index) if index else quoted or plain for quoted, index, plain in _STEP.findall(match[1])]
    here: Any = table
    done = ""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        _check_step(here, step, done, match[1])
        done = _join(done, step)
        if following is None:
            here[step] = _value(match[2])
        else:
            here = here[step] if isinstance(step, int) else here.setdefault(step, {})
    return done


def _check_step(here: object, step: str | int, path: str, setting: str) -> None:
    if isinstance(step, int) and not (isinstance(here, list) and step < len(here)):
        n_there = len(here) if isinstance(here, list) else 0
        problem = f"{path} has {n_there} entries in the recipe, so there is no [{step}]"
        raise LuthierError(f"--set {setting}", problem, "count from 0, or set the whole list")
    if isinstance(step, str) and not isinstance(here, dict):
        raise LuthierError(f"--set {setting}", f"{path} is a value, not a section", f"set {path} itself, or name one of its sections")


def _value(text: str) -> object:
    """A TOML value, or else the text itself."""
    text = text.strip()
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _join(path: str, step: str | int) -> str:
    return f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}".lstrip(".")


def _paths(value: object, path: str) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, _join(path, index))


def is_within(path: str, outer: str) -> bool:
    """Whether `path` is `outer` or stands inside it."""
    return path == outer or path.startswith((outer + ".", outer + "["))
