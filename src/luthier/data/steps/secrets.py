"""Keys, tokens and passwords, dropped, masked by their kind, or replaced by placeholders that only a key turns back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data import personal
from luthier.data.decisions import Changed, Dropped, Kept, RowStep
from luthier.data.personal import Certainty, SecretKind
from luthier.data.personal.hiding import Action, Seeker, decided
from luthier.data.personal.placeholders import passing_vault, vault_in
from luthier.data.steps.personal_data import DEFAULT_KEY, WithKey, key_complaints
from luthier.data.tools import Tools


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Finds keys of some thirty services by shape, private keys, signed tokens, passwords in URLs, and what stands after "password:".

    Examples from documentation, UUIDs, digests, variables and calls are left alone. A secret that was in a data set is to
    be taken out of use, whatever becomes of the row.
    """

    kind: Literal["secrets"] = "secrets"
    action: Action = option(
        "mask",
        about='what becomes of it: "mask" ([API_KEY]), "replace" (<API_KEY_k3v9x2p7q4wz>, the same for the same value), or "drop" the row',
        why="it needs no key and cannot be undone",
    )
    kinds: tuple[SecretKind, ...] = option(personal.SECRET_KINDS, about="what is looked for", why="each opens something")
    at_least: Certainty = option(
        "likely", about="how certain a finding must be: possible, likely or certain", why="possible ones are mostly examples"
    )
    columns: bool = option(
        False, about="look in columns that no model reads too", why="an id or a group would no longer be what it was"
    )
    key: str = option(DEFAULT_KEY, about="the key for placeholders, by name", why="with one key, a value has one placeholder in all runs")
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Options without effect, and names that are no file's."""
        if not self.kinds:
            yield "kinds", "is empty, so the step does nothing", "name some, or remove the step"
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
        return Seeker(personal.recognisers(self.kinds), self.at_least, self.columns)
