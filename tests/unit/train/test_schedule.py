"""Learning rates by hand."""

from __future__ import annotations

import math

import pytest

from luthier.methods import Full, LoRA
from luthier.train.options import Train, learning_rate_for
from luthier.train.schedule import learning_rate


def rates(train: Train, n_steps: int) -> list[float]:
    return [learning_rate(train, 1.0, step, n_steps) for step in range(n_steps)]


def test_the_warm_up_climbs_in_equal_steps_and_a_line_falls_towards_zero() -> None:
    assert rates(Train(schedule="linear", warmup_frac=0.2), 10) == pytest.approx([0.5, 1.0] + [1 - i / 8 for i in range(8)])


def test_the_cosine_is_half_way_down_in_the_middle() -> None:
    found = rates(Train(schedule="cosine", warmup_frac=0.0), 8)
    assert found[0] == 1.0
    assert found[4] == pytest.approx(0.5)
    assert found[7] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)


def test_a_constant_stays_after_the_warm_up() -> None:
    assert rates(Train(schedule="constant", warmup_frac=0.5), 4) == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_every_step_of_a_run_of_any_length_moves(schedule: str) -> None:
    for n_steps in (1, 2, 3, 50):
        assert all(0 < rate <= 1 for rate in rates(Train(schedule=schedule), n_steps))  # type: ignore[arg-type]


def test_the_recipes_rate_wins_and_otherwise_lora_takes_ten_times_that_of_full() -> None:
    assert learning_rate_for(Train(learning_rate=0.5), Full(), 256) == 0.5
    assert learning_rate_for(Train(), Full(), 2048) == 3e-5
    assert learning_rate_for(Train(), LoRA(), 2048) == pytest.approx(3e-4)
    assert learning_rate_for(Train(), Full(), 128) == pytest.approx(3e-5 * 8)


def test_evaluations_come_about_ten_times_a_run_and_once_an_epoch_at_least() -> None:
    assert Train(epochs=3.0).n_between_evaluations(300) == 30
    assert Train(epochs=30.0).n_between_evaluations(300) == 10
    assert Train(epochs=3.0).n_between_evaluations(2) == 1
    assert Train(evaluate_every=7).n_between_evaluations(300) == 7
