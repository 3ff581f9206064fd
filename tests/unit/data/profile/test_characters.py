"""Signs of wrong decoding, copying and typing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from luthier.data.profile.characters import ABOUT, N_EXAMPLES, character_troubles, signs_of

CLEAN = [
    "Grüße aus Köln – „schön“, nicht? Straße, Maß, 12 €",
    "Ça va très bien, merci ; l’œuvre coûte 5 €",
    "Лак на задней деке потрескался",
    "日本語のテキストと、ひらがな。",
    "שלום 😀 👩‍👩‍👧 می‌خواهم",
    "line one\n\tline two\r\nline three",
    "Δx = 3 µm, α-Helix, βeta? no: β only",
    "Tiếng Việt có dấu; İstanbul; naïve café",
]


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_has_no_troubles(text: str) -> None:
    assert signs_of(text) == {}


@pytest.mark.parametrize(
    ("text", "kind", "sign"),
    [
        ("the cafÃ© is closed", "mojibake", "Ã©"),
        ("the caf\ufffd is closed", "replacement", "\ufffd"),
        ("two bytes \ufffd\ufffd lost", "replacement", "\ufffd"),
        ("a\x00b", "control", "\x00"),
        ("a\x85b", "control", "\x85"),
        ("pass\u200bword", "invisible", "\u200b"),
        ("soft\u00adhyphen", "invisible", "\u00ad"),
        ("abc\u202egnp.exe", "invisible", "\u202e"),
        ("icon \ue0a0", "private", "\ue0a0"),
        ("half \ud83d of one", "private", "\ud83d"),
        ("p\u0430ypal", "mixed_scripts", "p\u0430"),
        ("\u0391pple", "mixed_scripts", "\u0391p"),
    ],
)
def test_each_kind_is_seen_and_no_other_with_it(text: str, kind: str, sign: str) -> None:
    assert signs_of(text) == {kind: sign}


def test_rows_are_counted_once_and_places_are_few() -> None:
    rows = [(f"a.csv:{i}", ("fine", "bad \x00\x00", "bad \x00 too", "fine")) for i in range(7)] + [("b.csv:1", ("pass\u200bword cafÃ©",))]
    found = {one.kind: one for one in character_troubles(rows)}
    assert {kind: one.n_rows for kind, one in found.items()} == {"mojibake": 1, "control": 7, "invisible": 1}
    assert found["control"].examples == tuple((f"a.csv:{i}", "U+0000") for i in range(N_EXAMPLES))
    assert found["mojibake"].examples == (("b.csv:1", "Ã© (U+00C3 U+00A9)"),)
    assert list(found) == [kind for kind in ABOUT if kind in found]


def test_clean_captions_in_english_and_german_are_not_suspected(shared: Path) -> None:
    for code in ("en", "de"):
        with gzip.open(shared / "data" / "multi30k" / f"val.{code}.gz", "rt", encoding="utf-8") as file:
            assert [line for line in file if signs_of(line)] == []
