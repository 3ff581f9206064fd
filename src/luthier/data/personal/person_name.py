"""Names of people, as far as the words before them tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import WORDS, Finding

_PART = (
    r"(?:(?:van|von|de|der|den|del|della|di|da|dos|la|le|bin|ibn|al|el|ten|ter|zu)[ -]){0,3}"
    r"[A-ZÀ-ÖØ-ÞŠŽČĆĐŁŚŻŹ][\w'’-]*[a-zà-öø-ÿšžčćđłśżź][\w'’-]*\.?"
)
_INITIAL = r"(?:[A-Z]\. ?)"
_NAME = rf"((?:{_INITIAL}){{0,2}}{_PART}(?: (?:{_INITIAL})?{_PART}){{0,3}})"
_TITLE = re.compile(
    r"(?<!\w)(?:[Mm]r|[Mm]rs|[Mm]s|[Mm]iss|[Mm]x|[Dd]r|[Pp]rof|Professor|Herrn?|Frau|M(?=\.)|Mme|Mlle|Monsieur|Madame|Sra?|Señora?|"
    r"Don|Doña|Sig(?:ra)?|Signora?)\.? " + _NAME
)
_GREETING = re.compile(
    r"(?:^|(?<=[\n.!?] )|(?<=\n))(?:Dear|Hi|Hello|Hey|Lieber?|Hallo|Cher|Chère|Bonjour|Querid[oa]|Estimad[oa]|Hola|Car[oa]|Ciao),? "
    + _NAME
    + r"(?=[,!:\n]|$)"
)
_SAID = re.compile(
    r"(?i:(?<!\w)(?:my (?:full |first |last )?name(?:'s| is)|name[ ]?[:=]|i am called|signed[,:]|"
    r"(?:kind |best |warm )?regards[,\n]+|sincerely[,\n]+|cheers[,\n]+|"
    r"ich hei(?:ß|ss)e|mein name ist|je m'appelle|me llamo|mi chiamo|meu nome é))[ \n]*" + _NAME
)
_NOT_NAMES = frozenset(
    (
        "Sir", "Madam", "Team", "All", "Everyone", "Customer", "Support", "There", "Friend", "Friends", "Colleagues",
        "President", "Minister", "Doctor", "Professor", "Bot", "Assistant", "Chatbot", "The", "This", "That", "God", "Lord",
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Santa", "Diary", "Hiring", "Manager",
    )
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PersonName:
    """Names after a title ("Dr Ada Lovelace"), a greeting ("Dear Ada,"), or "my name is".

    Likely where somebody names themselves or is greeted, possible after a title alone, which people in books bear as well.
    A name without such words is not found: that takes a model, and one that is wrong now and then.
    """

    kind: Literal["person_name"] = "person_name"
    signs: ClassVar[int] = WORDS

    def find(self, text: str) -> Iterator[Finding]:
        """The name, without the words before it."""
        for pattern in (_TITLE, _GREETING, _SAID):
            for match in pattern.finditer(text):
                end = match.end(1) - (1 if match[1].endswith(".") else 0)
                if match[1].split()[0].rstrip(".") not in _NOT_NAMES:
                    yield Finding(self.kind, match.start(1), end, "possible" if pattern is _TITLE else "likely")
