"""Surprise, distance from one's label, and the rows that are least like the others."""

from __future__ import annotations

import base64
import itertools
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_profiles import labelled

from luthier.core.draws import permutation
from luthier.core.examples import AnyExample, Labelled, Text
from luthier.data.profile import surprise
from luthier.data.profile.label_distance import label_margins
from luthier.data.profile.sample import Looked, looked
from luthier.data.profile.strange import FEWEST_ROWS, MEASURES, N_STRANGEST, strangest, various
from luthier.data.profile.surprise import bits_per_character, letters_of


def slow_bits(texts: list[str], seed: int) -> list[float]:
    """The same by dictionaries: for alphabets so small that no character is too rare to be known."""
    letters = sorted({one for text in texts for one in text})
    half = [0] * len(texts)
    for i in permutation(len(texts), seed, "surprise")[: len(texts) // 2]:
        half[int(i)] = 1
    k = 161
    assert len(letters) < k - 1
    found = []
    for mine, text in zip(half, texts, strict=True):
        one, two, three = Counter[str](), Counter[str](), Counter[str]()
        for other, known in zip(half, texts, strict=True):
            if other != mine:
                padded = "\0\0" + known
                for i in range(2, len(padded)):
                    one[padded[i]] += 1
                    two[padded[i - 1 : i + 1]] += 1
                    three[padded[i - 2 : i + 1]] += 1
        after_one = Counter[str]()
        after_two = Counter[str]()
        for pair, n in two.items():
            after_one[pair[0]] += n
        for triple, n in three.items():
            after_two[triple[:2]] += n
        bits, padded = 0.0, "\0\0" + text
        for i in range(2, len(padded)):
            a, b, c = padded[i - 2], padded[i - 1], padded[i]
            p = (one[c] + 0.5) / (sum(one.values()) + 0.5 * k)
            p = (two[b + c] + 5 * p) / (after_one[b] + 5)
            p = (three[a + b + c] + 5 * p) / (after_two[a + b] + 5)
            bits -= math.log2(p)
        found.append(bits / max(1, len(text)))
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab c", max_size=12), min_size=1, max_size=8), st.integers(0, 3))
def test_surprise_is_that_of_plain_counts(texts: list[str], seed: int) -> None:
    assert bits_per_character(letters_of(texts), seed) == pytest.approx(slow_bits(texts, seed), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab cé\ud83d😀", max_size=12), max_size=12), st.integers(1, 20))
def test_it_is_the_same_however_many_characters_are_worked_on_at_once(texts: list[str], at_once: int) -> None:
    whole = letters_of(texts)
    wanted = bits_per_character(whole, 1), whole.among(str.isspace), whole.counts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surprise, "_AT_ONCE", at_once)
        letters = letters_of(texts)
        blocks = list(letters.blocks())
        assert all(len(block.points) <= at_once or len(set(block.row)) == 1 for block in blocks)
        assert all(len(one.points) + len(next_.points) > at_once for one, next_ in itertools.pairwise(blocks)), "no block is cut too early"
        found = bits_per_character(letters, 1), letters.among(str.isspace), letters.counts
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_characters_are_counted_by_text() -> None:
    letters = letters_of(["a b", "", "  ", "xyz1"])
    assert letters.counts[[ord(one) for one in "a bxyz1"]].tolist() == [1, 3, 1, 1, 1, 1, 1] and letters.counts.sum() == 9
    assert letters.lengths.tolist() == [3, 0, 2, 4]
    assert letters.among(str.isspace).tolist() == [1, 0, 2, 0] and letters.among(str.isdigit).tolist() == [0, 0, 0, 1]
    assert letters_of(["", ""]).among(str.isspace).tolist() == [0, 0]


def test_a_margin_is_the_cosine_to_the_rest_of_ones_own_label_less_that_to_the_nearest_other() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = labelled(40)
    labels, texts = [row.label if i % 7 else None for i, row in enumerate(rows)], [row.text for row in rows]
    found = label_margins(labels, texts)
    assert found is not None
    known = [i for i, label in enumerate(labels) if label is not None]
    assert np.isnan(found[[i for i in range(40) if i not in known]]).all()
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]+")
    vectors = words.fit_transform([texts[i] for i in known]).toarray()
    for place, i in enumerate(known):
        def centre(label: str | None, place: int = place) -> np.ndarray:  # type: ignore[type-arg]
            total = np.sum([vectors[j] for j, other in enumerate(known) if labels[other] == label and j != place], axis=0)
            return np.asarray(total / np.linalg.norm(total))

        other = "repair" if labels[i] == "question" else "question"
        assert found[i] == pytest.approx(vectors[place] @ centre(labels[i]) - vectors[place] @ centre(other), abs=1e-8)


def test_without_labels_to_tell_apart_there_is_no_margin() -> None:
    assert label_margins([None] * 9, ["a"] * 9) is None
    assert label_margins(["one"] * 9, ["a"] * 9) is None
    assert label_margins(["one"] * 9 + ["two"] * 4, ["a"] * 13) is None


ODD: dict[str, tuple[str, str]] = {
    "length": ("My bow needs a look by 3. " * 60, "it is long"),
    "signs": ("{{}}//||**##@@ ~~ <<>> ;;;; ==== !!!! $$$$ %%%%", "it is full of signs"),
    "alphabet": ("Лак на задней деке моей виолончели потрескался", "its characters are rare"),
    "repetition": ("bow bow bow bow bow bow bow bow bow bow bow bow bow bow bow bow", "it repeats itself"),
    "surprise": (base64.b32encode(random.Random(0).randbytes(30)).decode().lower().strip("="), "its spelling surprises"),
}


def rows_with(texts: list[str], n: int = 300) -> list[Looked]:
    rows: list[AnyExample] = [Text(row.id, row.text, source=row.source) for row in labelled(n)]
    for i, text in enumerate(texts):
        rows.insert(37 * (i + 1), Text(f"odd {i}", text, source=f"odd.csv:{i}"))
    return [looked(row, "train") for row in rows]


@pytest.mark.parametrize("measure", ODD)
def test_a_row_that_is_odd_in_one_way_stands_first_and_says_so(measure: str) -> None:
    text, says = ODD[measure]
    found, n = strangest(rows_with([text]), 0)
    assert found[0].row.source == "odd.csv:0" and n >= 1
    assert measure in [one.measure for one in found[0].why]
    assert any(one.said.startswith(says) for one in found[0].why)


def test_odd_rows_of_every_kind_are_all_among_the_strangest() -> None:
    found, _ = strangest(rows_with([text for text, _ in ODD.values()], 1500), 1)
    assert {one.row.id for one in found} >= {f"odd {i}" for i in range(len(ODD))}
    assert len(found) <= N_STRANGEST
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0


def test_many_rows_that_are_odd_in_one_way_leave_room_for_the_others() -> None:
    order = [*range(3, 15), 1, 0, 2]
    worst = np.array([1, 1, 2] + [0] * 12)
    assert various(order, worst) == [3, 4, 5, 6, 7, 8, 9, 1, 0, 2]
    assert various(order, np.zeros(15, dtype=np.int64)) == order[:N_STRANGEST]
    assert various([4, 2], worst) == [4, 2] and various([], worst) == []


def test_a_row_with_another_labels_words_is_far_from_its_own() -> None:
    words = {"repair": "crack glue broken mend split seam", "lesson": "teacher practice scales exam grade tutor"}
    draw = random.Random(3)
    rows = [Labelled(f"r{i}", " ".join(draw.choices(words[label].split(), k=8)), label) for i in range(200) for label in words]
    wrong = Labelled("wrong", "glue crack seam broken mend mend split", "lesson")
    found, _ = strangest([looked(row, "train") for row in [*rows, wrong]], 0)
    (one,) = [one for one in found if one.row.id == "wrong"]
    assert [why.measure for why in one.why] == ["label"] and one.why[0].value < 0 < one.why[0].usual[0]


def test_rows_that_are_all_alike_are_not_strange_and_few_rows_say_nothing() -> None:
    assert strangest([looked(row, "train") for row in labelled(400)], 0) == ((), 0)
    assert strangest(rows_with([ODD["length"][0]], FEWEST_ROWS - 2), 0) == ((), 0)


def test_a_long_row_is_not_strange_because_long_texts_compress_better() -> None:
    draw = random.Random(5)
    lengths = [60 if i % 10 == 0 else 12 for i in range(400)]
    made = [" ".join("".join(draw.choices("abcdefghijklmno", k=draw.randint(3, 7))) for _ in range(n)) for n in lengths]
    rows = [looked(Text(str(i), text), "train") for i, text in enumerate(made)]
    found, _ = strangest(rows, 0)
    assert not [why for one in found for why in one.why if why.measure == "repetition"]


def test_a_reason_says_the_value_and_what_is_usual() -> None:
    found, _ = strangest(rows_with([ODD["length"][0]]), 0)
    why = next(one for one in found[0].why if one.measure == "length")
    values = sorted(row.n_characters for row in rows_with([ODD["length"][0]]))
    assert why.value == 60 * 26 == values[-1] and why.usual == (np.quantile(values, 0.05), np.quantile(values, 0.95))
    assert why.said == f"it is long: 1,560 characters (usual: {why.usual[0]:,.0f} to {why.usual[1]:,.0f})"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.sampled_from(["a", "b", None])), min_size=FEWEST_ROWS, max_size=60))
def test_any_rows_have_finite_scores_with_reasons(made: list[tuple[str, str | None]]) -> None:
    rows = [looked(Labelled(str(i), text, label), "train") for i, (text, label) in enumerate(made)]
    found, n = strangest(rows, 0)
    assert (found, n) == strangest(rows, 0) and len(found) == min(n, N_STRANGEST)
    for one in found:
        assert one.why and all(math.isfinite(why.z) and math.isfinite(why.value) and why.said for why in one.why)
        assert {why.measure for why in one.why} <= set(MEASURES)


def test_most_odd_rows_among_real_ones_are_found(shared: Path) -> None:
    import csv

    with open(shared / "data" / "banking77" / "train.csv", encoding="utf-8", newline="") as file:
        rows: list[AnyExample] = [Text(str(i), row["text"], source=f"train.csv:{i}") for i, row in enumerate(csv.DictReader(file))]
    for i, (text, _) in enumerate(ODD.values()):
        rows.insert(1500 * (i + 1), Text(f"odd {i}", text))
    found, n = strangest([looked(row, "train") for row in rows], 0)
    # Some real rows are odd too: messages all in capitals, or full of blank lines.
    assert len({one.row.id for one in found} & {f"odd {i}" for i in range(len(ODD))}) >= len(ODD) - 1
    assert n < 0.05 * len(rows)
