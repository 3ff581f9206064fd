"""Licences of what a bundle is made of: what each one asks, where two do not go together, and what is left for the bundle.

What a licence asks is a table of its family. An id that is not in the table is said to be unknown, never guessed. This is
no legal advice: whether a model is a derived work of the rows that it learnt from is not settled everywhere, so the
careful answer is taken, that it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from luthier.models.load import locate

Demand: TypeAlias = Literal["attribution", "share-alike", "non-commercial", "no-derivatives", "custom", "unknown"]
UNKNOWN = "unknown"
_FAMILIES: tuple[tuple[str, tuple[Demand, ...]], ...] = (
    (r"unknown|none|", ("unknown",)),
    (r"cc0(-1\.0)?|pddl(-1\.0)?|unlicense|wtfpl|public-domain|0bsd|mit-0", ()),
    (r"apache-2\.0|mit|bsd(-[23]-clause(-clear)?)?|isc|zlib|afl-3\.0|artistic-2\.0|bsl-1\.0|ms-pl|ncsa|ecl-2\.0", ("attribution",)),
    (r"cc-by-[1-4]\.\d|odc-by(-1\.0)?|cdla-permissive-[12]\.0|python-2\.0|psf-2\.0", ("attribution",)),
    (r"cc-by-sa-[1-4]\.\d|odbl(-1\.0)?|cdla-sharing-1\.0|gfdl(-1\.\d)?(-only|-or-later)?", ("attribution", "share-alike")),
    (r"(a|l)?gpl(-[23]\.\d)?(-only|-or-later)?|eupl-1\.[12]|mpl-2\.0|osl-3\.0|epl-[12]\.0|lgpl-lr", ("attribution", "share-alike")),
    (r"cc-by-nc-[1-4]\.\d", ("attribution", "non-commercial")),
    (r"cc-by-nc-sa-[1-4]\.\d", ("attribution", "share-alike", "non-commercial")),
    (r"cc-by-nd-[1-4]\.\d", ("attribution", "no-derivatives")),
    (r"cc-by-nc-nd-[1-4]\.\d", ("attribution", "non-commercial", "no-derivatives")),
    (r"llama[\d.]*|gemma|.*openrail.*|apple-(amlr|ascl)|deepfloyd-if-license|intel-research|tii-falcon-llm|h-research|other", ("custom",)),
)  # fmt: skip
_SPELLINGS = {"apache2": "apache-2.0", "apache-2": "apache-2.0", "cc0": "cc0-1.0", "gplv2": "gpl-2.0", "gplv3": "gpl-3.0"}
_LATER = {"cc-by-sa-3.0": "cc-by-sa-4.0", "cc-by-nc-sa-3.0": "cc-by-nc-sa-4.0", "gpl-2.0-or-later": "gpl-3.0"}
"""Share-alike licences that let what is made from them go under another one."""
_AT_THE_HUB = {"pddl-1.0": "pddl", "odc-by-1.0": "odc-by", "odbl-1.0": "odbl"}
"""Ids that the hub writes otherwise than SPDX does; it also leaves out whether later versions are allowed."""
_NOT_AT_THE_HUB = ("public-domain", "0bsd", "mit-0")


@dataclass(frozen=True)
class Licence:
    """A licence as its owner wrote it (`said`), its id in lower case, what it asks, and where that was found."""

    said: str
    id: str
    demands: tuple[Demand, ...]
    found: str

    @property
    def known(self) -> bool:
        """Whether it is in the table, so that what it asks can be told."""
        return not {"unknown", "custom"} & set(self.demands)

    def in_words(self) -> str:
        """The licence with what it asks, for people."""
        if "unknown" in self.demands:
            named = "" if self.id == UNKNOWN else f" ({self.said!r} is no licence that Luthier knows)"
            return f"unknown{named}; {self.found}"
        asks = "terms of its own, to be read" if "custom" in self.demands else ", ".join(self.demands) or "asks nothing"
        return f"{self.said} ({asks}); {self.found}"


@dataclass(frozen=True)
class Outcome:
    """The bundle's licence as an id of the hub's, the name of one that the hub has no id for, and what to mind."""

    id: str
    name: str | None
    conflicts: tuple[str, ...]
    conditions: tuple[str, ...]


def licence_of(said: str, found: str) -> Licence:
    """A licence from what its owner wrote: an SPDX id, in any case and with spaces, or a text."""
    name = re.sub(r"-?licen[cs]e-?", "-", re.sub(r"[\s_]+", "-", said.strip().lower())).strip("-")
    name = _SPELLINGS.get(name, name)
    for pattern, demands in _FAMILIES:
        if re.fullmatch(pattern, name):
            return Licence(said.strip() or UNKNOWN, name or UNKNOWN, demands, found)
    return Licence(said.strip(), name, ("unknown",), found)


def base_licence(source: str) -> tuple[Licence, tuple[str, ...]]:
    """The licence of a base model and its languages, as its own card (README.md) says; unknown where it says nothing."""
    front = _front_matter(_base_card(source))
    said = front.get("license") or front.get("license_name")
    named = front.get("license_name") if said == "other" and front.get("license_name") else said
    language = front.get("language")
    languages = tuple(str(one) for one in ([language] if isinstance(language, str) else language or ()) if isinstance(one, str))
    if isinstance(named, list):
        named = " AND ".join(map(str, named))
    if not named:
        return licence_of(UNKNOWN, "its base comes without a card that says so"), languages
    licence = licence_of(str(named), "as the base's card says")
    # A name that the hub has no id for is a licence with terms of its own, not an unknown one.
    return (Licence(licence.said, licence.id, ("custom",), licence.found) if said == "other" and not licence.known else licence), languages


def derive(base: Licence, data: Licence) -> Outcome:
    """What a model made from a base and rows may be licensed as, which is never more than both of them allow."""
    both = (("base", base), ("data", data))
    conflicts = [*_each(both), *_together(base, data)]
    conditions = [f"name the source of the {what} ({one.said})" for what, one in both if "attribution" in one.demands]
    if any("non-commercial" in one.demands for _, one in both):
        conditions.append("no commercial use")
    if any("unknown" in one.demands for _, one in both):
        return Outcome(UNKNOWN, None, tuple(conflicts), tuple(conditions))
    if any("no-derivatives" in one.demands for _, one in both) or _together(base, data):
        return Outcome("other", "not-to-be-passed-on", tuple(conflicts), tuple(conditions))
    if any("custom" in one.demands for _, one in both):
        return Outcome("other", " and ".join(one.id for _, one in both if "custom" in one.demands), tuple(conflicts), tuple(conditions))
    strictest = max((base, data), key=_weight)
    both_share = "share-alike" in base.demands and "share-alike" in data.demands
    id_ = max(_terms(base) & _terms(data)) if both_share and base.id != data.id else _plain(strictest.id)
    if id_ in _NOT_AT_THE_HUB:
        return Outcome("other", id_, tuple(conflicts), tuple(conditions))
    return Outcome(_AT_THE_HUB.get(id_, id_), None, tuple(conflicts), tuple(conditions))


def _weight(one: Licence) -> int:
    """How much a licence asks of what is made from it."""
    return 4 * ("non-commercial" in one.demands) + 2 * ("share-alike" in one.demands) + ("attribution" in one.demands)


def _plain(id_: str) -> str:
    """An id without whether later versions are allowed."""
    return re.sub(r"-(only|or-later)$", "", id_)


def _terms(one: Licence) -> frozenset[str]:
    """The licences that what is made from a share-alike work may go under."""
    return frozenset({_plain(one.id), _LATER.get(one.id, _plain(one.id))})


def _each(both: Sequence[tuple[str, Licence]]) -> list[str]:
    found = []
    for what, one in both:
        if "unknown" in one.demands:
            found.append(f"the licence of the {what} is unknown: without one, nobody but its owner may pass on what is made from it")
        if "custom" in one.demands:
            found.append(f"the {what} has terms of its own ({one.said}): read them before passing the bundle on")
        if "no-derivatives" in one.demands:
            found.append(f"the licence of the {what} ({one.said}) allows no derived works: keep the bundle to yourself, or ask")
    return found


def _together(base: Licence, data: Licence) -> list[str]:
    """Where the two cannot both be kept."""
    shared = "share-alike"
    if not (base.known and data.known):
        return []
    for one, other, names in ((base, data, ("base", "data")), (data, base, ("data", "base"))):
        if shared in one.demands and "non-commercial" in other.demands and "non-commercial" not in one.demands:
            return [f"the {names[0]} must stay under {one.said}, which allows trade, and the {names[1]} ({other.said}) forbids it"]
    if shared in base.demands and shared in data.demands and not _terms(base) & _terms(data):
        return [f"base and data must each stay under their own licence, {base.said} and {data.said}: both cannot be kept"]
    return []


def _base_card(source: str) -> str:
    folder = locate(source)
    try:
        path = folder / "README.md" if folder is not None else Path(hf_hub_download(source, "README.md"))
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError):
        return ""


def _front_matter(text: str) -> Mapping[str, Any]:
    """The YAML between the two lines of dashes that a card begins with; nothing where there is none or it is broken."""
    found = re.match(r"\A\ufeff?---\s*\n(.*?)\n---\s*(\n|\Z)", text, re.DOTALL)
    try:
        value = yaml.safe_load(found.group(1)) if found else None
    except yaml.YAMLError:
        value = None
    return value if isinstance(value, Mapping) else {}
