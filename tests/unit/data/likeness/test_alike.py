"""The judge of pairs: whatever rows share a key, however many, the pairs among them that are alike are found."""

from __future__ import annotations

import random

import numpy as np
import pytest

from luthier.data.likeness.alike import Judge, Places, Sketched
from luthier.data.likeness.neighbours import are_alike, grams


def family(n: int, seed: int) -> list[str]:
    """Texts of 4 to 400 letters, about half of them small changes of others of their size."""
    draw = random.Random(seed)
    made: list[str] = []
    while len(made) < n:
        size = draw.choice([4, 20, 60, 150, 400])
        near = [text for text in made if len(text) == size]
        text = draw.choice(near) if near and draw.random() < 0.5 else "".join(draw.choices("abcdefgh ", k=size))
        place = draw.randrange(size)
        made.append(text[:place] + draw.choice("ijkl") + text[place + 1 :])
    return made


def judged(texts: list[str], runs: list[list[int]], words: int, labels: list[int] | None = None) -> list[tuple[int, int]]:
    """The pairs that a judge finds who is shown rows with a key to each run."""
    found: list[tuple[int, int]] = []

    def label(places: Places) -> Places:
        return np.array(labels)[places]

    def note(a: Places, b: Places) -> None:
        found.extend(zip(a.tolist(), b.tolist(), strict=True))

    judge = Judge(texts, Sketched.of(texts, words), 0.8, note, label if labels else None)
    keys = np.concatenate([np.full(len(run), key, dtype=np.uint64) for key, run in enumerate(runs)])
    judge.see_runs(keys, np.concatenate(runs).astype(np.int32))
    return found


@pytest.mark.parametrize("words", [1, 8, 16])
@pytest.mark.parametrize("length", [2, 7, 48, 49, 200, 1400])
def test_every_pair_of_a_run_that_is_alike_is_found_once(length: int, words: int) -> None:
    texts = family(1400, 1)[:length]
    sets = [grams(text) for text in texts]
    # A pair whose sizes differ by more than the threshold cannot be alike: brute force leaves these out, or it would take a minute.
    pairs = {
        (i, j)
        for i in range(length)
        for j in range(i + 1, length)
        if 4 * max(len(sets[i]), len(sets[j])) <= 5 * min(len(sets[i]), len(sets[j])) and are_alike(sets[i], sets[j], 0.8)
    }
    order = np.random.default_rng(length).permutation(length)
    found = judged(texts, [order.tolist()], words)
    assert len(found) == len(set(found)) and set(found) == pairs
    assert length < 49 or len(pairs) > 10


def test_pairs_of_equal_labels_are_left_out_and_no_others() -> None:
    texts, labels = family(700, 2), [i % 3 for i in range(700)]
    everything = judged(texts, [list(range(700))], 16)
    found = judged(texts, [list(range(700))], 16, labels)
    assert set(found) == {(i, j) for i, j in everything if labels[i] != labels[j]} and len(found) < len(everything)


def test_rows_meet_only_where_they_share_a_key() -> None:
    texts = ["a text that stands here twice", "a text that stands here twice", "a text that stands here twice"]
    assert set(judged(texts, [[0, 1], [2]], 8)) == {(0, 1)}
    assert set(judged(texts, [[2, 0], [1, 2], [0, 2]], 8)) == {(0, 2), (1, 2)}
