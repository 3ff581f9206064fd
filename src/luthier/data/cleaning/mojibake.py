"""Text whose UTF-8 bytes were read as another encoding: seeing it, and reading it rightly.

Where every character beyond ASCII of a stretch of text, turned back into the bytes of an old encoding, is part of a valid
UTF-8 sequence, the stretch has two readings: as it stands, or as what those bytes say. The one that is cheaper to write down
is taken (the minimum description length; Rissanen, 1978, doi:10.1016/0005-1098(78)90005-5): `unlikely.cost` is the length of
what is read, and the second reading pays for the claim that there was an accident. To look for stretches, and not at a
whole text, is an idea of ftfy's (Speer, 2019, doi:10.5281/zenodo.2591652).
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from luthier.data.cleaning.unlikely import cost

# Name → nats that the claim "this was read as that" costs: the rarer the accident, the more.
_PRICES = {
    "latin_1": 4.0, "cp1252": 4.0, "mac_roman": 6.0, "cp1251": 6.0, "cp1250": 6.0, "cp1254": 6.0, "cp1253": 6.0, "cp1257": 6.0,
    "iso8859_2": 8.0, "iso8859_15": 8.0, "cp437": 6.0, "cp850": 6.0, "cp852": 7.0, "cp1255": 7.0, "cp1256": 7.0, "cp1258": 7.0,
    "cp874": 7.0, "mac_latin2": 7.0, "iso8859_7": 7.0, "koi8_r": 8.0, "cp866": 8.0, "mac_cyrillic": 8.0, "iso8859_5": 8.0,
}  # fmt: skip
_AGAIN = 2.0  # the claim that the same accident happened once more
_MOST_TIMES = 5
_BRANCHES = 3
_TWO = re.compile(r"[^\x00-\x7f]{2}")  # the least that could be a sequence
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class _Encoding:
    """What undoes the reading of UTF-8 as one encoding.

    `to_byte` maps characters to bytes from 0x80 on, written as Latin-1 has them; `run` finds the stretches in which they
    form UTF-8 sequences.
    """

    name: str
    to_byte: dict[int, str]
    run: re.Pattern[str]


@dataclass(frozen=True)
class _Reading:
    """Another reading of the characters from `start` to `end`, and by how many nats it is the shorter one."""

    start: int
    end: int
    text: str
    gain: float


def repaired(text: str) -> str:
    """The text with every stretch that was read as a wrong encoding, once or several times over, read rightly.

    What is not such a stretch stays to the letter. The two halves of a surrogate pair become the character that they mean,
    and a lone half U+FFFD, for no UTF-8 file can hold it.
    """
    if text.isascii() or not (_TWO.search(text) or _SURROGATE.search(text)):
        return text
    text = _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    text = _SURROGATE.sub("\ufffd", text)
    for _ in range(_MOST_TIMES):
        undone = _undone(text, "", "", "", _MOST_TIMES)[0]
        if undone == text:
            break
        text = undone
    return text


def _undone(text: str, before: str, after: str, earlier: str, times: int) -> tuple[str, float]:
    """The text with its wrongly read stretches read rightly, up to `times` over, and how many nats that saves.

    `before` and `after` are the characters around it, `earlier` the encoding that was undone to get it (empty: none was).
    """
    readings = _apart(_readings(text, before, after, earlier, times), len(text))
    pieces, at = [], 0
    for one in readings:
        pieces += [text[at : one.start], one.text]
        at = one.end
    return "".join([*pieces, text[at:]]), sum(one.gain for one in readings)


def _readings(text: str, before: str, after: str, earlier: str, times: int) -> Iterator[_Reading]:
    """Other readings of stretches of the text that are shorter, if need be once they have been read anew themselves.

    Only the `_BRANCHES` readings of a stretch that look best are followed further, which bounds the work.
    """
    by_place: dict[tuple[int, int], dict[str, tuple[float, str]]] = {}
    for encoding in _encodings():
        price = _AGAIN if encoding.name == earlier else _PRICES[encoding.name]
        for run in encoding.run.finditer(text):
            reading = _read(encoding, run[0])
            claims = by_place.setdefault(run.span(), {})
            claims[reading] = min(claims.get(reading, (price, encoding.name)), (price, encoding.name))
    for (start, end), claims in by_place.items():
        left, right = (before + text[max(start - 2, 0) : start])[-2:], text[end : end + 1] or after
        as_it_stands = cost(text[start:end], left, right)
        gains = {reading: as_it_stands - cost(reading, left, right) - price for reading, (price, _) in claims.items()}
        for reading in sorted(gains, key=lambda one: -gains[one])[:_BRANCHES]:
            further, more = reading, 0.0
            if times > 1 and _TWO.search(reading):
                further, more = _undone(reading, left, right, claims[reading][1], times - 1)
            paid = as_it_stands - cost(further, left, right) - gains[reading] - more
            yield from _stretches(text[start:end], further, (start, left, right), paid)


def _stretches(run: str, reading: str, place: tuple[int, str, str], price: float) -> Iterator[_Reading]:
    """The stretches of the run, cut at spaces, in which the reading is so much the shorter one that it pays its price.

    `place` is where the run starts, and what stands before and after it. A run may reach into clean text: what looks like bytes there
    by chance stays. The cheapest way to take and leave words is found by dynamic programming over two states.
    """
    start, left, right = place
    words, readings = run.split(" "), reading.split(" ")
    gains: list[float] = []
    for i, (word, read) in enumerate(zip(words, readings, strict=True)):
        after = right if i == len(words) - 1 else " "
        gains.append(cost(word, left if i == 0 else " ", after) - cost(read, left if i == 0 else " ", after) if word != read else 0.0)
    taken, left_out = -price, 0.0
    came_from: list[tuple[bool, bool]] = []  # whether the word before was taken, if this one is taken, and if it is left out
    for gain in gains:
        came_from.append((taken > left_out - price, taken > left_out))
        taken, left_out = gain + max(taken, left_out - price), max(taken, left_out)
    is_taken = taken > left_out
    flags: list[bool] = []
    for if_taken, if_left_out in reversed(came_from):
        flags.append(is_taken)
        is_taken = if_taken if is_taken else if_left_out
    at = start
    for taken_here, group in itertools.groupby(zip(flags[::-1], words, readings, gains, strict=True), key=lambda one: one[0]):
        members = list(group)
        end = at + sum(len(word) + 1 for _, word, _, _ in members) - 1
        if taken_here:
            yield _Reading(at, end, " ".join(read for _, _, read, _ in members), sum(gain for *_, gain in members) - price)
        at = end + 1


def _apart(readings: Iterable[_Reading], n_characters: int) -> list[_Reading]:
    """The readings that gain most and don't overlap, in the order of the text."""
    chosen: list[_Reading] = []
    taken = bytearray(n_characters)
    for one in sorted(readings, key=lambda reading: -reading.gain):
        if taken.find(1, one.start, one.end) < 0:
            chosen.append(one)
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
    return sorted(chosen, key=lambda reading: reading.start)


def _read(encoding: _Encoding, run: str) -> str:
    """What the bytes of the run say."""
    return run.translate(encoding.to_byte).encode("latin-1").decode("utf-8")


@functools.cache
def _encodings() -> tuple[_Encoding, ...]:
    return tuple(_encoding(name) for name in _PRICES)


def _encoding(name: str) -> _Encoding:
    """The tables of one encoding; what it leaves open, readers of the web take as what Latin-1 has there, and so do we."""
    characters = {byte: bytes([byte]).decode(name, "ignore") or chr(byte) for byte in range(0x80, 0x100)}
    to_byte = {ord(character): chr(byte) for byte, character in characters.items()}

    def among(first: int, last: int) -> str:
        return "[" + "".join(re.escape(characters[byte]) for byte in range(first, last + 1)) + "]"

    # Well-formed sequences of UTF-8 (RFC 3629, section 4): nothing overlong, no surrogate, nothing beyond U+10FFFF.
    tail = among(0x80, 0xBF)
    forms = (
        among(0xC2, 0xDF) + tail, among(0xE0, 0xE0) + among(0xA0, 0xBF) + tail, f"(?:{among(0xE1, 0xEC)}|{among(0xEE, 0xEF)}){tail}{{2}}",
        among(0xED, 0xED) + among(0x80, 0x9F) + tail, among(0xF0, 0xF0) + among(0x90, 0xBF) + tail + tail, among(0xF1, 0xF3) + tail * 3,
        among(0xF4, 0xF4) + among(0x80, 0x8F) + tail * 2,
    )  # fmt: skip
    sequence = f"(?:{'|'.join(forms)})"
    return _Encoding(name, to_byte, re.compile(f"{sequence}(?:[\\x00-\\x7f]*{sequence})*"))
