"""Passwords and keys that are named: "password: …", "api_key = …"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import WORDS, Finding
from luthier.data.personal.randomness import is_example, is_identifier, looks_random

_ASSIGNED = re.compile(
    r"(?<![A-Za-z])(?P<name>(?:[A-Za-z0-9]{1,20}[_.-]){0,4}"
    r"(?P<word>passwords?|passwd|passphrase|passcode|pwd|pass|secret|token|bearer|credentials?|"
    r"(?:api|access|secret|private|auth|encryption|signing|master|account|app)[ _-]?key|apikey|passwort|kennwort|"
    r"mot de passe|contrase[ñn]a|senha)"
    r"(?:[_-](?:key|id|value|hash|base64|prod|dev))?)(?![A-Za-z])"
    r"[\"'`*]{0,3}[ \t]{0,3}(?P<link>:=|=>|==?|:| is[ :]|[ \t](?=[^\s]{20}))[ \t]{0,3}"
    r"(?P<quote>[\"'`]?)(?P<value>[^\s\"'`<>,;\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]{4,512})",
    re.IGNORECASE,
)
# What must be there for any of these names to be.
_NAMES = ("pass", "pwd", "secret", "token", "bearer", "credential", "key", "kennwort", "contrase", "senha")
_PASSWORDS = re.compile(r"pass|pwd|kennwort|mot de passe|contrase|senha", re.IGNORECASE)
_PUBLIC = re.compile(
    r"public|_(?:id|hash|name|file|path|type|url|field|length|policy)$|csrf|xsrf|next_?token|page_?token|max_?token|num_?token|n_?token",
    re.IGNORECASE,
)
# What programs write where a value would stand: calls, members, variables, paths.
_CODE = re.compile(r"[()\[\]{}]|^(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*$|^\$|^%\w|^&|^\*+$|^/|^\./|^~|^https?:|^\w:\\|^--|->|^\.+$|::|\\u")
_END = ".,;:!?)]}"


@dataclass(frozen=True, kw_only=True)
class AssignedSecret:
    """A value after a name for secrets.

    A password (eight characters or more, of at least two sorts, one of them a digit or a sign) and a key (sixteen or more,
    random) are likely. Examples, UUIDs and digests in hexadecimal, variables, calls and paths are left alone, for those
    are what stands after such names in code and in documentation.
    """

    kind: Literal["secret"] = "secret"
    signs: ClassVar[int] = WORDS

    def find(self, text: str) -> Iterator[Finding]:
        """The value alone, without its quotes."""
        lower = text.lower()
        if not any(word in lower for word in _NAMES):
            return
        for match in _ASSIGNED.finditer(text):
            value = match["value"] if match["quote"] else match["value"].rstrip(_END)
            if _PUBLIC.search(match["name"]) or _CODE.search(value) or is_example(value):
                continue
            start = match.start("value")
            if _PASSWORDS.search(match["word"]):
                if match["link"].strip() and _is_password(value):
                    yield Finding(self.kind, start, start + len(value), "likely", "password")
            elif len(value) >= 16 and looks_random(value, 3.2) and not is_identifier(value):
                yield Finding(self.kind, start, start + len(value), "likely", "key")


def _is_password(value: str) -> bool:
    """What people choose as one; a word of prose is none."""
    sorts = [any(test(one) for one in value) for test in (str.islower, str.isupper, str.isdigit, lambda one: not one.isalnum())]
    is_prose = re.fullmatch(r"[A-Za-z]+(?:[-'’/&][A-Za-z]+)*", value) is not None
    return len(value) >= 8 and sum(sorts) >= 2 and (sorts[2] or sorts[3]) and not is_prose and not is_identifier(value)
