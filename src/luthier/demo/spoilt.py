"""What happens to a text on its way into a help-desk export: markup, wrong decoding, quotes of earlier mail, second tries."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import date

from luthier.core.draws import seed_of

N_HTML_STYLES = 5
NEAR = 0.8
# What Windows-1252 leaves open, readers of the web take as the control characters of Latin-1; so do real exports.
_CP1252 = [bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256)]
_SENTENCE_END = re.compile(r"(?<=[.!?]) +")
_ACKNOWLEDGED = (
    "Thank you for your message.\nWe will come back to you within two working days.",
    "Dear customer,\n\nthank you for getting in touch. Somebody will read this soon.",
    "We have received your message. This is an automatic reply.",
    "Hello {name},\nthanks for writing. Could you tell us a little more?",
    "Hello {name},\nsorry that this took us so long. How may we help?",
    "Dear {name},\nyour message has been passed on to a colleague.\n\nHollis & Wren",
    "Hi {name},\ncan you say that again with a few more details, please?",
    "Good afternoon,\nour help desk is busier than usual. We ask for your patience.",
)
_WROTE: Mapping[str, str] = {
    "en": "On {day} {month} {year}, Hollis & Wren wrote:",
    "de": "Am {day:02d}.{m:02d}.{year} schrieb Hollis & Wren:",
    "fr": "Le {day:02d}/{m:02d}/{year}, Hollis & Wren a écrit :",
    "es": "El {day:02d}/{m:02d}/{year}, Hollis & Wren escribió:",
    "pl": "W dniu {day:02d}.{m:02d}.{year} Hollis & Wren napisali:",
}
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
_SWAPS = (
    ("could you", "can you"), ("can you", "could you"), ("I'd like", "I would like"), ("I've", "I have"), ("it's", "it is"),
    ("please", "pls"), ("about", "roughly"), ("still", "yet still"), ("just", "only just"), ("really", "truly"), ("want", "wish"),
    ("my", "our"), ("I'm", "I am"), ("and", "&"), ("but", "though"), ("very", "quite"), ("guitar", "gitar"), ("violin", "vioiln"),
)  # fmt: skip
_GREETED = re.compile(r"(?:hi|hello|hey|dear|evening|morning|good|hiya|hallo|bonjour|hola)\b", re.IGNORECASE)


def typographic(text: str) -> str:
    """The text with curly quotes and en dashes in the places of straight quotes and spaced hyphens."""
    text = re.sub(r'(?<![^\s(])"', "“", text).replace('"', "”")
    text = re.sub(r"(?<![^\s(“])'(?=\w)", "‘", text).replace("'", "’")
    return re.sub(r"(?<= )-(?= )", "–", text)


def misread(text: str) -> str:
    """The text's UTF-8 bytes read as Windows-1252."""
    return "".join(_CP1252[byte] for byte in text.encode("utf-8"))


def as_html(text: str, style: int) -> str:
    """The text as one of five kinds of mail programs and web forms would have it; what it says stays the same.

    Args:
        text: plain text.
        style: 0 paragraphs, 1 one styled block, 2 entities and no tags, 3 a block in a block, 4 line breaks.

    """
    escaped = html.escape(text, quote=style == 2)
    broken = escaped.replace("\n", "<br>")
    match style:
        case 0:
            parts = re.split(r"\n{2,}", escaped)
            return "".join(f"<p>{part}</p>" for part in (one.replace("\n", "<br>") for one in parts))
        case 1:
            return f'<div style="font-family: Arial, sans-serif; font-size: 10pt">{broken}</div>'
        case 2:
            return _SENTENCE_END.sub("&nbsp; ", escaped) + "&nbsp;"
        case 3:
            return f'<div class="message"><span style="color: #1f1f1f">{_SENTENCE_END.sub("&nbsp; ", broken)}</span></div>'
        case _:
            return _SENTENCE_END.sub("<br />", escaped.replace("\n", "<br />")) + "<br />"


def quoted(name: str, lang: str, day: date, draw: int) -> str:
    """An earlier reply of the workshop, quoted line by line under the words that say when it was written."""
    wrote = _WROTE[lang].format(day=day.day, m=day.month, month=_MONTHS[day.month - 1], year=day.year)
    said = _ACKNOWLEDGED[draw % len(_ACKNOWLEDGED)].format(name=name.split(maxsplit=1)[0])
    return "\n".join([wrote, *(f"> {line}".rstrip() for line in said.split("\n"))])


def broken_off(text: str, draw: float) -> str:
    """The text up to somewhere between a third and three quarters of it, in the middle of a word where there is one."""
    aim = round(len(text) * (0.35 + 0.4 * draw))
    inside = [i for i in range(aim, len(text) - 1) if text[i - 1].isalnum() and text[i].isalnum()]
    return text[: inside[0] if inside else aim].rstrip()


def second_tries(text: str, lang: str, *key: int | str) -> list[str]:
    """Ways to say nearly the same again, in an order drawn by the key: a word, a slip, another ending, a greeting."""
    end = text.rstrip(".!?")
    found = [text + "!" if end == text else end, end + "??" if text.endswith("?") else end + "...", _slipped(text, seed_of(*key, "slip"))]
    if lang == "en":
        found += [f"{text} Thanks.", f"{text} Thank you"]
        found += [re.sub(rf"\b{old}\b", new, text, count=1) for old, new in _SWAPS if re.search(rf"\b{old}\b", text)]
        if not _GREETED.match(text):
            found += [f"Hi, {text}", f"Hello again. {text}"]
    return sorted({one for one in found if one != text}, key=lambda one: seed_of(*key, one))


def retold(core: str, plain: str, tries: Iterable[str]) -> str | None:
    """The first of the tries that is near the words `core`, and keeps the whole message `plain` near itself; None if none is."""
    return next((one for one in tries if min(likeness(one, core), likeness(plain.replace(core, one, 1), plain)) >= NEAR), None)


def likeness(a: str, b: str) -> float:
    """Jaccard similarity of the two texts' sets of character 5-grams, case and differences of space left out."""
    grams_a, grams_b = _grams(a), _grams(b)
    return len(grams_a & grams_b) / max(1, len(grams_a | grams_b))


def _grams(text: str) -> set[str]:
    text = " ".join(text.casefold().split())
    return {text[i : i + 5] for i in range(len(text) - 4)}


def _slipped(text: str, draw: int) -> str:
    """The text with two neighbouring letters of one longer word exchanged."""
    inside = (found.start() for found in re.finditer(r"(?<=[a-z])(?=[a-z]{3})", text))
    places = [i for i in inside if text[i] != text[i + 1]]
    if not places:
        return text
    i = places[draw % len(places)]
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
