"""Quantiles and histograms of lengths."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.profile.lengths import lengths_of


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=60))
def test_every_row_is_in_one_bin_and_bins_touch(values: list[int]) -> None:
    found = lengths_of(values)
    assert found is not None
    edges = found.edges
    assert list(edges) == sorted(set(edges)) and len(found.counts) == len(edges) - 1
    assert edges[0] <= min(values) and max(values) < edges[-1]
    by_hand = [sum(low <= value < high for value in values) for low, high in itertools.pairwise(edges)]
    assert list(found.counts) == by_hand and sum(by_hand) == len(values)
    assert found.quantiles["p50"] == float(np.median(values)) and found.quantiles["max"] == max(values)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_there_are_never_more_bins_than_can_be_drawn(low: int, high: int) -> None:
    found = lengths_of([low, high])
    assert found is not None and 1 <= len(found.counts) <= 64


def test_lengths_by_hand() -> None:
    found = lengths_of([1, 1, 2, 9])
    assert found is not None
    assert found.edges == (1, 2, 4, 5, 8, 11) and found.counts == (2, 1, 0, 0, 1) and found.mean == 3.25
    alike = lengths_of([10, 11, 12])
    assert alike is not None and alike.edges == (10, 11, 12, 13) and alike.counts == (1, 1, 1)
    for longest in (4, 8, 16, 64):
        found = lengths_of([1, longest])
        assert found is not None and found.edges[-1] > longest and found.counts[-1] == 1
    assert lengths_of([]) is None
