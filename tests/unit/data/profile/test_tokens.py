"""The fit to a tokenizer, by tokenizers that are known letter by letter."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from tests.made_profiles import Bytes, Letters

from luthier.core.examples import Pair, Text
from luthier.data.profile.languages import languages_of
from luthier.data.profile.sample import LONGEST, looked
from luthier.data.profile.tokens import Model, token_fit

LATIN = Letters(string.ascii_letters + string.digits + " .,!\n")


def test_a_fit_by_hand() -> None:
    rows = [looked(Pair("a", "abc", "de"), "train"), looked(Pair("b", "für", "ab"), "train"), looked(Text("c", "x" * 9), "test")]
    found = token_fit(rows, ["en", "de", "en"], Model("m", LATIN, 5, unknown_id=0, marks=frozenset({"de"}), reference=("abcd", "e")))
    assert (found.density.n_tokens, found.density.n_bytes, found.density.n_rows) == (19, 20, 3)
    assert found.lengths is not None and found.lengths.quantiles["max"] == 9 and found.n_over == 1
    assert (found.n_unknown_tokens, found.n_unknown, found.n_changed, found.n_lost, found.lost) == (1, 1, 1, 1, {"ü": 1})
    assert {name: one.n_rows for name, one in found.by_language.items()} == {"en": 2, "de": 1}
    assert found.by_language["de"].bytes_per_token == 6 / 5 and found.by_side["test"].bytes_per_token == 1.0
    assert found.reference == 1.0 and found.n_marks == 1 and found.n_cut == 0


@given(st.lists(st.tuples(st.text(max_size=30), st.sampled_from(["en", "de"]), st.sampled_from(["train", "test"])), max_size=20))
def test_parts_add_up_to_the_whole_and_bytes_lose_nothing(made: list[tuple[str, str, str]]) -> None:
    rows = [looked(Text(str(i), text), side) for i, (text, _, side) in enumerate(made)]
    found = token_fit(rows, [code for _, code, _ in made], Model("bytes", Bytes(), 10))
    for parts in (found.by_language, found.by_side):
        for name in ("n_rows", "n_bytes", "n_tokens"):
            assert sum(getattr(one, name) for one in parts.values()) == getattr(found.density, name)
    assert found.density.n_tokens == found.density.n_bytes
    assert (found.n_changed, found.n_lost, found.n_unknown, found.lost) == (0, 0, 0, {})
    assert found.n_over == sum(len(text.encode("utf-8", "surrogatepass")) > 10 for text, _, _ in made)
    assert found.reference is None


@given(st.lists(st.text(alphabet="ab ß猫\n", max_size=12), min_size=1, max_size=12))
def test_what_is_lost_is_what_the_alphabet_lacks(texts: list[str]) -> None:
    found = token_fit([looked(Text(str(i), text), "train") for i, text in enumerate(texts)], ["en"] * len(texts), Model("m", LATIN, 9))
    assert found.lost == {one: n for one in "ß猫" if (n := sum(one in text for text in texts))}
    assert found.n_lost == found.n_changed == sum("ß" in text or "猫" in text for text in texts)


class Tidy(Letters):
    """Gives texts back in small letters and with a space before them, as some tokenizers do."""

    def decode(self, tokens: list[int]) -> str:  # type: ignore[override]
        return " " + super().decode(tokens).lower()


def test_a_text_that_comes_back_tidied_has_lost_no_character_unless_the_character_is_gone() -> None:
    rows = [looked(Text("a", "small"), "train"), looked(Text("b", "Large"), "train")]
    found = token_fit(rows, ["en", "en"], Model("m", Tidy(string.ascii_letters), 9))
    assert found.n_changed == 1 and found.lost == {"L": 1}


def test_unknown_tokens_and_the_rows_that_have_some_are_counted_apart() -> None:
    rows = [looked(Text("a", "üü and ß"), "train"), looked(Text("b", "plain"), "train"), looked(Pair("c", "ä", "ö"), "train")]
    found = token_fit(rows, ["de"] * 3, Model("m", LATIN, 9, unknown_id=0))
    assert (found.n_unknown_tokens, found.n_unknown) == (5, 2)


def test_rows_that_were_cut_are_counted() -> None:
    rows = [looked(Text("a", "x" * (LONGEST + 1)), "train"), looked(Text("b", "x" * LONGEST), "train")]
    assert token_fit(rows, languages_of(rows), Model("m", LATIN, 9)).n_cut == 1
