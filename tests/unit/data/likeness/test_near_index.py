"""The index that finds what is alike, against brute force and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.likeness.test_neighbours import variations

from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.messages import Message
from luthier.data.likeness import near_index
from luthier.data.likeness.near_index import Met, NearIndex, NearRows
from luthier.data.likeness.neighbours import similarity


def by_force(texts: list[str], text: str, threshold: float) -> list[int]:
    first = [i for i, one in enumerate(texts) if one not in texts[:i]]
    return [i for i in first if similarity(texts[i], text) >= threshold - 1e-9]


@pytest.mark.parametrize("sampled", [5, 2000])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_every_text_that_is_alike_is_found_and_no_other(threshold: float, sampled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_index, "_SAMPLED", sampled)
    texts = variations(400, seed=2)
    index = NearIndex(texts[:250], threshold)
    n_found = 0
    for text in [*texts[250:], *texts[:20]]:
        found = list(index.alike(text))
        assert [i for i, _ in found] == by_force(texts[:250], text, threshold)
        assert all(value == pytest.approx(similarity(texts[i], text)) for i, value in found)
        assert index.first(text) == (found[0] if found else None)
        n_found += len(found)
    assert n_found >= 20


@given(
    st.lists(st.text(alphabet="ab ", max_size=14), min_size=0, max_size=40), st.text(alphabet="ab ", max_size=14),
    st.sampled_from([0.5, 2 / 3, 0.75, 0.8, 1.0]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_the_index_is_exact_on_short_texts_of_few_letters(texts: list[str], text: str, threshold: float) -> None:
    assert [i for i, _ in NearIndex(texts, threshold).alike(text)] == by_force(texts, text, threshold)


@pytest.mark.parametrize(("n_both", "n_either"), [(4, 5), (11, 20), (7, 10), (2, 3), (29, 50)])
@pytest.mark.parametrize("times", range(1, 9))
def test_a_text_exactly_at_the_threshold_is_found_from_either_end(n_both: int, n_either: int, times: int) -> None:
    longer = "".join(chr(0x4E00 + i) for i in range(n_either * times + 4))
    shorter = longer[: n_both * times + 4]
    fillers = [chr(0x9000 + i) * 7 for i in range(20)]
    for one, other in ((longer, shorter), (shorter, longer)):
        assert [i for i, _ in NearIndex([*fillers, one], n_both / n_either).alike(other)] == [20]


def test_the_first_of_equal_texts_is_named_and_a_filter_may_pass_it_over() -> None:
    index = NearIndex(["a long bow", "a long bow", "a long bow!", "something else"], 0.7)
    assert index.first("a long bow") == (0, 1.0)
    assert [i for i, _ in index.alike("a long bow")] == [0, 2]
    assert index.first("a long bow", lambda i: i != 0) == (2, pytest.approx(6 / 7))
    assert index.first("nothing of the kind") is None


def test_rows_meet_in_what_is_asked_or_in_all_that_is_said() -> None:
    reply = "It is pulled over hot water for as long as a song lasts, and then it dries for a week in the dark."
    rows: list[AnyExample] = [
        Pair("a", "How is a bow bent?", reply),
        Chat("b", (Message("system", "Be brief and polite."), Message("assistant", "Hello, what can I do for you today?"))),
        Labelled("c", "the pegs slip", "x"),
    ]
    near = NearRows(rows, 0.8)
    assert near.meets(Pair("1", "how is a bow bent", "Nobody knows.")) == Met(0, "asked", 13 / 14)
    found = near.meets(Pair("2", "So how is a bow bent", reply))
    assert found is not None and (found.place, found.view) == (0, "whole")
    assert near.meets(Labelled("3", "The  pegs SLIP", None)) == Met(2, "asked", 1.0)
    # Nothing asked is alike nothing, not even another row that asks nothing; what the system says is not compared.
    assert near.meets(Chat("4", (Message("system", "Be brief and polite."), Message("assistant", "Nothing like it.")))) is None
    assert near.meets(Labelled("5", "", None)) is None
