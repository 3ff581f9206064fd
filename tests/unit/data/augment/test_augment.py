"""What each augmentation makes of texts written out by hand, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Preference, Ranking, Rated, Scored, Tagged
from luthier.core.messages import Message, OtherPart, TextPart
from luthier.data.augment import LetterCase, Paraphrase, Swaps, Templates, Typos
from luthier.data.augment.making import NOTHING_TO_CHANGE
from luthier.data.augment.paraphrase import refused
from luthier.data.augment.typos import misspelt
from luthier.data.tools import NO_TOOLS, Tools


def made(step: Any, row: AnyExample, seed: int = 0) -> Any:
    (found,) = step.make([row], [seed], NO_TOOLS)
    return found


def distance(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours (optimal string alignment)."""
    d = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    d[:, 0], d[0, :] = range(len(a) + 1), range(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return int(d[-1, -1])


@pytest.mark.parametrize("word", ["violin", "Bridge", "TUNE", "aaaa", "größer", "скрипка", "bookkeeper"])
def test_a_misspelt_word_is_one_mistake_away_and_begins_as_it_did(word: str) -> None:
    found = {misspelt(word, np.random.default_rng(seed)) for seed in range(60)}
    assert all(distance(word, one) == 1 for one in found)
    assert all(one[0] == word[0] for one in found)
    assert len(found) > 2 or word == "aaaa"


def test_typos_spare_short_words_numbers_code_and_addresses() -> None:
    text = "see https://bows.example/page or `pip install thing` or me@bows.example at 12:30 on the 4th"
    assert made(Typos(), Labelled("r", text, "x")) == NOTHING_TO_CHANGE
    found = made(Typos(rate=1.0), Labelled("r", text + " tomorrow", "x"))
    assert found.text.startswith(text + " t") and found.text != text + " tomorrow"


def test_the_rate_of_typos_is_a_share_of_the_longer_words_and_at_least_one() -> None:
    words = [f"letter{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(400)]
    spoilt = sum(a != b for a, b in zip(made(Typos(rate=0.1), Labelled("r", " ".join(words), "x")).text.split(), words, strict=True))
    assert 20 <= spoilt <= 60
    assert made(Typos(rate=1e-9), Labelled("r", "violin bridge saddle", "x")).text != "violin bridge saddle"
    everything = made(Typos(rate=1.0), Labelled("r", " ".join(words), "x")).text.split()
    assert all(a != b for a, b in zip(everything, words, strict=True))


def test_letters_change_case_in_what_is_asked_only() -> None:
    pair = Pair("r", "Is `My_Bow` at https://A.example Ready?", "Yes, It Is.")
    assert made(LetterCase(styles=("lower",)), pair) == Pair("r", "is `My_Bow` at https://A.example ready?", "Yes, It Is.")
    assert made(LetterCase(styles=("upper",)), pair).prompt == "IS `My_Bow` AT https://A.example READY?"
    assert made(LetterCase(styles=("lower",)), Labelled("r", "all low 12", "x")) == NOTHING_TO_CHANGE
    assert {made(LetterCase(), Labelled("r", "low", "x"), seed).text for seed in range(9)} == {"LOW"}
    assert {made(LetterCase(), Labelled("r", "Low", "x"), seed).text for seed in range(9)} == {"LOW", "low"}


def test_a_swap_is_made_throughout_the_row_and_keeps_capitals() -> None:
    step = Swaps(words=(("anna", "Bertil"), ("bill", "invoice")), rate=1.0)
    pair = Pair("r", "Anna lost her BILL. Where is Anna's bill?", "Dear Anna, your bill is here; billing is closed.")
    assert made(step, pair) == Pair(
        "r", "Bertil lost her INVOICE. Where is Bertil's invoice?", "Dear Bertil, your invoice is here; billing is closed."
    )


def test_a_word_is_never_swapped_for_one_that_the_row_has() -> None:
    step = Swaps(words=(("Anna", "Bertil", "Carla"),), rate=1.0)
    for seed in range(20):
        found = made(step, Labelled("r", "Anna met Bertil", "x"), seed).text.split()
        assert len(set(found)) == 3 and {found[0], found[2]} != {"Anna", "Bertil"} and found.count("Carla") == 1
    assert made(step, Labelled("r", "Anna, Bertil and Carla", "x")) == NOTHING_TO_CHANGE


def test_phrases_and_special_letters_can_be_swapped_and_the_longest_wins() -> None:
    step = Swaps(words=(("violin bow", "cello bow"), ("violin", "fiddle"), ("straße", "gasse")), rate=1.0)
    row = Labelled("r", "A violin bow and a violin in der Straße (C++)", "x")
    assert made(step, row).text == "A cello bow and a fiddle in der Gasse (C++)"
    assert made(Swaps(words=(("c++", "rust"),), rate=1.0), Labelled("r", "C++ is old", "x")).text == "Rust is old"


def test_numbers_of_labelled_texts_keep_their_digits_and_dates_stay() -> None:
    step = Swaps(numbers=True, rate=1.0)
    row = Labelled("r", "order 48213 of 12/05/2024 at 10:30, 7 bows, 1 peg, 3.50 each, 48213 again, v2", "x")
    for seed in range(20):
        found = made(step, row, seed).text
        first, again = found.split()[1], found.split()[-3]
        assert first == again != "48213" and len(first) == 5 and first.isdigit()
        assert "12/05/2024 at 10:30, " in found and "1 peg, 3.50 each" in found and found.endswith("v2")
        assert found.split("10:30, ")[1][0] in "2345689"
    assert made(step, Pair("r", "What is 12 and 30?", "42")) == NOTHING_TO_CHANGE


def test_of_a_conversation_a_pattern_is_put_around_the_first_question() -> None:
    turns = (Message("system", "Be brief."), Message("user", "Open?"), Message("assistant", "Yes."), Message("user", "Until?"))
    found = made(Templates(patterns=("Hello! {text} Bye {name}",)), Chat("r", turns))
    assert [one.text for one in found.messages] == ["Be brief.", "Hello! Open? Bye {name}", "Yes.", "Until?"]
    image = Message("user", (TextPart("What is it?"), OtherPart("image_url")))
    assert made(Templates(patterns=("Hello! {text}",)), Chat("r", (image,))) == NOTHING_TO_CHANGE


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("At what hour does shop 12 open on Monday?", None),
        (None, "the model did not come to an end"),
        (" ", "the model said nothing"),
        ("when  does SHOP 12 open on monday?", "the model said the same"),
        ("At what hour does shop 13 open on Monday?", "the model changed the numbers"),
        ("12 when?", "the model said much less or much more"),
        ("12 " + "when does the shop open " * 5, "the model said much less or much more"),
        ("Wann öffnet der Laden 12 am Montag denn?", "the model changed the language"),
    ],
)
def test_what_a_model_says_is_taken_only_if_it_can_be_the_same_in_other_words(said: str | None, why: str | None) -> None:
    assert refused("When does shop 12 open on Monday?", said) == why


def test_a_model_is_asked_about_the_first_question_and_its_reply_stands_there() -> None:
    asked: list[tuple[list[str], float, int]] = []

    def rephrase(prompts: Any, temperature: float, seed: int) -> list[str | None]:
        asked.append((list(prompts), temperature, seed))
        return ["What are your opening hours today please?", None]

    chat = Chat("c", (Message("system", "Be brief."), Message("user", "When are you open today, if at all?"), Message("user", "Hm?")))
    step = Paraphrase(model="m", instruction="Say: {text}", temperature=0.4)
    found = list(step.make([chat, Labelled("l", "my bow", "x")], [1, 2], Tools(rephrase=lambda name: rephrase, seed=7)))
    assert asked == [(["Say: When are you open today, if at all?", "Say: my bow"], 0.4, 7)]
    assert isinstance(found[0], Chat)
    assert [one.text for one in found[0].messages] == ["Be brief.", "What are your opening hours today please?", "Hm?"]
    assert found[1] == "the model did not come to an end"
    with pytest.raises(LuthierError, match="needs a model"):
        list(step.make([chat], [1], NO_TOOLS))


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (Swaps(), ["words"]),
        (Swaps(words=(("a",), ("b", "B"), ("c", " "))), ["words[0]", "words[1]", "words[2]"]),
        (Swaps(words=(("a", "b"), ("b", "c"))), ["words[1]"]),
        (Swaps(words=(("a", "b"),)), []),
        (Swaps(numbers=True), []),
        (Templates(patterns=()), ["patterns"]),
        (Templates(patterns=("none", "{text} {text}", "{text}", "{text}!")), ["patterns[0]", "patterns[1]", "patterns[2]"]),
        (Paraphrase(model="m", instruction="Say it"), ["instruction"]),
        (Paraphrase(model="m"), []),
    ],
)
def test_options_that_would_do_nothing_are_errors(step: Any, where: list[str]) -> None:
    assert [path for path, *_ in step.complaints(frozenset())] == where


@pytest.mark.parametrize(
    "row",
    [
        Preference("r", (Message("user", "Is Anna in today?"),), (Message("assistant", "Anna is."),), (Message("assistant", "No."),)),
        Ranking("r", (Message("user", "Is Anna in?"),), ((Message("assistant", "Anna is."),), (Message("assistant", "No."),)), (1, 2)),
        Rated("r", (Message("user", "Is Anna in today?"),), (Message("assistant", "Anna is."),), True),
    ],
)
def test_of_rows_with_replies_to_compare_or_to_rate_only_the_question_is_changed(row: Any) -> None:
    for step in (LetterCase(styles=("upper",)), Typos(), Templates(patterns=("Hello! {text}",))):
        found = made(step, row)
        assert found.prompt != row.prompt and found.prompt[0].role == "user"
        assert {**found.fields(), "prompt": None} == {**row.fields(), "prompt": None}
    swapped = made(Swaps(words=(("Anna", "Bertil"),), rate=1.0), row)
    assert "Anna" not in str(swapped.fields()) and str(swapped.fields()).count("Bertil") == 2


def test_a_tagged_sentence_keeps_a_tag_a_token_and_a_scored_text_its_number() -> None:
    tagged = Tagged("r", ("Anna", "lives", "in", "Cremona"), ("B-PER", "O", "O", "B-LOC"))
    for step in (LetterCase(styles=("upper",)), Typos(rate=1.0), Swaps(words=(("Anna", "Bertil"),))):
        found = made(step, tagged)
        assert found.tags == tagged.tags and len(found.tokens) == 4 and found.tokens != tagged.tokens
    assert made(Templates(patterns=("Hello, {text}",)), tagged) == NOTHING_TO_CHANGE
    assert made(Templates(patterns=("Hello, {text}",)), Scored("r", "fine", 0.5)) == Scored("r", "Hello, fine", 0.5)
