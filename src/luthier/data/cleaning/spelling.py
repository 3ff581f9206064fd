"""Slips of the keyboard in English words, of which it is plain what was meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symspellpy import SymSpell

# A word in small letters by itself: not in a name, an address, a path, a code, an abbreviation or a compound.
_WORD = re.compile(r"(?<![\w@#$%&*+/\\<>=.:_~^'’`-])[a-z]{4,24}(?![\w@#$%&*+/\\<>=_~^`-]|['’]\w|[.:]\w)")
_ANY_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_DOUBLED_L = re.compile("ll+")
_CODE = re.compile(r"```|^(?: {4}|\t)|`[^`\n]+`|[{};]\s*$|\w\(\)|https?://", re.MULTILINE)
_ENDINGS = (
    "s", "es", "ed", "d", "ing", "er", "ers", "or", "ors", "ly", "y", "ness", "less", "ish", "able", "ful", "ism", "ist", "ists", "like",
    "ment", "ised", "ise", "ising", "isation", "ized", "ize", "izing", "ization", "est", "en", "wise", "ward", "wards",
)  # fmt: skip
_BEGINNINGS = (
    "anti", "auto", "bi", "bio", "co", "counter", "cyber", "de", "dis", "eco", "em", "en", "ex", "extra", "fore", "geo", "hyper", "im",
    "in", "inter", "intra", "macro", "mega", "meta", "micro", "mid", "mini", "mis", "mono", "multi", "nano", "neo", "neuro", "non", "over",
    "para", "photo", "poly", "post", "pre", "pro", "pseudo", "psycho", "quasi", "re", "semi", "socio", "sub", "super", "tele", "theo",
    "thermo", "trans", "tri", "ultra", "un", "under", "uni", "up",
)  # fmt: skip
_ENGLISH, _FEWEST = 0.75, 5
_FREQUENT = 2_000_000  # occurrences in the word list's corpus, in which "the" has 23 billion: rarer words are meant too seldom
_LIKELIER = 30.0


@dataclass(frozen=True)
class _Dictionary:
    """Words with how often they occur in a large corpus, and what finds the words near another."""

    counts: Mapping[str, int]
    near: SymSpell


def corrected(text: str) -> str:
    """The text with the plain slips in it put right; every other character stays.

    A word is changed only if all of this holds: it stands in English prose (three quarters of at least five words are known),
    in small letters and by itself, once; it is in no word list, nor made from a word there by a usual beginning, ending or
    by joining two; and of the words one slip away (a letter too many, too few, another, or two exchanged; Damerau, 1964,
    doi:10.1145/363958.363994) that begin with the same letter, one is frequent, and thirty times likelier than the next.
    """
    if _CODE.search(text):
        return text
    counts = Counter(found[0].lower().replace("’", "'") for found in _ANY_WORD.finditer(text))
    n_words = counts.total()
    if n_words < _FEWEST or sum(n for word, n in counts.items() if _is_known(word)) < _ENGLISH * n_words:
        return text
    return _WORD.sub(lambda found: found[0] if counts[found[0]] > 1 else _meant(found[0]), text)


def _meant(word: str) -> str:
    """The word that was meant, or the word itself."""
    if _is_known(word):
        return word
    from symspellpy import Verbosity

    found = _dictionary().near.lookup(word, Verbosity.CLOSEST, max_edit_distance=1)
    near = sorted(((one.count, one.term) for one in found if one.term[0] == word[0]), reverse=True)
    if not near or near[0][0] < _FREQUENT or (len(near) > 1 and near[0][0] < _LIKELIER * near[1][0]):
        return word
    return word if _spelt(word) == _spelt(near[0][1]) else near[0][1]


def _spelt(word: str) -> str:
    """The word without what is spelt differently on either side of the Atlantic: colour and color, travelled, organise, defence."""
    return _DOUBLED_L.sub("l", word.replace("our", "or").replace("z", "s").replace("ence", "ense").replace("ogue", "og"))


@lru_cache(maxsize=1 << 17)
def _is_known(word: str) -> bool:
    """Whether a word is in the list, or made from words there in a usual way."""
    counts = _dictionary().counts
    if word in counts or word.removesuffix("'s") in counts:
        return True
    bases = {word.removesuffix(ending) for ending in _ENDINGS} | {word.removeprefix(one) for one in _BEGINNINGS}
    bases |= {word.removesuffix(ending) + "e" for ending in _ENDINGS if word.endswith(ending)}
    bases |= {base[:-1] for base in bases if len(base) > 3 and base[-1] == base[-2]}  # planned, plan
    bases |= {base[:-1] + "y" for base in bases if base.endswith("i")}  # tidied, tidy
    if any(base != word and len(base) > 2 and base in counts for base in bases):
        return True
    return any(word[:i] in counts and word[i:] in counts for i in range(3, len(word) - 2))


@cache
def _dictionary() -> _Dictionary:
    from symspellpy import SymSpell

    near = SymSpell(max_dictionary_edit_distance=1, prefix_length=7)
    with resources.as_file(resources.files("symspellpy") / "frequency_dictionary_en_82_765.txt") as path:
        near.load_dictionary(str(path), term_index=0, count_index=1)
    return _Dictionary(near.words, near)
