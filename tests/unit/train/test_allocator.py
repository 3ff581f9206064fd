"""What is freed and kept is given back when there is too much of it, and not at every micro-batch."""

from __future__ import annotations

import ctypes

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows

from luthier.methods import Full
from luthier.objectives import Imitate
from luthier.text.batching import CutPlan
from luthier.train import allocator
from luthier.train.allocator import RARELY, Keeper, held_bytes
from luthier.train.loop import take_step
from luthier.train.optim import AdamW
from luthier.train.state import begin

has_listing = pytest.mark.skipif(held_bytes() is None, reason="this system does not say what a process holds")
has_glibc = pytest.mark.skipif(getattr(ctypes.CDLL(None), "malloc_trim", None) is None, reason="not glibc")


class Told:
    """A process that holds what it is told to, look by look, and counts how often memory was given back."""

    def __init__(self, *held: int) -> None:
        self.held, self.times_freed = iter(held), 0

    def free(self) -> None:
        self.times_freed += 1

    def keeper(self, most_bytes: int) -> Keeper:
        return Keeper(most_bytes, held=lambda: next(self.held), free=self.free)


def test_nothing_is_given_back_below_the_bound_and_once_above_it() -> None:
    told = Told(99, 100, 101)
    keeper = told.keeper(100)
    for times_freed in (0, 0, 1):
        keeper.look()
        assert told.times_freed == times_freed
    assert keeper.most_bytes == 100


def test_what_is_exceeded_again_soon_is_needed_and_later_it_is_given_back_again() -> None:
    told = Told(110, 120, *[130] * (RARELY - 2), 140, 141)
    keeper = told.keeper(100)
    keeper.look()
    assert (told.times_freed, keeper.most_bytes) == (1, 100)
    keeper.look()
    assert (told.times_freed, keeper.most_bytes) == (1, 120)
    for most_bytes in [*[130] * (RARELY - 2), 140]:
        keeper.look()
        assert (told.times_freed, keeper.most_bytes) == (1, most_bytes)
    keeper.look()
    assert (told.times_freed, keeper.most_bytes) == (2, 140)


def test_where_nobody_says_what_is_held_nothing_is_given_back() -> None:
    told = Told()
    Keeper(0, held=lambda: None, free=told.free).look()
    assert told.times_freed == 0


@has_listing
@has_glibc
def test_memory_that_lies_free_is_given_back() -> None:
    allocator.keep_freed_memory()
    blocks = [torch.ones(2**20) for _ in range(64)]
    pinned = torch.ones(2**20)  # above them, so that they lie within the heap and not at its end
    before = held_bytes() or 0
    blocks.clear()
    allocator.give_back()
    after = held_bytes() or 0
    assert before - after > 200 * 2**20 and float(pinned[0]) == 1.0


def test_a_step_looks_after_each_micro_batch_and_computes_the_same() -> None:
    looks: list[int] = []

    class Counting(Keeper):
        def look(self) -> None:
            looks.append(1)
            allocator.give_back()

    found = []
    for keeper in (None, Counting(0)):
        network = tiny_network()
        Full().attach(network, 0)
        state = begin(network, AdamW(weight_decay=0.0), "")
        state.keeper = keeper
        cuts = CutPlan("forest", 20, 0)
        take_step(state, Imitate(), tiny_rows(8), cuts, 1e-2, 1.0)
        found.append({name: one.detach().clone() for name, one in network.named_parameters()})
    assert len(looks) == len(cuts.cut(tiny_rows(8))) > 1
    assert all(torch.equal(one, found[1][name]) for name, one in found[0].items())
