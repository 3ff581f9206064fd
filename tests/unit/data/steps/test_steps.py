"""What each cleaning step does to texts written out by hand, and what it leaves alone."""

from __future__ import annotations

import pytest

from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.messages import Message
from luthier.data.decisions import Changed, Dropped, Kept, RowStep
from luthier.data.likeness.compared import whole
from luthier.data.likeness.neighbours import similarity
from luthier.data.pipeline import clean
from luthier.data.steps import ExactDuplicates, HtmlToText, Length, NearDuplicates, RepairEncoding, Whitespace


def after(step: RowStep, text: str) -> str:
    decision = step.apply(Text("r", text))
    assert isinstance(decision, Kept | Changed)
    return decision.example.texts()[0] if isinstance(decision, Changed) else text


def mangled(text: str, times: int, wrong: str = "cp1252") -> str:
    table = [bytes([byte]).decode(wrong, "ignore") or chr(byte) for byte in range(256)]
    for _ in range(times):
        text = "".join(table[byte] for byte in text.encode("utf-8"))
    return text


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(
    "text", ["The café's luthière is away", "Größe der Schnecke: schön", "it’s out of tune — “wolf” note", "naïve façade, 20 € deposit"]
)
def test_nested_mojibake_is_repaired(text: str, times: int) -> None:
    assert after(RepairEncoding(), mangled(text, times)) == text


def test_mojibake_of_latin_1_is_repaired() -> None:
    assert after(RepairEncoding(), mangled("Kolophonium für Geigen, größer", 1, "latin-1")) == "Kolophonium für Geigen, größer"


@pytest.mark.parametrize(
    "text",
    [
        "plain words, 'straight' and “curly” quotes",
        "Größe, café, naïve, señor, 20 €",
        "小提琴的弦断了。",
        "скрипка расстроена",
        "الكمان غير مضبوط",
        "ﬁne ligatures and ＦＵＬＬ width",
        "a\r\nb\rc",
        "&amp; &lt;b&gt;",
        "café &amp; &lt;b&gt; thé",
        "👩‍🔧🎻 emoji",
        "e\u0301 decomposed",
        "x² ½ № ℃",
        "A IRMÃ ANA COMEU A MAÇÃ",
        "São João, coração",
        "\x1b[1mbold\x1b[0m",
    ],
)
def test_clean_text_keeps_every_character_when_encodings_are_repaired(text: str) -> None:
    assert RepairEncoding().apply(Text("r", text)) == Kept()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("My bow<br>is broken<br/>again", "My bow\nis broken\nagain"),
        ("one<br>\ntwo", "one\ntwo"),
        ("one<br><br>two", "one\n\ntwo"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("salt&nbsp;&amp;&nbsp;pepper &#39;x&#39; &#x2019; &rsquo;", "salt\u00a0&\u00a0pepper 'x' ’ ’"),
        ('<div style="color:red">It is <b>very</b> late</div>see you', "It is very late\nsee you"),
        ("<ul><li>bow</li><li>rosin</li></ul>Thanks", "- bow\n- rosin\n\nThanks"),
        ("<table><tr><td>A</td><td>440</td></tr><tr><td>D</td><td>293</td></tr></table>", "A | 440\nD | 293"),
        ("<script>track()</script>Hello<!-- hidden --> there", "Hello there"),
        ("see <a href='https://x.example/?a=1&b=2'>this page</a>.", "see this page."),
        ("x < y<br>y > z & q", "x < y\ny > z & q"),
        ("ends</p>", "ends"),
        ("about &lt;#&gt; minutes", "about <#> minutes"),
        ("write to <me@x.example><br>soon", "write to <me@x.example>\nsoon"),
        ("5 &copy 6 &amp; &unknown; AT&T<br>x", "5 &copy 6 & &unknown; AT&T\nx"),
    ],
)
def test_leftover_html_becomes_the_text_it_shows(text: str, shown: str) -> None:
    assert after(HtmlToText(), text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "I <3 my cello",
        "List<int> x; Map<String, List<a>> y",
        "mail <me@x.example> today",
        "if (a<b && c>d) { }",
        "AT&T, R&D, a&b; &copy",
        "what is a <table> anyway",
        "template <class T> struct <b>",
        "x<y>z",
        "<name> <date>",
        "&unknown; &#99999999; &#1;",
        "<-- see above",
        "a <= b <=> c",
        "```html\n<p>kept</p>\n```",
        "the tag `<br>` breaks a line",
        "How do I close a <p>tag</p> in HTML?",
        "std::vector<u> v; // <3",
    ],
)
def test_what_only_looks_like_html_stays_to_the_letter(text: str) -> None:
    assert HtmlToText().apply(Text("r", text)) == Kept()


def test_a_whole_page_becomes_its_main_text() -> None:
    story = " ".join(f"Sentence {i} tells how the spruce of the belly was chosen and dried for years." for i in range(12))
    page = (
        "<!DOCTYPE html><html><head><title>Shop</title><style>p {color: red}</style></head><body>"
        "<nav><a href='/'>Home</a> <a href='/x'>About</a></nav>"
        f"<article><h1>The belly</h1><p>{story}</p></article><footer>Copyright</footer></body></html>"
    )
    shown = after(HtmlToText(), page)
    assert story in shown
    assert "<" not in shown
    assert "color" not in shown
    assert "Home" not in shown


def test_a_reply_that_is_html_stays() -> None:
    form = "<form><label>Name</label><br><input type='text'></form>"
    assert HtmlToText().apply(Pair("r", "Make me a contact form", form)) == Kept()
    changed = HtmlToText().apply(Pair("r", "Hello&nbsp;there", "<p>Dear <b>Ann</b>,</p>we open at 9."))
    assert isinstance(changed, Changed)
    assert changed.example == Pair("r", "Hello\u00a0there", "Dear Ann,\n\nwe open at 9.")


def test_what_tools_say_stays_as_they_said_it() -> None:
    chat = Chat("r", (Message("user", "a<br>b"), Message("tool", "<p>x</p>", tool_call_id="1"), Message("assistant", "c<br>d")))
    changed = HtmlToText().apply(chat)
    assert isinstance(changed, Changed)
    assert changed.example.texts() == ("a\nb", "<p>x</p>", "c\nd")


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("  lead and tail \t\n", "lead and tail"),
        ("two  spaces   three", "two spaces three"),
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne"),
        ("end \nof line\t\nhere", "end\nof line\nhere"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("zero\u200bwidth\ufeff, soft\u00adhyphen, bell\x07, \u202eturned\u202c", "zerowidth, softhyphen, bell, turned"),
        ("e\u0301te\u0301", "été"),
        ("a\u00a0b\u2009c\u3000d", "a b c d"),
        ("half \ud83d here", "half \ufffd here"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("   first line in, the others\nnot", "first line in, the others\nnot"),
        ("\n\n  only line", "only line"),
    ],
)
def test_space_and_invisible_characters_are_tidied(text: str, tidy: str) -> None:
    assert after(Whitespace(), text) == tidy


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    if x:\n        return  1\n",
        "    whole block\n    indented",
        "- a\n  - b\n    - c",
        "| a   | b |\n|-----|---|",
        "name      ====   ==\n===   ====",
        "```\nx  =  1\n\ty\n```",
        "col\tcol\tcol",
        "👩\u200d🔧 and 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "می\u200cخواهم",
        "a\n\n\nb",
    ],
)
def test_shape_that_says_something_stays(text: str) -> None:
    expected = text.rstrip("\n") if not text.startswith("name") else "name ==== ==\n===   ===="
    assert after(Whitespace(), text) == expected


def test_a_label_is_stripped_and_the_reason_says_what_changed() -> None:
    changed = Whitespace().apply(Labelled("r", "a\u200b  b e\u0301", " late delivery "))
    assert changed == Changed(Labelled("r", "a b é", "late delivery"), "control or invisible characters, Unicode form, space")


def test_length_measures_what_has_to_say_something() -> None:
    step = Length(min_characters=3, max_characters=20)
    assert step.apply(Text("r", " ab ")) == Dropped("text under 3 characters", "2 characters")
    assert step.apply(Text("r", "abc")) == Kept()
    assert step.apply(Text("r", "x" * 20)) == Kept()
    assert step.apply(Text("r", "x" * 21)) == Dropped("over 20 characters", "21 characters")
    assert step.apply(Pair("r", "prompt", "")) == Dropped("empty completion", "0 characters")
    assert step.apply(Pair("r", "", "answer")) == Dropped("empty prompt", "0 characters")
    assert step.apply(Pair("r", "x" * 11, "y" * 10)) == Dropped("over 20 characters", "21 characters")
    said = (Message("system", ""), Message("user", "hello"), Message("assistant", "  "))
    assert step.apply(Chat("r", said)) == Dropped("empty assistant turns", "0 characters")
    assert step.apply(Chat("r", ())) == Dropped("empty conversation", "0 characters")
    assert [path for path, *_ in Length(min_characters=5, max_characters=4).complaints(frozenset())] == ["max_characters"]


def decided(step: ExactDuplicates | NearDuplicates, *rows: AnyExample) -> dict[str, tuple[str, str | None]]:
    """Dropped row → (reason, the row that stands for it)."""
    return {row.example.id: (row.reason, row.kept_id) for row in clean(rows, [step]).dropped}


def test_exact_duplicates_ignore_case_width_and_space_and_keep_the_first() -> None:
    rows = [
        Labelled("1", "My  Bow is  LATE", "x"),
        Labelled("2", "other", "x"),
        Labelled("3", "my bow is late\n", "x"),
        Labelled("4", "ｍｙ bow is late", "x"),
    ]
    assert decided(ExactDuplicates(), *rows) == {"3": ("duplicate of another row", "1"), "4": ("duplicate of another row", "1")}


def test_one_text_with_several_labels_keeps_the_most_frequent_label() -> None:
    rows = [Labelled("1", "t", "a"), Labelled("2", "t", "b"), Labelled("3", "T", "b"), Labelled("4", "u", "a"), Labelled("5", "u", "b")]
    cleaned = clean(rows, [ExactDuplicates()])
    assert [row.example.id for row in cleaned.kept] == ["2", "4"]
    assert {row.example.id: (row.reason, row.detail) for row in cleaned.dropped} == {
        "1": ("same text, other label", "kept: b (row 2)"),
        "3": ("duplicate of another row", "of row 2"),
        "5": ("same text, other label", "kept: a (row 4)"),
    }


def test_one_prompt_with_two_completions_is_no_duplicate() -> None:
    assert decided(ExactDuplicates(), Pair("1", "p", "c"), Pair("2", "p", "d"), Pair("3", "P", "C")) == {
        "3": ("duplicate of another row", "1")
    }


LINE = "The A string of my violin goes flat within minutes of tuning it"


def test_near_duplicates_keep_the_first_and_rows_of_another_label() -> None:
    rows = [Labelled("1", LINE, "x"), Labelled("2", LINE + ".", "y"), Labelled("3", LINE + "!", "x"), Labelled("4", LINE + "?", "y")]
    reason = "nearly the same as another row"
    assert decided(NearDuplicates(), *rows) == {"3": (reason, "1"), "4": (reason, "2")}


def test_the_threshold_is_where_near_begins() -> None:
    # 10 grams of which 8 are common: 8 / 10 if one text only lacks two.
    rows = [Text("1", "abcdefghijklmn"), Text("2", "abcdefghijkl")]
    assert set(decided(NearDuplicates(threshold=0.8), *rows)) == {"2"}
    assert decided(NearDuplicates(threshold=0.81), *rows) == {}


def test_a_chain_of_small_changes_does_not_pull_in_its_far_end() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789!?#%"
    # 32 grams each: neighbours share 30 of 34, the ends 28 of 36.
    rows = [Text(str(k), letters[k : k + 36]) for k in (0, 2, 4)]
    assert decided(NearDuplicates(threshold=0.8), *rows) == {"2": ("nearly the same as another row", "0")}


def test_two_questions_about_one_long_passage_both_stay() -> None:
    passage = "\n\n" + " ".join(f"In the year {1700 + i} the workshop made {i} violins of spruce and maple." for i in range(40))
    rows = [
        Pair("1", "Who ran the workshop in the years that the passage tells of?" + passage, "An old family of luthiers."),
        Pair("2", "How many cellos were made?" + passage, "None at all."),
        Pair("3", "Was it in Cremona?" + passage, "An old family of luthiers."),
        Pair("4", "Who ran the workshop in the years that the passage tells of" + passage, "An old family of luthiers"),
    ]
    assert decided(NearDuplicates(), *rows) == {"4": ("nearly the same as another row", "1")}


def test_other_answers_about_a_passage_that_was_touched_up_stay() -> None:
    passage = " ".join(f"In the year {1700 + i} the workshop made {i} violins of spruce and maple." for i in range(40))
    rows = [
        Pair("1", f"Who? {passage}", "An old family."),
        Pair("2", f"Who then? {passage}.", "Nobody knows."),
        Pair("3", f"Who? {passage}.", "An old family."),
    ]
    assert decided(NearDuplicates(), *rows) == {"3": ("nearly the same as another row", "1")}


def test_texts_of_the_same_grams_are_not_the_same_text() -> None:
    prompt = "Is it so? yes. Is it so? no. Is it so?"
    rows = [Pair("1", prompt, "yes."), Pair("2", prompt, "no.")]
    assert similarity(whole(rows[0]), whole(rows[1])) == 1
    assert decided(NearDuplicates(), *rows) == {}
