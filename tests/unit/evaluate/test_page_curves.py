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
    assert (found.step, found.lowest.value, found.last.value, found.last_step) == (300, 0.5, 0.6, 900)
    # Means over a hundred steps, as many as lie between two validations: those up to step 300, and the last.
    assert (found.train_then.value, found.train_last.value) == pytest.approx((0.7495, 0.1495))
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
    spread = [{**entry, "n_examples": 5, "loss_se": 0.1, "n_effective": 4.5} for entry in journal]
    assert curves_of(spread) == Curves(((1, 1.5),), ((0, 2.0), (1, 1.0)), 5, {0: (0.1, 4.5), 1: (0.1, 4.5)})
    assert curves_of([]) == Curves((), (), 0)


SPREAD = dict.fromkeys((0, 300, 900), (0.02, 21.0))
T_20 = 2.0859634472658364
"""The 97.5 % quantile of t with 20 degrees of freedom, from a table."""


def test_a_validation_loss_has_a_t_interval_over_examples_of_equal_weight() -> None:
    curves = Curves(FALLING, ((0, 1.0), (300, 0.5), (900, 0.01)), 150, SPREAD)
    lowest = curves.at(300)
    assert (lowest.low, lowest.high) == pytest.approx((0.5 - T_20 * 0.02, 0.5 + T_20 * 0.02))
    assert (lowest.n, lowest.few) == (150, False)
    assert curves.at(900).low == 0.0
    assert [step for step, _ in curves.validated] == [0, 300, 900]
    assert Curves(FALLING, ((0, 1.0),), 99, SPREAD).at(0).few
    # Examples that are worth less than two leave one degree of freedom, whose quantile is 12.7062.
    assert Curves(FALLING, ((0, 1.0),), 5, {0: (0.02, 1.2)}).at(0).high == pytest.approx(1 + 12.706205 * 0.02)


def test_without_a_standard_error_there_is_a_number_of_rows_and_no_interval() -> None:
    one = made([(0, 1.0), (300, 0.5)]).at(300)
    assert (one.value, one.interval, one.n) == (0.5, "", 50)


def test_a_mean_training_loss_has_a_t_interval_over_its_steps() -> None:
    """Losses 1, 2, 3 and 6: mean 3, standard error 1.0801, and the quantile of t with 3 degrees of freedom is 3.1824."""
    curves = made([(0, 1.0), (4, 0.9)], ((1, 1.0), (2, 2.0), (3, 3.0), (4, 6.0), (5, 7.0)))
    mean = curves.mean_until(4)
    assert (mean.value, mean.n) == (3.0, 4)
    assert [mean.low, mean.high] == pytest.approx([0.0, 3 + 3.1824463 * 1.0801234])
    assert not mean.few
    # Five steps end in a stretch of one, which has no interval; before the first stretch ends there is the first step.
    assert (curves.mean_until(5).value, curves.mean_until(5).interval, curves.mean_until(5).n) == (7.0, "", 1)
    assert (curves.mean_until(3).value, curves.mean_until(3).n) == (1.0, 1)


def test_losses_that_are_all_alike_have_an_interval_with_a_width() -> None:
    """Nothing differs, but an unseen example may: 1 − 0.025^(1 / n) of the value up or down, 0.1684 for 20, 0.6024 for 4."""
    same = Curves(((1, 2.0), (2, 2.0), (3, 2.0), (4, 2.0)), ((0, 2.0), (4, 0.0)), 150, {0: (1e-17, 20.0), 4: (0.0, 20.0)})
    first, last, mean = same.at(0), same.at(4), same.mean_until(4)
    assert [first.low, first.high] == pytest.approx([2 * 0.83157, 2 / 0.83157], abs=1e-4)
    assert [last.low, last.high] == pytest.approx([0.0, 0.16843], abs=1e-5)
    assert mean.n == 4 and [mean.low, mean.high] == pytest.approx([2 * 0.025**0.25, 2 / 0.025**0.25])


def test_every_loss_in_words_has_its_interval_and_what_it_is_over() -> None:
    spread = dict.fromkeys((0, 100, 300, 600, 900), (0.01, 50.0))
    said = in_words(Curves(FALLING, ((0, 1.0), (100, 0.7), (300, 0.5), (600, 0.55), (900, 0.6)), 50, spread))
    assert said == (
        "It overfits from step 300 on: the validation loss was lowest at step 300: 0.500 nats (95\u00a0% interval 0.480 to 0.520) "
        "on 50 rows; "
        "by step 900 it had risen to 0.600 nats (95\u00a0% interval 0.580 to 0.620), while the training loss went on falling from "
        "0.750 nats (100 steps, 95\u00a0% interval 0.744 to 0.755) to 0.150 nats (100 steps, 95\u00a0% interval 0.144 to 0.155). "
        "The model of step 300 is the one that was kept."
    )
    short = in_words(Curves(FALLING[:3], ((0, 1.0), (1, 0.999)), 50, {0: (0.01, 50.0)}))
    assert "0.999 nats (1 step) to 0.997 nats (1 step) in 3 steps" in short
    assert short.endswith("0.999 nats on 50 rows, against 1.000 nats (95\u00a0% interval 0.980 to 1.020) before the first step.")
