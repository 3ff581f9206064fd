"""The language of a text."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.cleaning.language import LOOKED_AT, NO_LANGUAGE, SURE_FROM, UNKNOWN, language_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The varnish of the back has cracked, and I would like to know what a repair costs.", "en"),
        ("Der Lack des Bodens hat Risse, und ich wüsste gern, was eine Reparatur kostet.", "de"),
        ("Le vernis du fond est fendu et je voudrais savoir combien coûte une réparation.", "fr"),
        ("背板的漆裂开了，我想知道修理要多少钱。", "zh"),
        ("Лак на задней деке потрескался, и я хотел бы знать, сколько стоит ремонт.", "ru"),
    ],
)
def test_a_sentence_has_its_language(text: str, code: str) -> None:
    found = language_of(text)
    assert found.code == code and found.probability >= SURE_FROM
    assert language_of(text.upper()).code == code


@pytest.mark.parametrize("text", ["", "  \n", "12,50 €", "👍👍", "----"])
def test_what_has_no_letter_has_no_language(text: str) -> None:
    assert language_of(text).code == NO_LANGUAGE


@pytest.mark.parametrize("text", ["ok", "xq", "thanks"])
def test_a_word_alone_is_not_guessed_at(text: str) -> None:
    assert language_of(text).code == UNKNOWN


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    text = "Nobody knows why the bridge of this old cello has moved. " * 40
    assert len(text) > LOOKED_AT
    assert language_of(text) == language_of(text[:LOOKED_AT]) == language_of(text[:LOOKED_AT] + "Ich weiß es. " * 200)


@given(st.text())
def test_any_text_gives_a_code_and_a_probability(text: str) -> None:
    found = language_of(text)
    assert found == language_of(text) and found.code and 0 <= found.probability <= 1


def test_captions_in_two_languages_are_told_apart(shared: Path) -> None:
    wrong = n = 0
    for code in ("en", "de"):
        with gzip.open(shared / "data" / "multi30k" / f"val.{code}.gz", "rt", encoding="utf-8") as file:
            for line in file:
                n += 1
                wrong += language_of(line).code != code
    assert n == 2028 and wrong <= 0.01 * n
