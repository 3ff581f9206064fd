"""Letters of another script that look like those around them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.data.decisions import Changed, Kept, changed_or_kept

# Pairs that look the same in common typefaces, a subset of Unicode's confusables; accents are told apart by composing them again.
_LATIN_CYRILLIC = dict(zip("aceopxyijshABCEHIJKMOPSTXYË", "асеорхуіјѕһАВСЕНІЈКМОРЅТХУЁ", strict=True))
_LATIN_GREEK = dict(zip("oABEHIKMNOPTXYZ", "οΑΒΕΗΙΚΜΝΟΡΤΧΥΖ", strict=True))
_TO_LATIN = {ord(other): latin for table in (_LATIN_CYRILLIC, _LATIN_GREEK) for latin, other in table.items()}
_TO_CYRILLIC = {ord(latin): other for latin, other in _LATIN_CYRILLIC.items()}
_TO_GREEK = {ord(latin): other for latin, other in _LATIN_GREEK.items()}
_FORMULA = 4  # shorter words with a Greek letter are formulas: Kα, Hz
_WORD = re.compile(r"[^\W\d_]{2,}")
_OTHER = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")


@dataclass(frozen=True, kw_only=True)
class LookAlikes:
    """Writes words of mixed script in the one script that all of their letters could belong to.

    A Cyrillic `а` in `pаypal` becomes Latin, a Latin `M` in `Mосква` Cyrillic, a Latin `A` in `Aθήνα` Greek: one script must have
    a look-alike of every letter of the other, and hold a letter that the other has none of. Words that could be either, words of
    one script, and words that mix scripts on purpose stay. Source: Unicode Technical Standard 39, whose list of confusables is cut down
    to letters that are drawn alike. Opt-in, for texts about such letters need them.
    """

    kind: Literal["look_alikes"] = "look_alikes"
    decodes: ClassVar[bool] = False

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where a word was of mixed script."""
        return changed_or_kept(example, example.map_text(_in_one_script), "letters of another script")


def _in_one_script(text: str) -> str:
    if not _OTHER.search(text) or not _LATIN.search(text):
        return text
    return _WORD.sub(lambda found: _word(found[0]), text)


def _word(word: str) -> str:
    scripts = {_script(letter) for letter in word}
    if len(scripts) != 2 or "LATIN" not in scripts or not scripts <= {"LATIN", "CYRILLIC", "GREEK"}:
        return word
    other = next(script for script in scripts if script != "LATIN")
    to_other = _TO_CYRILLIC if other == "CYRILLIC" else _TO_GREEK
    as_latin, as_other = word.translate(_TO_LATIN), word.translate(to_other)
    can_be_latin = all(_script(letter) == "LATIN" for letter in as_latin)
    can_be_other = all(_script(letter) == other for letter in as_other)
    if can_be_latin == can_be_other or (can_be_other and other == "GREEK" and len(word) < _FORMULA):
        return word
    return as_latin if can_be_latin else as_other


@cache
def _script(letter: str) -> str:
    """The first word of the letter's Unicode name, which is its script for the three that matter here."""
    return unicodedata.name(letter, "").partition(" ")[0]
