"""What a recipe section may hold: options that explain themselves, and the shape of a dataclass as a loader needs it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


def option(default: T, *, about: str, why: str = "") -> T:
    """A dataclass field that explains itself.

    Args:
        default: the value of a recipe that does not say.
        about: one line for the documentation: what it is, in which unit.
        why: why the default is what it is; `luthier check` prints it.

    Returns:
        A `dataclasses.field`; typed as the default, so that the type checker sees an ordinary one.

    """
    metadata = {"about": about, "why": why}
    made: Any = dataclasses.field(default=default, metadata=metadata)
    if isinstance(default, list | dict | set):
        made = dataclasses.field(default_factory=default.copy, metadata=metadata)
    return cast(T, made)


def required(*, about: str) -> Any:
    """A dataclass field without a default: a recipe has to say it. Classes that mix both kinds are `kw_only=True`."""
    return dataclasses.field(metadata={"about": about, "why": ""})


@dataclass(frozen=True)
class Option:
    """One field of a section: its name, type, default and words.

    `classes` are the dataclasses that a section of that name may be; empty where the option is a plain value. `many`
    says that the field holds a list of such sections, `named` that it holds a table of them.
    """

    name: str
    annotation: Any
    default: Any
    about: str
    why: str
    classes: tuple[type, ...] = ()
    many: bool = False
    named: bool = False

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is dataclasses.MISSING

    @property
    def is_section(self) -> bool:
        """Whether it is one section of options, rather than a value, a list or a table."""
        return bool(self.classes) and not self.many and not self.named


def options_of(section: type) -> Mapping[str, Option]:
    """The options of a dataclass by name, in order; inherited ones included."""
    hints = typing.get_type_hints(section, include_extras=True)
    return {
        field.name: _option(field, hints[field.name])
        for field in dataclasses.fields(section)
        if field.init
    }


def kind_of(section: type) -> str | None:
    """What `kind = …` says for this class: the value of its `kind: Literal[…]` field, None where it has none."""
    kind = options_of(section).get("kind")
    values = typing.get_args(kind.annotation) if kind is not None else ()
    return str(values[0]) if len(values) == 1 else None


def sections_with(root: type, name: str) -> tuple[str, ...]:
    """The dotted paths of the sections, anywhere under `root`, that have an option called `name`."""
    return tuple(dict.fromkeys(path for path, section in _all_sections(root, "", ()) if name in options_of(section)))


def _all_sections(section: type, path: str, above: tuple[type, ...]) -> list[tuple[str, type]]:
    found = [(path, section)]
    for item in options_of(section).values():
        for one in item.classes:
            if one not in above and one is not section:
                found += _all_sections(one, f"{path}.{item.name}".lstrip("."), (*above, section))
    return found


def _option(field: dataclasses.Field[Any], annotation: Any) -> Option:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    classes, many, named = _shape(annotation)
    option = Option(
        field.name, annotation, default, str(field.metadata.get("about", "")), str(field.metadata.get("why", "")), classes, many, named
    )
    if option.is_section and dataclasses.is_dataclass(default) and not isinstance(default, type):
        _assert_one_default(field.name, default)
    return option


def _assert_one_default(name: str, default: Any) -> None:
    """An option has one default, its class's; a section that is half written and one that is left out must agree."""
    for item in options_of(type(default)).values():
        assert item.is_required or getattr(default, item.name) == item.default, f"{name}.{item.name} has two different defaults"


def _shape(annotation: Any) -> tuple[tuple[type, ...], bool, bool]:
    """The dataclasses inside a type, whether they come as a list, and whether they come as a table."""
    plain = bare(annotation)
    origin, args = typing.get_origin(plain), typing.get_args(plain)
    if isinstance(origin, type) and issubclass(origin, Sequence) and args:
        return _classes(args[0]), bool(_classes(args[0])), False
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _classes(args[1]), False, bool(_classes(args[1]))
    return _classes(plain), False, False


def _classes(annotation: Any) -> tuple[type, ...]:
    found = [one for one in members(annotation) if isinstance(one, type) and dataclasses.is_dataclass(one)]
    assert not found or len(found) == len(members(annotation)), f"{annotation} mixes sections with plain values"
    return tuple(found)


def bare(annotation: Any) -> Any:
    """A type without its `Annotated` constraints and without None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    some = members(annotation)
    return bare(some[0]) if len(some) == 1 and some[0] is not annotation else annotation


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, None left out; of any other type, the type itself."""
    inner = annotation
    while typing.get_origin(inner) is typing.Annotated:
        inner = typing.get_args(inner)[0]
    if typing.get_origin(inner) in (typing.Union, types.UnionType):
        return tuple(one for one in typing.get_args(inner) if one is not types.NoneType)
    return (annotation,)
