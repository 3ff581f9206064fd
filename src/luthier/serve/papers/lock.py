"""Locked requirements: every distribution that serving needs, in the version that the bundle was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from platform import python_version
from types import MappingProxyType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


@cache
def locked(root: str = "luthier") -> Mapping[str, str]:
    """Distribution → version, for `root` and all that it requires in turn, as they are installed here, by name.

    Read once in a process (half a second, for a hundred distributions): what it has imported stays what it is.

    Requirements whose marker does not hold here are left out, extras that somebody asks for are followed. A build's local
    label (`2.13.0+cpu`) is left out too: which build fits is for the other machine to choose.
    """
    found: dict[str, str] = {}
    wanted = [Requirement(root)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        one = wanted.pop()
        name, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        installed = metadata.distribution(name)
        found[name] = Version(installed.version).public
        wanted += _required(installed, extras)
    return MappingProxyType(dict(sorted(found.items())))


def _required(installed: metadata.Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in installed.requires or ():
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield one


def lock_text(wheel: str) -> str:
    """The content of `requirements.lock`; `wheel` is the file beside it that Luthier is installed from."""
    lines = [
        f"# All that serves this bundle, in the versions that it was made with, under Python {python_version()}.",
        "# pip install -r requirements.lock",
        f"# Luthier itself is {wheel}, which lies beside this file: no index is asked for it.",
        "# The torch of the usual index brings CUDA on Linux; without a GPU, install its CPU build of this version first.",
        # By its name an index would be asked all the same, and whoever holds that name there could answer.
        f"./{wheel}",
        *(f"{name}=={version}" for name, version in locked().items() if name != "luthier"),
    ]
    return "\n".join(lines) + "\n"
