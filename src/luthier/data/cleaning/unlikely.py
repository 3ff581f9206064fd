"""How unlikely a stretch of text is, in any language: a code for characters in which what people seldom write is long.

Lengths are in nats and set by hand from what writing systems have in common: a word keeps to one script, a capital stands first
or everything is capital, a sign stands between words and not inside of one. They are no language model, and need none:
they tell readings of the same bytes apart, whose lengths differ by tens of nats.
"""

from __future__ import annotations

import functools
import re
import unicodedata

# Scripts that much is written in today, by the first word of their characters' names, with the length of a letter after another.
_SCRIPTS = {
    "GREEK": 3.5, "CYRILLIC": 3.5, "ARMENIAN": 4.0, "HEBREW": 3.5, "ARABIC": 3.5, "DEVANAGARI": 4.0, "BENGALI": 4.0, "GURMUKHI": 4.0,
    "GUJARATI": 4.0, "ORIYA": 4.0, "TAMIL": 4.0, "TELUGU": 4.0, "KANNADA": 4.0, "MALAYALAM": 4.0, "SINHALA": 4.0, "THAI": 4.0, "LAO": 4.0,
    "TIBETAN": 4.0, "MYANMAR": 4.0, "GEORGIAN": 4.0, "ETHIOPIC": 5.0, "KHMER": 4.0, "MONGOLIAN": 4.5, "HANGUL": 6.0, "CJK": 7.0,
    "HIRAGANA": 4.5, "KATAKANA": 4.5, "KATAKANA-HIRAGANA": 5.0, "IDEOGRAPHIC": 6.0, "BOPOMOFO": 6.0, "FULLWIDTH": 6.5, "HALFWIDTH": 7.5,
}  # fmt: skip
_CAPITAL = 1.5
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH", "HANGUL"))
# What a letter's case costs after the cases of the letters before it: where all is capital, a capital is nothing special.
_CASES = {"AAA": -_CAPITAL, "AA": -_CAPITAL, "aaA": 5.0, "AaA": 5.0, "AAa": 5.0, "aA": 3.0}
_NEW_SCRIPT, _FOREIGN_SCRIPT = 5.0, 15.0
_ASCII_LETTER, _ASCII_OTHER = 3.0, 4.0
# Letters with marks: in everyday use in several languages, in a few, and only by phoneticians and scholars.
_COMMON = frozenset("áàâäãåçéèêëíîïñóôöõøúùûüšžčěřşğıąęłő")
_LESS_COMMON = frozenset("æìòœßćńśźżůűțșăđāēīūņļģķėųįżħġċðþýĉĝĥĵŝŭ")
_CAPITAL_COMMON = frozenset("ÁÀÄÅÆÇÉÈÊÍÎÑÓÖØÚÜČŠŽŁŚİŞ")
_USED = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
_ARCHAIC = re.compile("[\u03d0-\u03ff\u0460-\u0489]")
_STRANGE = re.compile("[\u0180-\u019f\u01a2-\u01ae\u01b1-\u01cc\u01dd-\u01ff\u0200-\u0217\u021c-\u024f\u1e00-\u1e9d]")
# Signs of good printing, and those that calculations, lists and shops use; other signs cost more, most of them much more.
_PRINTED = frozenset("–—‘’“”„…«»·•€£°§©®™×½²³\u00ad\u200b\u200c\u200d\u200e\u200f→←−≤≥≠≈№、。「」・！？，：；（）～")
_SIGNS = re.compile(
    "[\u00a1-\u00a3\u00a5\u00aa\u00b1-\u00b3\u00b5-\u00b7\u00b9\u00ba\u00bc-\u00bf\u00d7\u00f7\u2010-\u203a\u2070-\u208e\u20a0-\u20bf"
    "\u2100-\u2128\u2190-\u21ff\u2200-\u22ff\u2580-\u27bf\u3000-\u303f\uff00-\uffef\U0001f000-\U0001faff]"
)
_PRINTED_COST, _SIGN_COST, _OTHER_COST = 6.5, 9.0, 16.0
_JOINING = frozenset("—–'’-‐‑·\u00ad\u200c\u200d")


@functools.cache
def _known(character: str) -> tuple[str, str, float]:
    """A character's kind (letter `a`, capital `A`, mark `m`, sign `s`, digit `0`, space, other `x`), its script, and its own length."""
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if character.isascii():
        return _known_ascii(character, category)
    if category in ("Cc", "Cn", "Co", "Cs") or character in "\ufffd\ufffe":
        return "x", "", _OTHER_COST
    if character in "\u00a0\u202f\u2009":
        return " ", "", 5.0
    if character in _PRINTED:
        return ("s", "CJK", _PRINTED_COST) if ord(character) >= 0x3000 else ("s", "", _PRINTED_COST)
    script = _script(name)
    if category[0] == "M":
        return "m", script, _SCRIPTS.get(script, 8.0 if script == "COMBINING" else _FOREIGN_SCRIPT)
    if category in ("Lu", "Lt"):
        return "A", script, _letter(character, script) + _CAPITAL
    if category[0] == "L" and not name.startswith(("FEMININE", "MASCULINE", "MODIFIER")):
        return "a", script, _letter(character, script)
    if category[0] == "N":
        return "0" if category == "Nd" else "s", "", _SIGN_COST if category != "Nd" or script not in _SCRIPTS else 6.0
    if name.startswith("BOX DRAWINGS"):
        return "d", "", _SIGN_COST
    if script in _SCRIPTS:
        return "s", script, _PRINTED_COST
    return "s", "", _SIGN_COST if _SIGNS.match(character) else _OTHER_COST


def _known_ascii(character: str, category: str) -> tuple[str, str, float]:
    if character.isalpha():
        return ("a" if character.islower() else "A"), "LATIN", _ASCII_LETTER + (0.5 if character.isupper() else 0.0)
    if character.isdigit():
        return "0", "", _ASCII_OTHER
    if character in " \t\n\r":
        return " ", "", 2.0
    return ("x", "", _OTHER_COST) if category == "Cc" else (".", "", _ASCII_OTHER)


def _script(name: str) -> str:
    first = name.split(" ", 1)[0]
    return "ARABIC" if first in ("ZERO", "EXTENDED") else first


def _letter(character: str, script: str) -> float:
    if script != "LATIN":
        return 12.0 if _ARCHAIC.match(character) else _SCRIPTS.get(script, _FOREIGN_SCRIPT)
    if character in _COMMON:
        return 5.0
    if character in _LESS_COMMON or character in _CAPITAL_COMMON:
        return 5.5
    if _STRANGE.match(character) and character not in "ƠơƯư":
        return 12.0
    return 7.0 if _USED.match(character) else 12.0


def cost(text: str, before: str = "", after: str = "") -> float:
    """The length of `text` in nats, between the characters `before` and `after` (empty: the text's ends)."""
    total = 0.0
    kind, script, _ = _known(before[-1]) if before else (" ", "", 0.0)
    last = before[-1:]
    beyond = before[-2:-1]
    earlier = _known(beyond)[0] if beyond else " "
    for character in text + after[:1]:
        next_kind, next_script, own = _known(character)
        total += own + _joint(earlier, kind, script, next_kind, next_script, last, character)
        earlier, kind, script, last = kind, next_kind, next_script or script, character
    return total - (_known(after[0])[2] if after else 0.0)


def _joint(earlier: str, kind: str, script: str, next_kind: str, next_script: str, last: str, character: str) -> float:
    """What it costs that one character follows another."""
    if next_kind in "aA":
        if kind in "aA":
            return _within_word(earlier + kind + next_kind, script, next_script)
        if kind == "d":
            return 4.0
        if kind == "s" and earlier in "aA" and last not in _JOINING and next_script not in _EAST_ASIAN:
            return 4.0
        return _NEW_SCRIPT if next_script not in (script, "LATIN") else 0.0
    if next_kind == "m":
        return 0.0 if kind in "aAm" and next_script in (script, "COMBINING") else 8.0
    if next_kind == "s" and next_script not in ("", script) and next_script not in _EAST_ASIAN:
        return _NEW_SCRIPT + 4.0
    if next_kind == "s" and kind in "aA" and character not in _JOINING and not next_script:
        return 2.0 if kind == "a" else 3.0
    if next_kind == "d":
        return 3.0 - _SIGN_COST if kind == "d" else 4.0 if kind in "aA" else 0.0
    if next_kind == "0" and kind == "a":
        return 2.0
    return 0.0


def _within_word(kinds: str, script: str, next_script: str) -> float:
    """What it costs that a letter follows a letter, given the kinds of both and of what stands before them."""
    if script != next_script:
        return 0.0 if script in _EAST_ASIAN and next_script in _EAST_ASIAN else 8.0
    return _CASES.get(kinds, _CASES.get(kinds[1:], 0.0))
