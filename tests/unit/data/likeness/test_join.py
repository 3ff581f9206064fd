"""The join of many texts against brute force: at every threshold and length, when keys spill, and when parts do not suffice."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.likeness import alike, grams, join
from luthier.data.likeness.alike import Places, Sketched, n_words
from luthier.data.likeness.components import Components
from luthier.data.likeness.grams import gram_sets
from luthier.data.likeness.neighbours import are_alike, similar_pairs
from luthier.data.likeness.neighbours import grams as grams_of
from luthier.data.likeness.texts import IN_MEMORY, Chosen, Texts

THRESHOLDS = [0.5, 0.6, 0.67, 0.7, 0.8, 0.9, 0.97, 1.0]
WORDS = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=2 + i % 8)) for i in range(400)]


def variations(n: int, seed: int, n_words: tuple[int, int], words: Sequence[str] = WORDS) -> list[str]:
    """Texts of which many are small changes of others, down to the threshold and below it."""
    draw = random.Random(seed)
    made: list[str] = []
    for _ in range(n):
        if made and draw.random() < 0.6:
            chosen = draw.choice(made).split()
            for _ in range(draw.randint(1, 1 + len(chosen) // 10)):
                chosen[draw.randrange(len(chosen))] = draw.choice(words)
        else:
            chosen = [draw.choice(words) for _ in range(draw.randint(*n_words))]
        made.append(" ".join(chosen))
    return list(dict.fromkeys(made))


def joined(texts: Sequence[str], threshold: float, **options: object) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    join.join(texts, threshold, lambda a, b: found.extend(zip(a.tolist(), b.tolist(), strict=True)), **options)  # type: ignore[arg-type]
    return found


def by_force(texts: Sequence[str], threshold: float) -> set[tuple[int, int]]:
    sets = [grams_of(text) for text in texts]
    return {(i, j) for i, j in itertools.combinations(range(len(texts)), 2) if are_alike(sets[i], sets[j], threshold)}


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("lengths", [(1, 8), (5, 30), (10, 60), (80, 300)])
def test_every_pair_that_is_alike_is_found_once(threshold: float, lengths: tuple[int, int]) -> None:
    texts = variations(100, int(threshold * 100) + lengths[0], lengths)
    found = joined(texts, threshold)
    assert len(found) == len(set(found))
    assert set(found) == by_force(texts, threshold)
    assert all(i < j for i, j in found)


@given(st.lists(st.text(alphabet="ab ", max_size=14), max_size=40), st.sampled_from(THRESHOLDS))
@settings(max_examples=80, deadline=None)
def test_short_texts_of_few_letters_equal_ones_among_them(texts: list[str], threshold: float) -> None:
    found = joined(texts, threshold)
    assert len(found) == len(set(found)) and set(found) == by_force(texts, threshold)


@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9])
@pytest.mark.parametrize("n_small", range(58, 70))
def test_pairs_just_at_the_threshold_meet_across_size_classes(threshold: float, n_small: int) -> None:
    # The shorter text's grams are all in the longer one, which is as long as it may be; 64 grams end a class.
    longest = int(n_small / threshold + 1e-9)
    texts = ["".join(chr(0x4E00 + 300 * k + i) for i in range(n + 4)) for k in range(30) for n in (n_small, longest, longest + 1)]
    found = set(joined(texts, threshold))
    assert found == by_force(texts, threshold)
    assert {(3 * k, 3 * k + 1) for k in range(30)} <= found and not {(3 * k, 3 * k + 2) for k in range(30)} & found


@pytest.mark.parametrize("seed", range(6))
def test_long_texts_that_differ_in_as_much_as_they_may(seed: int) -> None:
    # Letters changed one by one, far apart, until the next change would be one too many: the hardest pairs there are.
    draw = random.Random(seed)
    texts: list[str] = []
    for _ in range(12):
        text = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz ", k=draw.randint(90, 3000)))
        changed, places = list(text), draw.sample(range(0, len(text), 7), len(text) // 7)
        for place in places:
            changed[place] = "#"
            if not are_alike(grams_of(text), grams_of("".join(changed)), 0.8):
                changed[place] = text[place]
                break
        texts += [text, "".join(changed)]
    found = set(joined(texts, 0.8))
    assert found == by_force(texts, 0.8) and {(2 * k, 2 * k + 1) for k in range(12)} <= found


@pytest.mark.parametrize("spare", [0.5, 0.9])
def test_texts_with_too_few_parts_are_compared_with_all_others(spare: float, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = variations(120, 3, (30, 120))
    seen: list[int] = []
    keys = join.Scheme.keys

    def noting(scheme: join.Scheme, sets: grams.GramSets) -> Iterable[join.Keyed]:
        for one in keys(scheme, sets):
            seen.extend(one.loose.tolist())
            yield one

    monkeypatch.setattr(join, "_SPARE", spare)
    monkeypatch.setattr(join.Scheme, "keys", noting)
    assert set(joined(texts, 0.8)) == by_force(texts, 0.8)
    assert seen


def test_a_text_without_keys_meets_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = join.Scheme.keys

    def all_loose(scheme: join.Scheme, sets: grams.GramSets) -> Iterable[join.Keyed]:
        for one in keys(scheme, sets):
            yield join.Keyed(one.keys[:0], one.rows[:0], np.unique(one.rows))

    monkeypatch.setattr(join.Scheme, "keys", all_loose)
    texts = variations(60, 3, (5, 60))
    assert set(joined(texts, 0.8)) == by_force(texts, 0.8) and len(by_force(texts, 0.8)) > 5


@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9, 1.0])
def test_a_text_has_one_key_more_than_one_alike_it_could_differ_in(threshold: float) -> None:
    texts = variations(40, 6, (2, 200))
    sets = gram_sets(texts)
    scheme = join.Scheme(threshold, join._rarity(texts), join.filling_of(threshold))
    by_class = list(scheme.keys(sets))
    low = join._SHORT
    for i, n in enumerate(sets.n_grams.tolist()):
        # Of n grams a text at least as long may lack (1 - t) n, or, if none is lacking, have (1 - t) / t n more.
        wanted = int((1 - threshold) / threshold * n + 1e-6) + 1 if n > low else n - int(np.ceil(threshold * n - 1e-6)) + 1
        given = [int((one.rows == i).sum()) for one in by_class if (one.rows == i).any()]
        assert wanted in given and min(given) >= n - int(np.ceil(threshold * n - 1e-6)) + 1
        assert not any((one.loose == i).any() for one in by_class)


def test_what_spills_to_the_disk_is_found_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = variations(150, 8, (20, 60))
    monkeypatch.setattr(join, "_SPILL", 500)
    monkeypatch.setattr(join, "_BUCKET", 700)
    monkeypatch.setattr(alike, "_AT_ONCE", 64)
    monkeypatch.setattr(alike, "_SMALL_RUN", 3)
    monkeypatch.setattr(alike, "_CHARACTERS_AT_ONCE", 900)
    monkeypatch.setattr(grams, "MOST_CHARACTERS", 2000)
    found = joined(texts, 0.75, folder=tmp_path)
    assert len(found) == len(set(found)) and set(found) == by_force(texts, 0.75)
    assert not list(tmp_path.iterdir())


def test_alphabets_too_large_for_five_letters_to_a_number() -> None:
    many = "".join(chr(0x3400 + i) for i in range(9000))
    draw = random.Random(1)
    texts = ["".join(draw.choices(many, k=draw.randint(5, 90))) for _ in range(150)]
    texts += [text[:-2] + "ab" for text in texts[:80]]
    assert set(joined(texts, 0.8)) == by_force(texts, 0.8)


@pytest.mark.parametrize("small_run", [2, 48])
def test_texts_with_equal_labels_are_not_compared_and_all_others_are(small_run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_SMALL_RUN", small_run)
    texts = variations(200, 5, (10, 60))
    labels = np.array([random.Random(i).randrange(3) for i in range(len(texts))])
    pairs = {(i, j) for i, j in by_force(texts, 0.7) if labels[i] != labels[j]}
    assert set(joined(texts, 0.7, label=labels.__getitem__)) == pairs and len(pairs) > 50


def test_what_hangs_together_is_known_without_every_pair() -> None:
    texts = variations(60, 5, (30, 60)) + [f"{WORDS[i]} of one large family whose members are all nearly the same text" for i in range(90)]
    together, every = Components(len(texts)), Components(len(texts))
    n_told = 0

    def note(a: Places, b: Places) -> None:
        nonlocal n_told
        n_told += len(a)
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            together.join(i, j)

    join.join(texts, 0.8, note, together.of_each)
    pairs = by_force(texts, 0.8)
    for i, j in pairs:
        every.join(i, j)
    assert list(together.all()) == list(every.all())
    assert n_told < len(pairs) / 2


def with_instruction(n: int) -> list[str]:
    """Texts that share a long beginning, and are not alike all the same."""
    shared = " ".join(WORDS[:60])
    return [f"{shared} {' '.join(random.Random(i).choices(WORDS, k=45))}" for i in range(n)]


def test_texts_with_much_in_common_are_parted_otherwise_and_joined_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "_TRIED", 100)
    texts = with_instruction(110) + [text[:-1] + "#" for text in with_instruction(9)]
    assert join._quickest(texts, 0.8, len(texts)).filling < join.filling_of(0.8)
    assert set(joined(texts, 0.8)) == by_force(texts, 0.8) and len(by_force(texts, 0.8)) < 100
    unlike = [" ".join(random.Random(i).choices(WORDS[:40], k=90)) for i in range(110)]
    assert join._quickest(unlike, 0.8, 10**6).filling == join.filling_of(0.8)


@pytest.mark.parametrize("filling", [0.0, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("threshold", [0.8, 0.9])
def test_the_result_does_not_depend_on_how_texts_are_parted(filling: float, threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "_quickest", lambda sample, threshold, n: join.Scheme(threshold, join._rarity(sample), filling))
    texts = variations(150, 31, (10, 150))
    assert set(joined(texts, threshold)) == by_force(texts, threshold)


def test_somebody_may_stop_it() -> None:
    def stop(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        joined(variations(20, 1, (5, 9)), 0.8, advance=stop)


def test_a_text_counts_half_when_it_is_read_and_half_when_its_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "_BUCKET", 1 << 8)
    monkeypatch.setattr(join, "_SPILL", 1 << 8)
    monkeypatch.setattr(grams, "MOST_ROWS", 20)
    told: list[int] = []
    joined(variations(60, 1, (40, 60)), 0.8, advance=told.append)
    assert sum(told) == 60 and min(told) >= 0
    assert told[:3] == [10, 10, 10], "three blocks of twenty texts"
    assert sum(1 for n in told if n) > 4, "it does not stand still while keys are compared"


@given(st.lists(st.text(max_size=200), min_size=1, max_size=12), st.sampled_from([1, 4, 16]))
@settings(max_examples=80, deadline=None)
def test_sketches_differ_in_no_more_bits_than_texts_in_grams(texts: list[str], words: int) -> None:
    sketched = Sketched.of(texts, words)
    for i, j in itertools.combinations(range(len(texts)), 2):
        apart = int(np.bitwise_count(sketched.bits[i] ^ sketched.bits[j]).sum())
        n_apart = len(grams_of(texts[i]) ^ grams_of(texts[j]))
        assert apart <= n_apart and (n_apart - apart) % 2 == 0
    assert sketched.n_grams.tolist() == [len(grams_of(text)) for text in texts]


def test_a_sketch_has_about_a_bit_for_each_gram_as_far_as_memory_goes() -> None:
    assert [n_words(1000, 1000 * size) for size in (10, 1000, 20_000)] == [4, 16, 256]
    assert all(n_words(n, 1000 * n) * 8 * n <= alike._SKETCH_BYTES for n in (10**6, 3 * 10**6, 7 * 10**6, 10**7))


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_gram_has_one_number_in_every_block_and_alphabet(texts: list[str], wide: bool) -> None:
    beside = ["".join(chr(0x3400 + i) for i in range(9000))] if wide else ["other letters: xyzäöü"]
    alone, together = gram_sets(texts), gram_sets([*texts, *beside])
    for i, text in enumerate(texts):
        mine = set(alone.numbers[alone.rows == i].tolist())
        assert mine == set(together.numbers[together.rows == i].tolist())
        assert len(mine) == len(grams_of(text)) == alone.n_grams[i] == together.n_grams[i]


def test_it_agrees_with_the_join_in_memory_on_text_like_text() -> None:
    texts = variations(900, 21, (10, 80))
    assert sorted(joined(texts, 0.8)) == sorted((i, j) for i, j, _ in similar_pairs(texts, 0.8))


@pytest.mark.parametrize("read", [list, lambda one: [one[i] for i in reversed(range(len(one)))][::-1]])
def test_texts_are_read_back_in_any_order(read: Callable[[Texts], list[str]], tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    made = ["", "half a character: \ud83d", "ä" * IN_MEMORY, "last"]
    assert [texts.add(one) for one in made] == [0, 1, 2, 3]
    assert read(texts) == made and texts[3] + texts[0] == "last" and texts[1:3] == made[1:3]
    assert texts.add("one more") == 4 and texts[4] == "one more" and len(texts) == 5
    assert list(Chosen(texts, np.array([3, 1]))) == [made[3], made[1]]
    with pytest.raises(IndexError):
        texts[5]
