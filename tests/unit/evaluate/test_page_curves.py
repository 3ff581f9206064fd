"""What the curves say, by hand-made curves on both sides of each rule's edge."""

from __future__ import annotations

import pytest

from luthier.evaluate.page.curves import Curves, curves_of, in_words, learnt_nothing, overfits, still_learning

FALLING = tuple((step, 1.0 - step / 1000) for step in range(1, 901))


def made(validation: list[tuple[int, float]], train: tuple[tuple[int, float], ...] = FALLING) -> Curves:
    return Curves(train, tuple(validation), 50)


def test_it_overfits_from_the_step_of_the_lowest_validation_loss_on() -> None:
    curves = made([(0, 1.0), (100, 0.7), (300, 0.5), (600, 0.55), (900, 0.6)])
    found = overfits(curves)
    assert found is not None
    assert (found.step, found.lowest, found.last, found.last_step) == (300, 0.5, 0.6, 900)
    # Means over a hundred steps, as many as lie between two validations: those up to step 300, and the last.
    assert (found.train_then, found.train_last) == pytest.approx((0.7495, 0.1495))
    assert in_words(curves).startswith("It overfits from step 300 on: the validation loss was lowest at step 300: 0.500 nats on 50 rows")
    assert "risen to 0.600" in in_words(curves)


@pytest.mark.parametrize(("last", "yes"), [(0.5099, False), (0.5101, True)])
def test_a_rise_counts_from_two_percent_and_a_hundredth_of_a_nat_on(last: float, yes: bool) -> None:
    assert (overfits(made([(0, 1.0), (300, 0.5), (900, last)])) is not None) is yes


@pytest.mark.parametrize(("last", "yes"), [(2.039, False), (2.041, True)])
def test_of_a_large_loss_two_percent_are_more_than_a_hundredth(last: float, yes: bool) -> None:
    assert (overfits(made([(0, 3.0), (300, 2.0), (900, last)])) is not None) is yes


def test_a_rise_of_both_losses_is_no_overfitting() -> None:
    rising = tuple((step, step / 1000) for step in range(1, 901))
    assert overfits(made([(0, 1.0), (300, 0.5), (600, 0.7), (900, 0.9)], rising)) is None


def test_the_untrained_model_is_not_the_lowest_point() -> None:
    curves = made([(0, 0.1), (300, 0.5), (900, 0.6)])
    assert curves.lowest == (300, 0.5)


def test_it_was_still_learning_where_the_last_quarter_brought_a_tenth_of_the_fall() -> None:
    straight = made([(0, 1.0), (300, 0.8), (600, 0.6), (900, 0.4)])
    assert still_learning(straight) == pytest.approx(0.25)
    assert in_words(straight).startswith("It was still learning when it stopped")
    # Step 675 is a quarter of the way from 600 to 900: 0.42 there, 0.02 of a fall of 0.6 to go, or a third of 0.1.
    flat = made([(0, 1.0), (300, 0.5), (600, 0.4266667), (900, 0.4)])
    assert still_learning(flat) is None
    assert in_words(flat).startswith("It learnt, and does not overfit")


def test_nothing_is_said_of_learning_on_after_two_validations_or_a_rise() -> None:
    assert still_learning(made([(0, 1.0), (450, 0.7), (900, 0.4)])) is None
    assert still_learning(made([(0, 1.0), (300, 0.4), (600, 0.41), (900, 0.405)])) is None


@pytest.mark.parametrize(("lowest", "yes"), [(0.981, True), (0.979, False)])
def test_it_learnt_nothing_where_the_loss_fell_by_less_than_two_percent(lowest: float, yes: bool) -> None:
    curves = made([(0, 1.0), (300, lowest), (900, lowest)])
    assert learnt_nothing(curves) is yes
    assert in_words(curves).startswith("It learnt next to nothing.") is yes


def test_without_validation_rows_nobody_can_say() -> None:
    curves = made([])
    assert (overfits(curves), still_learning(curves), learnt_nothing(curves), curves.lowest) == (None, None, False, None)
    assert "No validation rows were set aside" in in_words(curves)
    assert "no curve to read" in in_words(Curves((), ()))


def test_what_brought_nothing_more_is_said() -> None:
    assert in_words(made([(0, 1.0), (300, 0.5), (900, 0.505)])).endswith("What came after step 300 brought nothing more.")


def test_the_smooth_curve_is_a_mean_over_the_steps_between_two_validations() -> None:
    train = ((1, 4.0), (2, 2.0), (3, 1.0), (4, 3.0), (5, 7.0))
    assert made([(0, 1.0), (2, 0.9)], train).smooth == ((2, 3.0), (4, 2.0), (5, 7.0))
    assert made([], train).smooth == train


def test_curves_are_read_from_the_journal() -> None:
    journal = [
        {"event": "validation", "step": 0, "loss_nats": 2.0, "n_rows": 7}, {"event": "step", "step": 1, "loss_nats": 1.5},
        {"event": "stop", "step": 1, "reason": "enough"}, {"event": "validation", "step": 1, "loss_nats": 1.0, "n_rows": 7},
    ]  # fmt: skip
    assert curves_of(journal) == Curves(((1, 1.5),), ((0, 2.0), (1, 1.0)), 7)
    assert curves_of([]) == Curves((), (), 0)
