"""The published quality rules for prose, each rule by hand at its threshold."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.examples import Chat, Pair, Preference, Ranking, Rated, Tagged, Text
from luthier.core.messages import Message
from luthier.data.cleaning.prose_rules import in_most_frequent, in_repeated, n_sentences, repeats
from luthier.data.cleaning.stretches import prose
from luthier.data.decisions import Changed, Dropped, Kept, RowStep
from luthier.data.steps import C4Quality, FinewebQuality, GopherQuality, GopherRepetition


def reason(step: RowStep, text: str) -> str:
    """Why the text goes; empty if it stays."""
    decision = step.apply(Text("r", text))
    return decision.reason if isinstance(decision, Dropped) else ""


def said(n: int, word: str = "words") -> str:
    """`n` words, two of them stop words."""
    return " ".join(["the", "that", *[word] * (n - 2)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (said(50), ""),
        (said(49), "under 50 words"),
        (said(49) + " --", "under 50 words"),
        (said(100_000), ""),
        (said(100_001), "over 100000 words"),
        (said(200, "an"), "words of under 3 or over 10 characters in the mean"),
        ("the that abcdefghijabcdef abcdefghijabcdefg" + " abcdefghij" * 96, ""),
        ("the be that" + " abc" * 97, ""),
        (said(400, "abcdefghijk"), "words of under 3 or over 10 characters in the mean"),
        (said(90) + " #a" * 10, ""),
        (said(89) + " #a" * 10 + " ##a", "over one # in ten words"),
        (said(89) + " wor..." * 6 + " wor…" * 4 + " end", ""),
        (said(88) + " wor..." * 6 + " wor…" * 5 + " end", "over one ellipsis in ten words"),
        ("\n".join(["-the words that"] * 18 + ["the words"] * 2), ""),
        ("\n".join(["• the words that"] * 19 + ["the words"] * 2), "over 90 % of lines begin with a bullet"),
        ("\n".join(["the words that we know go on and..."] * 3 + ["the words that we know end"] * 7), ""),
        ("\n".join(["the words that we know go on and…"] * 4 + ["the words that we end"] * 6), "over 30 % of lines end with an ellipsis"),
        (said(80) + " 1234" * 20, ""),
        (said(79) + " 1234" * 21, "a letter in under 80 % of words"),
        ("words " * 60, "fewer than two stop words"),
        ("words " * 60 + "the the", "fewer than two stop words"),
        ("words " * 60 + "“The words have,”", ""),
        ("", "under 50 words"),
    ],
)
def test_gopher_s_quality_rules_at_their_thresholds(text: str, why: str) -> None:
    assert reason(GopherQuality(), text) == why


def test_gopher_s_bounds_can_be_moved() -> None:
    assert reason(GopherQuality(min_words=3), "the words that") == ""
    assert reason(GopherQuality(min_words=3, max_words=5), said(6)) == "over 5 words"
    assert reason(GopherQuality(stop_words=()), "words " * 60) == ""
    assert reason(GopherQuality(stop_words=("der", "und")), "Worte " * 60 + "der und") == ""
    assert reason(GopherQuality(min_words=0), "") == ""
    assert [path for path, *_ in GopherQuality(min_words=6, max_words=5).complaints(frozenset())] == ["max_words"]
    assert [path for path, *_ in GopherQuality(stop_words=("der",)).complaints(frozenset())] == ["stop_words"]
    assert not list(GopherQuality().complaints(frozenset()))


def test_repetition_is_counted_by_hand() -> None:
    assert repeats(["a", "bb", "a", "a", "bb"]) == (3, 4)
    assert in_most_frequent(["a", "b", "a", "b", "c"], 2) == 2 * len("a b")
    assert in_most_frequent(["a", "b", "c", "d"], 2) == 0
    assert in_most_frequent(["aa", "b", "cc", "dd", "x", "aa", "b", "y", "cc", "dd"], 2) == 2 * len("cc dd")
    assert in_repeated(["a", "b", "c", "a", "b", "c", "a", "b", "c"], 3) == 6
    assert in_repeated(["a", "b", "c", "d"], 3) == 0
    assert in_repeated(["a", "a", "a", "a", "a"], 2) == 4
    assert n_sentences('One. Two! "Three?" v1.2 is four... 五。') == 5


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(2, 5))
def test_repeated_runs_are_those_of_the_plain_definition(words: list[str], n: int) -> None:
    seen: list[list[str]] = []
    total = i = 0
    while i <= len(words) - n:
        run = words[i : i + n]
        total += n * (run in seen)
        i += n if run in seen else 1
        seen.append(run)
    assert in_repeated(words, n) == total
    runs = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    most = max(map(runs.count, runs), default=0)
    assert in_most_frequent(words, n) == (most * (2 * n - 1) if most > 1 else 0)


def different(n: int, first: int = 0) -> list[str]:
    """Lines of ten characters, no two alike, and no two words."""
    return [f"line{i:06d}" for i in range(first, first + n)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n".join(different(7) + ["x"] * 4), ""),
        ("\n".join(different(6) + ["x"] * 4), ""),
        ("\n".join(different(5) + ["x"] * 4), "repeated lines"),
        ("\n\n".join(different(5) + ["x"] * 4), "repeated paragraphs"),
        ("\n".join([*different(20), *["a much longer line of text"] * 4]), "characters in repeated lines"),
        ("\n\n".join([*different(20), *["a much longer line of text"] * 4]), "characters in repeated paragraphs"),
        (" ".join([*different(7), *["some words"] * 3]), "characters in the most frequent 2 words"),
        (" ".join([*different(11), "a b cc", *different(1, 20), "a b cc", *different(1, 30)]), ""),
        (" ".join([*different(8), "v w x y z", *different(2, 20), "v w x y z"]), ""),
        ("", ""),
    ],
)
def test_gopher_s_repetition_rules(text: str, why: str) -> None:
    assert reason(GopherRepetition(), text) == why


@pytest.mark.parametrize(("n", "most"), [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)])
def test_runs_that_stood_before_may_take_the_less_the_longer_they_are(n: int, most: float) -> None:
    # Three runs that stand twice, so that none of them alone is frequent.
    runs = " ".join(f"w{i:03d}" for i in range(3 * n))
    again = " ".join(f"{' '.join(f'w{i:03d}' for i in range(k * n, (k + 1) * n))} gap{k}" for k in range(3))
    # The shortest text in which they may stand twice, and one that is a character shorter.
    for n_characters, why in ((ceil(12 * n / most), ""), (ceil(12 * n / most) - 1, f"characters in repeated runs of {n} words")):
        n_between = n_characters - len(runs) - len(again) - 2
        between = " ".join(different(n_between // 11))
        text = f"{runs} {between}{'x' * (n_between - len(between))} {again}"
        assert len(text) == n_characters
        assert reason(GopherRepetition(), text) == why


def test_c4_keeps_lines_that_are_sentences() -> None:
    lines = [
        "The belly is made of spruce.",
        "Menu",
        "Is the back made of maple?",
        "Two words.",
        "Read on and on...",
        "He said: “it is made of ebony.”",
        "Please switch on JavaScript to read on.",
        "By reading on you accept our Privacy Policy.",
        "It is said[1] that glue is bad.[citation needed]",
        "A word of " + "x" * 1001 + " is too long.",
        "A word of " + "x" * 1000 + " is just short enough.",
    ]
    kept = [lines[0], lines[2], lines[5], "It is said that glue is bad.", lines[10]]
    changed = C4Quality().apply(Text("r", "\n".join(lines)))
    assert changed == Changed(Text("r", "\n".join(kept)), "lines that are no sentences")
    assert C4Quality().apply(Text("r", "\n".join(kept))) == Kept()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("One sentence stands here. " * 4, "under 5 sentences"),
        (("One sentence stands here. " * 5).strip(), ""),
        ("One sentence stands here.\n" * 5 + "if (x) { y; }", "a curly bracket"),
        ("One sentence stands here.\n" * 5 + "Lorem Ipsum dolor sit amet.", '"lorem ipsum"'),
        ("no sentence at all\n" * 9, "under 5 sentences"),
        ("", "under 5 sentences"),
    ],
)
def test_c4_drops_what_is_no_prose(text: str, why: str) -> None:
    assert reason(C4Quality(), text) == why


def test_c4_s_numbers_can_be_moved() -> None:
    assert C4Quality(min_sentences=1, min_words_per_line=2).apply(Text("r", "Two words.")) == Kept()
    assert reason(C4Quality(min_sentences=1, min_words_per_line=3), "Two words.") == "under 1 sentences"


LONG = "a line of prose that is over thirty characters long"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([f"{LONG} {i}" for i in range(87)] + [f"{LONG} {i}." for i in range(13)], ""),
        ([f"{LONG} {i}" for i in range(88)] + [f"{LONG} {i}." for i in range(12)], "few lines end like sentences"),
        ([f"{LONG} {i:02d}." for i in range(91)] + [f"{LONG} 00."] * 9, ""),
        ([f"{LONG} {i:02d}." for i in range(90)] + [f"{LONG} 00."] * 10, "characters in repeated lines"),
        ([f"{LONG} {i}." for i in range(34)] + [f"short {i}." for i in range(66)], ""),
        ([f"{LONG} {i}." for i in range(33)] + [f"short {i}." for i in range(67)], "most lines are short"),
        ([f"{i:029d}." for i in range(9)], ""),
        ([f"{i:028d}." for i in range(9)], "most lines are short"),
        ([""], "no line that says anything"),
    ],
)
def test_fineweb_s_filters_at_their_thresholds(lines: list[str], why: str) -> None:
    assert reason(FinewebQuality(), "\n".join(lines)) == why


def test_fineweb_s_thresholds_can_be_moved() -> None:
    assert reason(FinewebQuality(ended_lines=0.0, short_lines=1.0, repeated=1.0), f"{LONG}.\n{LONG}.\n{LONG}") == ""
    assert reason(FinewebQuality(ended_lines=0.0), LONG) == "few lines end like sentences"


def test_judged_is_what_is_learnt_to_be_written() -> None:
    assert prose(Pair("r", "prompt", "completion")) == "completion"
    turns = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("tool", "t"), Message("assistant", "b"))
    assert prose(Chat("r", turns)) == "a\n\nb"
    said, reply = (Message("user", "u"),), (Message("assistant", "a"),)
    other = (Message("assistant", "b"),)
    assert prose(Preference("r", said, reply, other)) == prose(Ranking("r", said, (reply, other), (1, 2))) == "a\n\nb"
    assert prose(Rated("r", said, reply, True)) == "a" and prose(Tagged("r", ("one", "two"), None)) == "one two"
    text = "One sentence stands here. " * 5
    changed = C4Quality().apply(Pair("r", "Menu", f"{text}\nMenu"))
    assert isinstance(changed, Changed) and changed.example == Pair("r", "Menu", text.strip())
