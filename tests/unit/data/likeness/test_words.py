"""Words, and the runs of them that texts share, against brute force and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.likeness.words import COMMON, WordRuns, words

A_TO_Z = "abcdefghijklmnopqrstuvwxyz"


def runs_of(texts: list[str], n: int = 4, least: int = 2) -> WordRuns:
    return WordRuns([[words(text)] for text in texts], [words(text) for text in texts], n, least)


def test_words_have_no_case_width_or_punctuation_and_unspaced_scripts_give_a_word_a_character() -> None:
    assert words("Don't—STOP, ｎｏｗ! (12.5)") == ["don", "t", "stop", "now", "12", "5"]
    assert words("小提琴の弦 violin弦") == ["小", "提", "琴", "の", "弦", "violin", "弦"]
    assert words("Größer скрипка") == ["grösser", "скрипка"]


def test_a_shared_run_is_found_wherever_it_stands_and_one_word_less_is_not() -> None:
    runs = runs_of([" ".join(A_TO_Z[:10]), "other things altogether here and there"])
    assert runs.meets(words("x x c d e f x")) == (0, "c d e f")
    assert runs.meets(words("g h i j")) == (0, "g h i j")
    assert runs.meets(words("c d e x f g h x")) is None
    assert runs.meets(words("c d x e f")) is None
    assert runs.meets([]) is None


def test_a_short_text_is_looked_for_as_a_whole_and_a_very_short_one_not_at_all() -> None:
    runs = runs_of(["one two three", "solo", "four five"])
    assert runs.meets(words("and one two three more")) == (0, "one two three")
    assert runs.meets(words("and one two more")) is None
    assert runs.meets(words("solo")) is None
    assert runs.meets(words("four five")) == (2, "four five")


def test_a_run_does_not_reach_from_one_stretch_into_the_next() -> None:
    runs = WordRuns([[words("a b c d"), words("e f g h")]], [[]], 4, 2)
    assert runs.meets(words("c d e f")) is None
    assert runs.meets(words("e f g h")) == (0, "e f g h")


def test_runs_that_many_rows_have_are_common_phrases() -> None:
    phrase = "answer with one word only please"
    assert runs_of([f"{phrase} {i}" for i in range(COMMON)]).meets(words(phrase)) == (0, "answer with one word")
    many = runs_of([f"{phrase} {i}" for i in range(COMMON + 1)])
    assert many.meets(words(phrase)) is None
    assert many.meets(words("word only please 3")) == (3, "word only please 3")
    # However often one row says it.
    assert runs_of([" ".join([phrase] * 20)]).meets(words(phrase)) is not None


@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=9), max_size=8), st.lists(st.sampled_from("abcd"), max_size=9), st.integers(3, 5)
)
@settings(max_examples=200, deadline=None)
def test_what_is_found_is_what_brute_force_finds(rows: list[list[str]], text: list[str], n: int) -> None:
    runs = WordRuns([[row] for row in rows], rows, n, 2)

    def has(row: list[str], run: list[str]) -> bool:
        sizes = [n] if len(row) >= n else [len(row)] if 2 <= len(row) < n else []
        return len(run) in sizes and any(row[i : i + len(run)] == run for i in range(len(row) - len(run) + 1))

    sizes = [n, *range(n - 1, 1, -1)]
    wanted = [(size, start) for size in sizes for start in range(len(text) - size + 1)]
    there = [text[start : start + size] for size, start in wanted]
    expected = next((run for run in there if any(has(row, run) for row in rows)), None)
    found = runs.meets(text)
    assert (None if found is None else found[1]) == (None if expected is None else " ".join(expected))
    if found is not None and expected is not None:
        assert found[0] == next(i for i, row in enumerate(rows) if has(row, expected))


@pytest.mark.parametrize("n", [1000, 70_000])
def test_many_words_are_indexed_as_few_are(n: int) -> None:
    text = [f"w{i}" for i in range(n)]
    runs = WordRuns([[text]], [text], 13, 8)
    for start in (0, n // 2, n - 13):
        assert runs.meets(["x", *text[start : start + 13], "y"]) == (0, " ".join(text[start : start + 13]))
