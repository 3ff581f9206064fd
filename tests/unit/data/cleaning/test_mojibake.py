"""Text read as a wrong encoding is read rightly again, and other text stays to the letter."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.cleaning.mojibake import repaired
from luthier.data.cleaning.unlikely import cost

SENTENCES = {
    "de": "Größe, Höhe und Maße hören sich für Käufer schön an; „Qualität“ genügt.",
    "fr": "L’été dernier, la garçonne a mangé des pâtes là-bas, près de l’hôtel « Élysée ».",
    "pl": "Zażółć gęślą jaźń, proszę: łódź już płynie.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "tr": "Işığı söndür, çünkü güneş doğdu; İstanbul uyanıyor.",
    "ru": "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "uk": "Їжак їсть ґрунт, а він бачить її завжди.",
    "el": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία στην Αθήνα.",
    "he": "דג סקרן שט בים מאוכזב ולפתע מצא חברה.",
    "ar": "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر.",
    "hi": "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश।",
    "ja": "いろはにほへと散りぬるを、我が世誰ぞ常ならむ。",
    "zh": "小提琴的弦断了，我想知道修理要多少钱。",
    "ko": "바이올린 줄이 끊어져서 수리비가 궁금합니다.",
    "vi": "Tiếng Việt có rất nhiều dấu, đúng không ạ?",
    "en": "It’s “out of tune” — the café’s violin costs 20 € 🎻.",
}
ENCODINGS = ["latin-1", "cp1252", "cp1250", "cp1251", "mac-roman", "cp1254", "iso8859-15", "cp437", "cp850", "koi8-r", "cp866"]


def misread(text: str, encoding: str) -> str:
    """The UTF-8 bytes of the text, read as `encoding`; bytes that it leaves open as control characters."""
    table = [bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in range(256)]
    return "".join(table[byte] for byte in text.encode("utf-8"))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_comes_back_however_often_it_was_misread(language: str, encoding: str) -> None:
    text = SENTENCES[language]
    bad = text
    for _ in range(3):
        bad = misread(bad, encoding)
        assert bad != text
        assert repaired(bad) == text


@pytest.mark.parametrize(("first", "then"), [("cp1252", "latin-1"), ("latin-1", "mac-roman"), ("cp1251", "cp1252"), ("cp850", "cp1250")])
def test_two_accidents_of_different_kinds_are_undone(first: str, then: str) -> None:
    for text in SENTENCES.values():
        assert repaired(misread(misread(text, first), then)) == text


@pytest.mark.parametrize("language", SENTENCES)
def test_one_sentence_among_others_is_repaired_and_the_others_stay(language: str) -> None:
    for other in ("ru", "fr", "ja"):
        around, text = SENTENCES[other], SENTENCES[language]
        for encoding in ("latin-1", "cp1252", "mac-roman", "cp1251"):
            assert repaired(f"{around} {misread(text, encoding)} {around}") == f"{around} {text} {around}"


@pytest.mark.parametrize("text", SENTENCES.values())
def test_clean_sentences_stay_in_whatever_case(text: str) -> None:
    for one in (text, text.upper(), text.lower(), text.title(), text.swapcase()):
        assert repaired(one) == one
        assert [repaired(word) for word in one.split()] == one.split()


@pytest.mark.parametrize(
    "text",
    [
        "MAÇÃ\u00a0» e IRMÃ\u00a0ANA", "MANHÃ—ela", "voilà\u00a0»", "«\u00a0à\u00a0»", "CAFÉ\u00a0» JOSÉ’S", "“Élan” —é",
        "┌──┐\n│a │\n└──┘", "Її Він Её Всё", "ТИГРИНЯЧА НАУАТЛЬ", "неисправан ред", "Ð is a letter, and so is þ", "x² ± ½ µm, 20 °C", "ÄÖÜ",
        "СІСІКА",
        "том", "тин", "Å", "¿Qué? ¡No!", "naïve “Ÿ”", "‚single‘ „double“", "a…à", "\ufffd\ufffd", "été…À", "D’ÉTÉ", "\x80\x81 raw bytes",
    ],
)  # fmt: skip
def test_clean_text_that_could_be_bytes_stays(text: str) -> None:
    assert repaired(text) == text


@pytest.mark.parametrize(
    ("bad", "good"),
    [("cafÃ©", "café"), ("itâ€™s", "it’s"), ("20 Â°C", "20 °C"), ("3 Ã— 4", "3 × 4"), ("voilÃ\u00a0 la", "voilà la"), ("Ã©", "é"),
     ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет"), ("cafÃƒÂ©", "café"), ("GrÃ¶ÃŸe", "Größe"), ("Bj√∂rk", "Björk"), ("ä½\xa0å¥½", "你好"), ("ðŸŽ»", "🎻")],
)  # fmt: skip
def test_single_words_are_repaired(bad: str, good: str) -> None:
    assert repaired(bad) == good


def test_halves_of_surrogate_pairs_are_joined_and_lone_ones_marked() -> None:
    assert repaired("\ud83c\udfbb and \ud83c or \udfbb") == "🎻 and \ufffd or \ufffd"


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_ascii_stays(text: str) -> None:
    assert repaired(text) == text


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_is_taken_and_what_comes_can_be_written_as_utf_8(text: str) -> None:
    repaired(text).encode("utf-8")


@pytest.mark.parametrize("text", SENTENCES.values())
def test_a_wrong_reading_takes_longer_to_write_down(text: str) -> None:
    for encoding in ENCODINGS:
        assert cost(misread(text, encoding)) > cost(text) + 10


def test_clean_captions_and_books_stay_and_misread_ones_come_back(shared: Path) -> None:
    with gzip.open(shared / "data" / "multi30k" / "val.de.gz", "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    assert [line for line in lines if repaired(line) != line] == []
    telling = [line for line in lines if not line.isascii()]
    rng = random.Random(0)
    bad = [(line, misread(line, rng.choice(ENCODINGS))) for line in telling]
    assert sum(repaired(one) == line for line, one in bad) >= 0.99 * len(telling)
