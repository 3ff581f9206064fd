"""Steps about text that a recipe asks for: look-alikes, forms, markup, languages, lengths in tokens, slips."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Pair, Text
from luthier.core.messages import Message
from luthier.data.cleaning.spelling import corrected
from luthier.data.decisions import Changed, Dropped, Kept, RowStep, ready
from luthier.data.steps import CorrectTypos, Languages, LookAlikes, MarkupToText, TokenLength, Whitespace
from luthier.data.steps.languages import CODES
from luthier.data.steps.look_alikes import _LATIN_CYRILLIC, _LATIN_GREEK
from luthier.data.tools import NO_TOOLS, Tools


def after(step: RowStep, text: str) -> str:
    decision = step.apply(Text("r", text))
    if isinstance(decision, Kept):
        return text
    assert isinstance(decision, Changed) and isinstance(decision.example, Text) and decision.reason
    return decision.example.text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("p\u0430yp\u0430l", "paypal"),
        ("M\u043e\u0441\u043a\u0432\u0430", "\u041c\u043e\u0441\u043a\u0432\u0430"),
        ("A\u03b8\u03ae\u03bd\u03b1", "\u0391\u03b8\u03ae\u03bd\u03b1"),
        ("\u0410pple and \u041cicr\u043es\u043eft!", "Apple and Microsoft!"),
        ("\u039dike", "Nike"),
    ],
)
def test_a_word_of_mixed_script_is_written_in_the_one_that_it_can_be(text: str, plain: str) -> None:
    assert after(LookAlikes(), text) == plain


@pytest.mark.parametrize(
    "text",
    ["paypal", "\u041c\u043e\u0441\u043a\u0432\u0430", "\u0441op", "K\u03b1 \u03b1-helix \u0394x \u00b5m", "iPhone\u043e\u043c", "\u0430 a",
     "\u0441\u0440 cp", "Zo\u00eb \u0438", "\u65e5\u672cA", "x\u0443"],
)  # fmt: skip
def test_words_of_one_script_or_meant_to_be_mixed_stay(text: str) -> None:
    assert LookAlikes().apply(Text("r", text)) == Kept()


def test_look_alikes_are_pairs_of_two_scripts_and_keep_their_case() -> None:
    for table, script in ((_LATIN_CYRILLIC, "CYRILLIC"), (_LATIN_GREEK, "GREEK")):
        assert len(set(table.values())) == len(table)
        for latin, other in table.items():
            assert unicodedata.name(latin).startswith("LATIN") and unicodedata.name(other).startswith(script)
            assert unicodedata.category(latin) == unicodedata.category(other)


@pytest.mark.parametrize(
    ("text", "plain"), [("ﬁne x² ① ＦＵＬＬ", "fine x2 1 FULL"), ("½ … ™", "1⁄2 ... TM"), ("e\u0301", "é"), ("ﷺ x", "صلى الله عليه وسلم x")]
)
def test_the_compatible_form_is_plain(text: str, plain: str) -> None:
    assert after(Whitespace(form="NFKC"), text) == plain


def test_by_default_letters_keep_their_look() -> None:
    assert Whitespace().apply(Text("r", "ﬁne x² ① ＦＵＬＬ … ™")) == Kept()


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_the_compatible_form_is_reached_at_once(text: str) -> None:
    once = after(Whitespace(form="NFKC"), text)
    assert after(Whitespace(form="NFKC"), once) == once


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("# Title #\n\nText", "Title\n\nText"),
        ("Title\n=====\nText\n---\n", "Title\nText\n"),
        ("a **b** *c* __d__ _e_ ~~f~~", "a b c d e f"),
        ('see [the page](http://x.example) or [here](x "t") or [that][1]\n\n[1]: http://y', "see the page or here or that\n"),
        ("[a](b 'c') and [d] and (e)", "[a](b 'c') and [d] and (e)"),
        ("![a bow](bow.png) <https://x.example>", "a bow https://x.example"),
        ("- a\n* b\n  + c\n1. d", "- a\n- b\n  - c\n1. d"),
        ("> quoted\n> > twice", "quoted\ntwice"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a | b\n1 | 2"),
        ("use `x_y_z` and ``a`b`` ", "use x_y_z and ``a`b`` "),
        ("```python\na = b * c * d\n# no title\n```\nx", "a = b * c * d\n# no title\nx"),
        ("~~~\n```\n~~~", "```"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        ("one\n\n***\n\ntwo", "one\n\n\ntwo"),
        (r"2 \* 3 \_ x", "2 * 3 _ x"),
        ("2 * 3 * 4 and snake_case_name and a_b", "2 * 3 * 4 and snake_case_name and a_b"),
        ("#hashtag and #1", "#hashtag and #1"),
        ("plain text, nothing else", "plain text, nothing else"),
    ],
)
def test_markdown_becomes_the_text_that_it_shows(text: str, plain: str) -> None:
    assert after(MarkupToText(), text) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("== Title ==\nText", "Title\nText"),
        ("a '''b''' and ''c''", "a b and c"),
        ("a [[luthier]] and [[violin family|violins]] and [[:Category:Bows]]", "a luthier and violins and Category:Bows"),
        ("x{{infobox|a={{b}}|c}}y", "xy"),
        ("[[File:x.png|thumb|A bow]]Text\n[[Category:Bows]]", "Text"),
        ("said<ref name=x>Book, p. 1</ref> so<ref name=x />.", "said so."),
        ("[http://x.example the page] and [http://y.example]", "the page and "),
        ("* a\n** b\n# c\n: d", "- a\n  - b\n- c\nd"),
        ('{| class="t"\n|+ Woods\n! Part !! Wood\n|-\n| Belly || style="x" | Spruce\n|}', "Woods\nPart | Wood\nBelly | Spruce"),
        ("a <!-- b --> c __NOTOC__", "a  c __NOTOC__"),
        ("__NOTOC__\nx", "x"),
        ("{{ never closed", "{{ never closed"),
        ("}} -->", "}} -->"),
    ],
)
def test_wiki_markup_becomes_the_text_that_it_shows(text: str, plain: str) -> None:
    assert after(MarkupToText(syntax="wiki"), text) == plain


GERMAN = "Der Lack des Bodens hat Risse, und ich wüsste gern, was eine Reparatur kostet."
ENGLISH = "The varnish of the back has cracked, and I would like to know what a repair costs."


def test_rows_in_other_languages_go() -> None:
    assert Languages().apply(Text("r", ENGLISH)) == Kept()
    gone = Languages().apply(Text("r", GERMAN))
    assert isinstance(gone, Dropped) and gone.reason == "in another language" and gone.detail.startswith("de, probability ")
    assert Languages(keep=("en", "de")).apply(Pair("r", ENGLISH, GERMAN)) == Kept()
    assert isinstance(Languages().apply(Pair("r", ENGLISH, GERMAN)), Dropped)
    assert isinstance(Languages(keep=("de",)).apply(Chat("r", (Message("user", ENGLISH),))), Dropped)


def test_what_is_short_or_unsure_is_not_judged() -> None:
    assert Languages().apply(Text("r", "Danke schön!")) == Kept()
    assert Languages(min_characters=len(GERMAN) + 1).apply(Text("r", GERMAN)) == Kept()
    assert isinstance(Languages(min_characters=len(GERMAN)).apply(Text("r", GERMAN)), Dropped)
    assert Languages(sure_from=1.0).apply(Text("r", GERMAN[:40])) == Kept()
    assert Languages().apply(Text("r", "12345 67890 12345 67890 12345 67890")) == Kept()
    assert Languages().apply(Text("r", "")) == Kept()


def test_languages_that_nobody_can_tell_are_refused() -> None:
    assert [path for path, *_ in Languages(keep=("en", "eng", "English")).complaints(frozenset())] == ["keep", "keep"]
    assert [path for path, *_ in Languages(keep=()).complaints(frozenset())] == ["keep"]
    assert not list(Languages(keep=("de", "zh")).complaints(frozenset()))


def test_the_languages_are_those_of_the_model() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    assert {*LanguageIdentifier.from_model_file(MODEL_FILE).nb_classes} - {"zxx"} == CODES


WORDS = Tools(count_tokens=lambda texts: [len(text.split()) for text in texts])


def test_length_in_tokens_is_the_model_s() -> None:
    step = TokenLength(min_tokens=2, max_tokens=4).with_tools(WORDS)
    assert step.kind == "token_length"
    assert step.apply(Text("r", "a")) == Dropped("under 2 tokens", "1 tokens")
    assert step.apply(Text("r", "a b")) == Kept()
    assert step.apply(Pair("r", "a b", "c d")) == Kept()
    assert step.apply(Pair("r", "a b", "c d e")) == Dropped("over 4 tokens", "5 tokens")
    assert step.apply(Text("r", "")) == Dropped("under 2 tokens", "0 tokens")
    assert TokenLength(min_tokens=0).with_tools(WORDS).apply(Text("r", "")) == Kept()


def test_without_a_tokenizer_it_is_an_error_and_rows_that_wait_are_not_measured() -> None:
    with pytest.raises(LuthierError, match="token_length"):
        ready(TokenLength(), NO_TOOLS)
    assert TokenLength(max_tokens=1).apply(Text("r", "a b c")) == Kept()
    assert [path for path, *_ in TokenLength(min_tokens=5, max_tokens=4).complaints(frozenset())] == ["max_tokens"]
    assert not list(TokenLength().complaints(frozenset()))


PROSE = "The old workshop in our street repairs violins and cellos, and "


@pytest.mark.parametrize(
    ("slip", "word"),
    [
        ("becuase", "because"), ("beleive", "believe"), ("seperate", "separate"), ("intrument", "instrument"), ("diferent", "different"),
        ("definately", "definitely"), ("quesstion", "question"),
    ],
)  # fmt: skip
def test_a_plain_slip_is_put_right(slip: str, word: str) -> None:
    assert after(CorrectTypos(), f"{PROSE}they {slip} it.") == f"{PROSE}they {word} it."


@pytest.mark.parametrize(
    "said",
    [
        "Becuase", "BECUASE", "x-becuase", "becuase2", "becuase_x", "@becuase", "#becuase", "becuase.py", "/becuase/",
        "http://becuase.example", "luthiers", "soundpost", "soundhole", "purfling", "colour and organise", "recuts it unvarnished",
        "favorite", "nursings", "smallset", "don't", "becuase's", "xqzt", "becuase it is becuase", "teh", "recieve",
    ],
)  # fmt: skip
def test_names_codes_terms_and_what_is_not_plain_stay(said: str) -> None:
    assert CorrectTypos().apply(Text("r", f"{PROSE}they say {said} there.")) == Kept()


@pytest.mark.parametrize(
    "text",
    [
        "Der Lack des Bodens hat Risse, und ich wusste becuase gern mehr.",
        "becuase of it",
        "x = becuase(y)\nreturn the value to the old workshop;",
        "```\nthe old workshop in our street becuase\n```",
        "",
    ],
)
def test_other_languages_code_and_scraps_stay(text: str) -> None:
    assert CorrectTypos().apply(Text("r", text)) == Kept()


def test_what_a_model_has_to_say_stays() -> None:
    text = f"{PROSE}they diferent it."
    assert CorrectTypos().apply(Pair("r", text, text)) == Changed(Pair("r", corrected(text), text), "slips of the keyboard")
