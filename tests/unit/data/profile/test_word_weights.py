"""Words and pairs of words with their weights: scikit-learn's numbers, in any order of texts, in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from luthier.data.profile import word_weights as module
from luthier.data.profile.sample import Looked
from luthier.data.profile.strange import strangest
from luthier.data.profile.word_weights import word_weights

WORDS = st.sampled_from(["a", "A", "bow", "Bow!", "?!", "peg,", "é", "ß", "12", "a-b", "\n", "", "bow peg", "\ud800"])
TEXTS = st.lists(st.lists(WORDS, max_size=8).map(" ".join), min_size=1, max_size=9)


def by_library(texts: list[str]) -> tuple[np.ndarray, list[str]]:  # type: ignore[type-arg]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]+")
    vectors = words.fit_transform(texts).toarray()
    names = words.get_feature_names_out().tolist()
    # Words come first here, and then pairs, each in order.
    order = sorted(range(len(names)), key=lambda i: (" " in names[i], names[i].split(" ")))
    return vectors[:, order], [names[i] for i in order]


@settings(deadline=None)
@given(TEXTS, st.integers(1, 4))
def test_without_a_bound_the_weights_are_those_of_the_library(texts: list[str], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", at_once)
        found = word_weights(texts, 10**6)
    try:
        wanted, _ = by_library(texts)
    except ValueError:  # no text has a word
        assert found is None
        return
    assert found is not None
    np.testing.assert_allclose(found.toarray(), wanted, atol=1e-12)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_of_the_texts_decides_nothing(texts: list[str], most: int, draw: random.Random) -> None:
    order = draw.sample(range(len(texts)), len(texts))
    one, other = word_weights(texts, most), word_weights([texts[i] for i in order], most)
    if one is None or other is None:
        assert one is None and other is None
        return
    np.testing.assert_allclose(other.toarray(), one.toarray()[order], atol=1e-12)


def test_the_most_frequent_count_and_words_first_by_spelling_among_equals() -> None:
    texts = ["b b b c", "c a", "a b", "!"]
    # b 4, a 2, c 2, then "b b" 2, and once: !, "a b", "b c", "c a".
    def kept(most: int) -> list[int]:
        found = word_weights(texts, most)
        assert found is not None
        return [int(n) for n in np.count_nonzero(found.toarray(), axis=1)]

    assert kept(1) == [1, 0, 1, 0], "b"
    assert kept(2) == [1, 1, 2, 0], "and a"
    assert kept(3) == [2, 2, 2, 0], "and c"
    assert kept(4) == [3, 2, 2, 0], "and b b"
    assert kept(5) == [3, 2, 2, 1], "and !"
    assert word_weights(["", " \n"], 5) is None


def test_looking_for_strange_rows_takes_memory_by_the_block_and_hardly_by_the_row() -> None:
    def peak_bytes(n: int) -> int:
        draw = random.Random(1)
        made = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz     ", k=1000)) for _ in range(n)]
        rows = [Looked(str(i), "", "train", f"kind {i % 3}", (("text", text),), len(text)) for i, text in enumerate(made)]
        tracemalloc.start()
        try:
            strangest(rows, 0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # All of the letters as numbers at once were 90 bytes for each, and the library's dictionary of pairs as much again.
    assert peak_bytes(1600) - peak_bytes(800) < 30 * 800 * 1000
