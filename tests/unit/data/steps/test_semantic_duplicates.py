"""Rows that mean the same, by vectors written out by hand: which stay, and that blocks change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.messages import Message
from luthier.data.pipeline import Cleaned, clean
from luthier.data.steps import SemanticDuplicates
from luthier.data.tools import NO_TOOLS, Tools


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def at_angle(degrees: float) -> tuple[float, float]:
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))


def kept_of(rows: Sequence[AnyExample], degrees: Mapping[str, float], elders: Sequence[str] = (), **options: float) -> Cleaned:
    """Clean by an embedder that gives each text a direction in the plane."""

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return unit(np.array([at_angle(degrees[text]) for text in texts]))

    step = SemanticDuplicates(model="plane", **options)  # type: ignore[arg-type]
    return clean(rows, [step], tools=Tools(embed=lambda name: embed, elders=elders))


def ids(cleaned: Cleaned) -> list[str]:
    return [row.example.id for row in cleaned.kept]


DEGREES = {"a": 0.0, "b": 10.0, "c": 20.0, "d": 90.0, "e": 5.0}


def test_the_first_of_what_means_the_same_stays_and_a_chain_does_not_pull_in_its_far_end() -> None:
    # The cosine of 10 degrees is 0.985, of 20 degrees 0.940.
    cleaned = kept_of([Text(name, name) for name in "abcde"], DEGREES, threshold=0.95)
    assert ids(cleaned) == ["a", "c", "d"]
    gone = {row.example.id: (row.kept_id, row.reason, row.detail) for row in cleaned.dropped}
    assert gone["b"] == ("a", "means nearly the same as another row", "cosine 0.985 to row a")
    assert gone["e"] == ("a", "means nearly the same as another row", "cosine 0.996 to row a")


def test_a_row_that_was_here_before_is_not_replaced_by_a_new_one() -> None:
    assert ids(kept_of([Text(name, name) for name in "ab"], DEGREES, elders=["b"], threshold=0.95)) == ["b"]


def test_rows_of_different_labels_and_shapes_stay() -> None:
    rows = [Labelled("1", "a", "x"), Labelled("2", "b", "y"), Labelled("3", "e", "x"), Text("4", "a")]
    assert ids(kept_of(rows, DEGREES, threshold=0.95)) == ["1", "2", "4"]


def test_of_prompts_and_conversations_question_and_answer_have_both_to_be_alike() -> None:
    rows = [Pair("1", "a", "d"), Pair("2", "b", "d"), Pair("3", "a", "c"), Pair("4", "c", "d")]
    cleaned = kept_of(rows, DEGREES, threshold=0.95)
    assert ids(cleaned) == ["1", "3", "4"]
    chats = [Chat(one.id, (Message("system", "?"), Message("user", one.prompt), Message("assistant", one.completion))) for one in rows]
    assert ids(kept_of(chats, DEGREES, threshold=0.95)) == ["1", "3", "4"]


def test_a_text_is_alike_itself_at_a_threshold_of_one() -> None:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return unit(np.random.default_rng(0).normal(size=(1, 384)).repeat(len(texts), axis=0))

    cleaned = clean([Text("1", "x"), Text("2", "x")], [SemanticDuplicates(model="m", threshold=1.0)], tools=Tools(embed=lambda name: embed))
    assert ids(cleaned) == ["1"]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("xy")), max_size=40), st.sampled_from([1, 2, 3, 7, 4096]),
    st.sampled_from([0.9, 0.97, 0.9999]), st.sets(st.integers(0, 39)),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_blocks_change_nothing_and_all_is_as_the_plain_loop_says(
    directions: list[tuple[int, str]], block: int, threshold: float, old: set[int]
) -> None:
    rows: list[AnyExample] = [Labelled(f"{i}", str(direction), label) for i, (direction, label) in enumerate(directions)]
    degrees = {str(direction): 3.0 * direction for direction, _ in directions}
    elders = [str(i) for i in old]
    found = kept_of(rows, degrees, elders, threshold=threshold, block=block)
    kept: list[int] = []
    wanted: dict[str, str] = {}
    for i in sorted(range(len(rows)), key=lambda i: (i not in old, i)):
        mine, label = directions[i]
        same = [j for j in kept if directions[j][1] == label]
        twin = next((j for j in same if np.cos(np.radians(3.0 * (mine - directions[j][0]))) >= threshold - 1e-6), None)
        if twin is None:
            kept.append(i)
        else:
            wanted[str(i)] = str(twin)
    assert ids(found) == [str(i) for i in sorted(kept)]
    assert {row.example.id: row.kept_id for row in found.dropped} == wanted


@pytest.mark.parametrize("threshold", [0.3, 0.35])
def test_many_rows_at_the_threshold_are_decided_alike_in_any_blocks(threshold: float) -> None:
    draw = np.random.default_rng(1)
    vectors = unit(draw.normal(size=(600, 24)))
    # Pairs that are as near to the threshold as 32-bit numbers allow.
    other = unit(np.cross(vectors[:, :3], draw.normal(size=(600, 3)))) @ np.eye(3, 24, dtype=np.float32)
    vectors = unit(np.concatenate([vectors, threshold * vectors + np.sqrt(1 - threshold**2) * other]))
    rows: list[AnyExample] = [Text(str(i), str(i)) for i in range(len(vectors))]

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return vectors[[int(text) for text in texts]]

    found = [
        clean(rows, [SemanticDuplicates(model="m", threshold=threshold, block=block)], tools=Tools(embed=lambda name: embed))
        for block in (17, 256, 5000)
    ]
    assert found[0] == found[1] == found[2]
    assert 20 < len(found[0].kept) < 600


def test_without_rows_there_is_nothing_to_embed_and_without_a_model_it_cannot_be_done() -> None:
    assert kept_of([], {}).kept == ()
    assert ids(kept_of([Text("1", ""), Text("2", "")], {})) == ["1", "2"]
    with pytest.raises(LuthierError, match="needs a model"):
        clean([Text("1", "x")], [SemanticDuplicates(model="m")], tools=NO_TOOLS)
