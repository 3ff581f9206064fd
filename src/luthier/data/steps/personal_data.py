"""What tells who somebody is, dropped, masked by its kind, or replaced by placeholders that only a key turns back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.core.secret_keys import NAME
from luthier.data import personal
from luthier.data.decisions import Changed, Dropped, Kept, RowStep
from luthier.data.personal import Certainty, PersonalKind
from luthier.data.personal.hiding import Action, Seeker, decided
from luthier.data.personal.phone import Phone, unknown_regions
from luthier.data.personal.placeholders import Vault, passing_vault, vault_in
from luthier.data.tools import Tools

DEFAULT_KEY = "personal"


@dataclass(frozen=True, kw_only=True)
class PersonalData:
    """Finds personal data by patterns with checks, in what a model reads: texts, the arguments of tool calls, speakers' names.

    Names and postal addresses take a model to be found well; they are found only in some forms, and only if asked for.
    Served models get what is asked masked or replaced in the same way; placeholders are then made with a key that ends with
    the process. What is found, what is missed and how often is in docs/privacy.md.
    """

    kind: Literal["personal_data"] = "personal_data"
    action: Action = option(
        "mask",
        about='what becomes of it: "mask" ([EMAIL]), "replace" (<EMAIL_k3v9x2p7q4wz>, the same for the same value), or "drop" the row',
        why="it needs no key and cannot be undone",
    )
    kinds: tuple[PersonalKind, ...] = option(
        personal.PERSONAL_KINDS, about="what is looked for", why="names and postal addresses take a model to be found well"
    )
    at_least: Certainty = option(
        "likely", about="how certain a finding must be: possible, likely or certain", why="possible ones are mostly something else"
    )
    regions: tuple[str, ...] = option(
        Phone().regions, about="countries (ISO 3166) whose telephone numbers are known without +", why="each adds mistakes of its own"
    )
    columns: bool = option(
        False, about="look in columns that no model reads too", why="an id or a group would no longer be what it was"
    )
    key: str = option(DEFAULT_KEY, about="the key for placeholders, by name", why="with one key, a value has one placeholder in all runs")
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Options without effect, unknown regions, and names that are no file's."""
        if not self.kinds:
            yield "kinds", "is empty, so the step does nothing", "name some, or remove the step"
        if "regions" in given and "phone" not in self.kinds:
            yield "regions", "has no effect without phone among kinds", "remove it, or add phone"
        unknown = unknown_regions(self.regions) if self.regions != Phone().regions else ()
        if unknown:
            yield "regions", f"holds {', '.join(unknown)}, which no country's telephones go by", 'use codes such as "DE" or "IN"'
        yield from key_complaints(self.action, self.key, given)

    def apply(self, example: AnyExample) -> Kept | Changed | Dropped:
        """`Changed` or `Dropped` where something was found; without the key, placeholders are of the process's own."""
        return decided(example, self._seeker(), self.action, passing_vault() if self.action == "replace" else None)

    @property
    def keeps_key(self) -> bool:
        """Placeholders are made with a key."""
        return self.action == "replace"

    def with_tools(self, tools: Tools) -> RowStep:
        """The step with its key, which is made if there is none yet."""
        if self.action != "replace":
            return self
        return WithKey(self.kind, self._seeker(), vault_in(tools.secrets, self.key, tools.home))

    def _seeker(self) -> Seeker:
        return Seeker(personal.recognisers(self.kinds, self.regions), self.at_least, self.columns)


@dataclass(frozen=True)
class WithKey:
    """A step that replaces, and has the key to do it."""

    kind: str
    seeker: Seeker
    vault: Vault

    def apply(self, example: AnyExample) -> Kept | Changed | Dropped:
        """`Changed` where something was found; the row carries the sealed values."""
        return decided(example, self.seeker, "replace", self.vault)


def key_complaints(action: Action, key: str, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
    """What is wrong with the name of a key, or with there being one."""
    if action != "replace" and "key" in given:
        yield "key", f'has no effect with action = "{action}"', 'remove it, or set action to "replace"'
    if not NAME.fullmatch(key):
        yield "key", f"is {key!r}, which names no file", "use letters, digits, dashes and underscores"
