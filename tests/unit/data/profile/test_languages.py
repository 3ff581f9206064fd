"""The languages of rows."""

from __future__ import annotations

from luthier.core.examples import Chat, Pair, Text
from luthier.core.messages import Message
from luthier.data.profile.languages import languages_of, shares
from luthier.data.profile.sample import looked

EN = "Could you tell me what the repair of a cracked scroll costs, and how long it takes?"
DE = "Können Sie mir sagen, was die Reparatur einer gerissenen Schnecke kostet und wie lange sie dauert?"


def test_a_row_has_the_language_of_what_is_its_own() -> None:
    rows = [
        looked(Text("a", DE), "train"),
        looked(Chat("b", (Message("system", EN * 20), Message("user", DE), Message("assistant", DE))), "train"),
        looked(Pair("c", EN, EN), "test"),
    ]
    assert languages_of(rows) == ("de", "de", "en")


def test_a_translation_has_both_of_its_languages_and_a_short_reply_none_of_its_own() -> None:
    rows = [looked(Pair("a", EN, DE), "train"), looked(Pair("b", EN, "Gran Turismo"), "train"), looked(Pair("c", EN, "42"), "train")]
    assert languages_of(rows) == ("en → de", "en", "en")


def test_shares_add_up_and_the_most_frequent_stands_first() -> None:
    rows = [looked(Text(str(i), DE if i < 2 else EN), "train" if i % 2 else "test") for i in range(7)]
    found = shares(rows, languages_of(rows))
    assert [(one.code, one.n_rows, one.by_side) for one in found] == [
        ("en", 5, {"test": 3, "train": 2}), ("de", 2, {"test": 1, "train": 1}),
    ]  # fmt: skip
    (unknown,) = shares(rows[:1], ("und",))
    assert unknown.said.startswith("cannot be told")
