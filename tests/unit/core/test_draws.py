"""Draws are pure functions of what they are for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.draws import permutation, seed_of, unit


@given(st.lists(st.integers(-5, 5) | st.text(alphabet="ab\ud83d", max_size=3), min_size=1, max_size=4))
def test_a_seed_has_63_bits_and_a_unit_lies_below_one(parts: list[int | str]) -> None:
    assert 0 <= seed_of(*parts) < 2**63
    assert 0 <= unit(*parts) < 1
    assert seed_of(*parts) == seed_of(*parts)


def test_each_part_and_their_borders_matter() -> None:
    seeds = [
        seed_of(1, "a"),
        seed_of(2, "a"),
        seed_of(1, "b"),
        seed_of("a", 1),
        seed_of("1a"),
        seed_of("1", "", "a"),
        seed_of(11, "a"),
        seed_of(1, "1a"),
    ]
    assert len(set(seeds)) == len(seeds)


def test_draws_are_the_same_in_another_process() -> None:
    code = "from luthier.core.draws import *; print(seed_of(3, 'x'), permutation(6, 3, 'x').tolist())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}).stdout
    assert told.split(" ", 1) == [str(seed_of(3, "x")), f"{permutation(6, 3, 'x').tolist()}\n"]


@given(st.integers(0, 40), st.integers(0, 9))
def test_a_permutation_holds_everything_once(n: int, seed: int) -> None:
    assert sorted(permutation(n, seed).tolist()) == list(range(n))


def test_units_are_spread_evenly() -> None:
    drawn = np.asarray([unit("spread", i) for i in range(4000)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx([400] * 10, abs=100)
