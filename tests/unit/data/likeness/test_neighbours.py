"""The exact join against brute force and by hand, and how often the bands find what the join finds."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.likeness import neighbours
from luthier.data.likeness.neighbours import band_keys, band_shape, grams, similar_pairs, similarity

WORDS = [
    "tune",
    "the",
    "string",
    "of",
    "a",
    "violin",
    "before",
    "you",
    "play",
    "it",
    "in",
    "the",
    "hall",
    "tonight",
    "or",
    "the",
    "bow",
    "will",
    "slip",
    "and",
    "the",
    "wood",
    "will",
    "crack",
]


def by_force(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    sets = [grams(text) for text in texts]
    pairs = itertools.combinations(range(len(texts)), 2)
    return {(i, j) for i, j in pairs if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j]) - 1e-9}


def variations(n: int, seed: int, letters: str = "") -> list[str]:
    """Texts of which many are small changes of others."""
    draw = random.Random(seed)
    made: list[str] = []
    for _ in range(n):
        if made and draw.random() < 0.6:
            words = draw.choice(made).split()
            for _ in range(draw.randint(1, 2)):
                words[draw.randrange(len(words))] = draw.choice(WORDS)
        else:
            words = [draw.choice(WORDS) for _ in range(draw.randint(1, 30))]
        made.append(" ".join(words) + (draw.choice(letters) if letters else ""))
    return list(dict.fromkeys(made))


def test_grams_are_every_run_of_five_characters() -> None:
    assert grams("abcdefg") == {"abcde", "bcdef", "cdefg"}
    assert grams("abcde") == {"abcde"}
    assert grams("ab") == {"ab\0\0\0"}


def test_similarity_is_grams_in_both_over_grams_in_either() -> None:
    # abcde bcdef cdefg | bcdef cdefg defgh: two of four.
    assert similarity("abcdefg", "bcdefgh") == pytest.approx(0.5)
    assert similarity("", "") == 1
    assert similarity("abcd", "abce") == 0


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("n", [10, 400])
def test_the_join_finds_what_brute_force_finds(n: int, threshold: float) -> None:
    texts = variations(n, seed=n)
    found = list(similar_pairs(texts, threshold))
    assert len(found) == len({(i, j) for i, j, _ in found})
    assert {(i, j) for i, j, _ in found} == by_force(texts, threshold)
    assert all(value == pytest.approx(similarity(texts[i], texts[j])) for i, j, value in found)
    assert n < 100 or threshold == 1 or len(found) > 10


@given(st.lists(st.text(alphabet="ab ", max_size=14), min_size=17, max_size=40), st.sampled_from([0.5, 2 / 3, 0.75, 0.8, 1.0]))
@settings(max_examples=60, deadline=None)
def test_the_join_is_exact_on_short_texts_of_few_letters(texts: list[str], threshold: float) -> None:
    assert {(i, j) for i, j, _ in similar_pairs(texts, threshold)} == by_force(texts, threshold)


@pytest.mark.parametrize(("n_both", "n_either"), [(4, 5), (11, 20), (7, 10), (3, 5), (2, 3), (29, 50)])
@pytest.mark.parametrize("times", range(1, 12))
def test_a_pair_exactly_at_the_threshold_is_found(n_both: int, n_either: int, times: int) -> None:
    # The shorter text's grams are all in the longer one and, standing in two texts, are the least rare: the worst case.
    longer = "".join(chr(0x4E00 + i) for i in range(n_either * times + 4))
    fillers = [chr(0x9000 + i) * 7 for i in range(20)]
    pair = [longer, longer[: n_both * times + 4]]
    assert [(i, j) for i, j, _ in similar_pairs([*pair, *fillers], n_both / n_either)] == [(0, 1)]


def test_the_join_holds_for_an_alphabet_that_does_not_fit_five_to_a_number() -> None:
    many = "".join(chr(0x3400 + i) for i in range(9000))
    texts = [*variations(120, seed=5, letters=many), many[:300], many[:290], "".join(reversed(many))]
    found = {(i, j) for i, j, _ in similar_pairs(texts, 0.8)}
    assert found == by_force(texts, 0.8)
    assert (len(texts) - 3, len(texts) - 2) in found


def test_no_two_grams_are_mistaken_for_one_another_in_a_large_alphabet() -> None:
    assert list(similar_pairs([chr(0x3400 + i) + "abcd" for i in range(9000)], 1.0)) == []
    assert list(similar_pairs(["abcd" + chr(0x3400 + i) for i in range(9000)], 1.0)) == []


def test_small_pieces_give_what_large_ones_give(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = variations(200, seed=9)
    monkeypatch.setattr(neighbours, "_MAX_GRAMS_AT_ONCE", 50)
    monkeypatch.setattr(neighbours, "_BLOCK", 13)
    assert {(i, j) for i, j, _ in similar_pairs(texts, 0.7)} == by_force(texts, 0.7)


def test_texts_that_run_into_one_another_share_no_gram_across_the_seam() -> None:
    texts = ["abcdef", "ghijkl", "efghi", *(chr(0x9000 + i) * 6 for i in range(20))]
    assert list(similar_pairs(texts, 0.5)) == []


def test_bands_are_as_long_as_recall_allows() -> None:
    n_bands, n_rows = band_shape(0.8)
    assert n_bands * n_rows <= 128
    assert 1 - (1 - 0.8**n_rows) ** n_bands >= 0.999
    longer = n_rows + 1
    assert 1 - (1 - 0.8**longer) ** (128 // longer) < 0.999


def test_alike_texts_share_a_band_almost_surely() -> None:
    texts = variations(1500, seed=3)
    pairs = [(i, j) for i, j, _ in similar_pairs(texts, 0.8)]
    keys = [set(band_keys(text, 0.8)) for text in texts]
    recall = np.mean([bool(keys[i] & keys[j]) for i, j in pairs])
    assert len(pairs) > 100
    assert recall >= 0.98


def test_bands_tell_unlike_texts_apart() -> None:
    a, b = band_keys("the tuning pegs slip in dry weather", 0.8), band_keys("when does the workshop open on sunday", 0.8)
    assert not set(a) & set(b)
