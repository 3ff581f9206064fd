"""A recipe's TOML and `--set` as one frozen dataclass, or every complaint at once.

A recipe is a tree of frozen dataclasses whose fields are options (`option`, `required`). A section that may be one of
several things is a union of classes, each with `kind: Literal["…"] = "…"`; a list of steps is a tuple of such a union.
Constraints are `Annotated[int, pydantic.Field(ge=1)]`. A class with a method `complaints` checks its fields together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from luthier.core.errors import Complaints, LuthierError
from luthier.core.options import Option, kind_of, option, options_of, required, sections_with
from luthier.core.plain_words import checked, nearest, shown
from luthier.core.recipe_file import Given, given_in, is_within, read_given
from luthier.core.recipe_text import dump

__all__ = ["Checks", "Default", "Given", "defaults", "dump", "given_paths", "load", "loads", "option", "read_given", "required"]

T = TypeVar("T")


@runtime_checkable
class Checks(Protocol):
    """A section or recipe with rules that concern several of its fields."""

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """What is wrong, as (dotted path, problem, fix), both paths and `given` counted from this section.

        Args:
            given: the dotted paths that the user wrote, so that an option without effect can be told from a default. In
                a recipe that `dump` wrote, an option at its default does not count as written.

        """


@dataclass(frozen=True)
class Default:
    """An option that a recipe leaves out: its dotted path, the value it has then, what it is and why that value."""

    path: str
    value: object
    about: str
    why: str


def load(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Read a recipe.

    Args:
        kind: the dataclass that the recipe is.
        path: its TOML file.
        overrides: `section.option=value` each, from `--set`.

    Raises:
        LuthierError: everything that is wrong, each with its place and what to do.

    """
    return _resolve(kind, read_given(path, overrides))


def loads(kind: type[T], text: str, name: str = "recipe.toml", overrides: Sequence[str] = ()) -> T:
    """The same as `load`, from a text; messages call it `name`."""
    return _resolve(kind, given_in(text, name, overrides))


def given_paths(path: Path, overrides: Sequence[str] = ()) -> frozenset[str]:
    """Every dotted path that the user wrote, in the file or by `--set`, sections included."""
    return read_given(path, overrides).paths()


def defaults(kind: type, given: Mapping[str, Any] | Given) -> tuple[Default, ...]:
    """The options that a valid recipe leaves out, with the values they have, in the order of the classes' fields.

    Args:
        kind: the dataclass that the recipe is.
        given: what the user wrote: `read_given(path, overrides)`, or its tables.

    """
    table = given.table if isinstance(given, Given) else given
    return tuple(_defaults(kind, table, ""))


def _resolve(kind: type[T], given: Given) -> T:
    reader = _Reader(kind, given)
    recipe = reader.section((kind,), given.table, "", None)
    reader.complaints.raise_if_any()
    assert isinstance(recipe, kind), "a reader without complaints has built the recipe"
    return recipe


class _Reader:
    """Builds the dataclasses from the tables, bottom up, and collects what is wrong on the way."""

    def __init__(self, root: type, given: Given) -> None:
        self.complaints = Complaints()
        self._root = root
        self._given = given
        self._paths = given.paths()

    def section(self, classes: tuple[type, ...], table: object, path: str, default: type | None) -> object | None:
        """One dataclass of `classes`, None if anything in it is wrong; `default` is the class where no kind is said."""
        if not isinstance(table, Mapping):
            example = f'{{ kind = "{kind_of(classes[0])}" }}' if kind_of(classes[0]) else "{ option = value }"
            fix = f"write a table there, such as {example}" if path.endswith("]") else f"write its options below [{path}]"
            self._complain(path, f"is {shown(table)}, not a section of options", fix)
            return None
        chosen = self._class_of(classes, table, path, default)
        if chosen is None:
            return None
        n_before = len(self.complaints)
        options = options_of(chosen)
        values: dict[str, object] = {}
        for name in table:
            if name in options:
                values[name] = self._value(options[name], table[name], _join(path, name))
                self._forget_default(_join(path, name), values[name], options[name].default)
            else:
                self._unknown(name, chosen, classes, path)
        for name, item in options.items():
            if item.is_required and name not in table:
                values[name] = self._missing(item, _join(path, name))
        return self._build(chosen, values, path) if len(self.complaints) == n_before else None

    def _forget_default(self, path: str, value: object, default: object) -> None:
        """In a resolved recipe, count an option at its default as not written, unless an override wrote it."""
        if self._given.is_resolved and value == default and not any(is_within(one, path) for one in self._given.overridden):
            self._paths = frozenset(one for one in self._paths if not is_within(one, path))

    def _class_of(self, classes: tuple[type, ...], table: Mapping[str, Any], path: str, default: type | None) -> type | None:
        kinds = {kind_of(one): one for one in classes}
        if len(classes) == 1 and (None in kinds or "kind" not in table):
            return classes[0]
        names = [str(name) for name in kinds]
        choices = ", ".join(f'"{name}"' for name in names)
        if "kind" not in table:
            if default is None:
                self._complain(_join(path, "kind"), "is missing", f"add kind = one of {choices}")
            return default
        kind = table["kind"]
        if isinstance(kind, str) and kind in kinds:
            return kinds[kind]
        close = nearest(kind, names) if isinstance(kind, str) else None
        fix = f'did you mean "{close}"? There are {choices}' if close else f"choose one of {choices}"
        self._complain(_join(path, "kind"), f"is {shown(kind)}, which is not known here", fix)
        return None

    def _value(self, item: Option, value: object, path: str) -> object:
        if item.many:
            if not isinstance(value, list):
                self._complain(path, f"is {shown(value)}, not a list", "write a list of tables in square brackets")
                return None
            return tuple(self.section(item.classes, one, f"{path}[{index}]", None) for index, one in enumerate(value))
        if item.named:
            if not isinstance(value, Mapping):
                self._complain(path, f"is {shown(value)}, not a table", f"write its entries below [{path}]")
                return None
            return {name: self.section(item.classes, one, _join(path, name), None) for name, one in value.items()}
        if item.classes:
            return self.section(item.classes, value, path, type(item.default) if dataclasses.is_dataclass(item.default) else None)
        if _holds_nul(value):
            self._complain(path, "holds a NUL character", "remove it: no name and no text of a recipe has one")
            return None
        result, wrong = checked(item.annotation, value)
        for below, problem, fix in wrong:
            self._complain(path + below, problem, fix)
        return result

    def _missing(self, item: Option, path: str) -> object:
        if item.is_section:
            return self.section(item.classes, {}, path, None)
        self._complain(path, "is missing", f"add it: {item.about}" if item.about else "add it")
        return None

    def _build(self, chosen: type, values: Mapping[str, object], path: str) -> object | None:
        try:
            built: object = chosen(**values)
        except LuthierError as error:
            for one in error.errors:
                self._complain(path, one.problem, one.fix)
            return None
        except ValueError as error:
            self._complain(path, str(error), "correct it")
            return None
        if isinstance(built, Checks):
            inside = path + "." if path else ""
            given = frozenset(one.removeprefix(inside) for one in self._paths if one.startswith(inside) and one != path)
            for below, problem, fix in built.complaints(given):
                self._complain(_join(path, below) if below else path, problem, fix)
        return built

    def _unknown(self, name: str, chosen: type, classes: tuple[type, ...], path: str) -> None:
        options = options_of(chosen)
        others = [kind_of(one) for one in classes if one is not chosen and name in options_of(one)]
        elsewhere = [one for one in sections_with(self._root, name) if one != path]
        close = nearest(name, options)
        if others:
            problem = f'does nothing with kind = "{kind_of(chosen)}"'
            fix = "remove it, or choose kind = " + " or ".join(f'"{one}"' for one in others)
        elif elsewhere and close is None:
            problem = "is not an option here"
            places = " and ".join(f"[{one}]" if one else "the lines before the first section" for one in elsewhere)
            fix = f"there is one in {places}; move it"
        else:
            problem = "is not an option" if path else "is neither a section nor an option of the recipe"
            fix = f'did you mean "{close}"?' if close else f"remove it; known here: {', '.join(options)}"
        self._complain(_join(path, name), problem, fix)

    def _complain(self, path: str, problem: str, fix: str) -> None:
        self.complaints.add(self._given.where(path), problem, fix)


def _holds_nul(value: object) -> bool:
    """Whether a text has a NUL in it, at which the operating system takes a path to end."""
    if isinstance(value, Mapping):
        return any(_holds_nul(one) for pair in value.items() for one in pair)
    return any(map(_holds_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


def _defaults(section: type, table: Mapping[str, Any], path: str) -> Iterable[Default]:
    for name, item in options_of(section).items():
        here = _join(path, name)
        if item.is_section:
            yield from _section_defaults(item, table.get(name), here)
        elif item.many and name in table:
            for index, one in enumerate(table[name]):
                yield from _defaults(_chosen(item, one), one, f"{here}[{index}]")
        elif item.named and name in table:
            for key, one in table[name].items():
                yield from _defaults(_chosen(item, one), one, f"{here}.{key}")
        elif name not in table and name != "kind":
            yield Default(here, item.default, item.about, item.why)


def _section_defaults(item: Option, table: Mapping[str, Any] | None, path: str) -> Iterable[Default]:
    if table is None and not dataclasses.is_dataclass(item.default):
        yield Default(path, item.default, item.about, item.why)
        return
    chosen = _chosen(item, table or {})
    if len(item.classes) > 1 and "kind" not in (table or {}):
        yield Default(f"{path}.kind", kind_of(chosen), item.about, item.why)
    if table is None and any(options_of(chosen)[name].is_required for name in options_of(chosen)):
        # The default instance fills what its class requires, so its own values are what a reader has to see.
        yield from (
            Default(f"{path}.{name}", getattr(item.default, name), one.about, one.why)
            for name, one in options_of(chosen).items()
            if name != "kind"
        )
        return
    yield from _defaults(chosen, table or {}, path)


def _chosen(item: Option, table: Mapping[str, Any]) -> type:
    """The class of a section in a valid recipe."""
    if "kind" in table:
        return next(one for one in item.classes if kind_of(one) == table["kind"] or len(item.classes) == 1)
    return type(item.default) if dataclasses.is_dataclass(item.default) and not isinstance(item.default, type) else item.classes[0]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}".lstrip(".")
