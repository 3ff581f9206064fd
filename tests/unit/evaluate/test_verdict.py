from __future__ import annotations

import dataclasses

import pytest

from luthier.core.errors import LuthierError, LuthierErrors
from luthier.core.loading import loads, option, required
from luthier.core.proofs import Proof
from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.verdict import Evidence, Goal, Reason, judge, rows_to_show


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    goal: Goal = required(about="what is wanted")
    seed: int = option(0, about="for draws")


def tuned(value: float = 0.8, low: float = 0.77, high: float = 0.83, n: int = 300) -> Estimate:
    return Estimate(value, low, high, n, 0, "bca")


def against(name: str, difference: float, p_holm: float, metric: str = "macro_f1", better: bool = True) -> Comparison:
    low, high = difference - 0.1, difference + 0.1
    return Comparison("tuned", name, metric, difference, low, high, p_holm, p_holm, "paired permutation", 300, None, better)


def reason(reasons: tuple[Reason, ...], claim: str) -> Reason:
    return next(one for one in reasons if one.claim == claim)


def test_a_goal_that_says_nothing_is_to_beat_the_base_by_the_tasks_metric() -> None:
    goal = Goal(task="classify")
    assert (goal.judged_by, goal.to_beat, goal.defaulted) == ("macro_f1", ("base",), ("metric", "beat"))
    assert judge(goal, Evidence(tuned(), (against("base", 0.3, 0.001),), {}))[0] == "ship"
    assert judge(goal, Evidence(tuned(), (against("base", -0.3, 0.001),), {}))[0] == "hold"


def test_a_goal_with_a_bar_need_not_beat_anything() -> None:
    goal = Goal(task="classify", at_least=0.75)
    assert (goal.to_beat, goal.defaulted) == ((), ("metric",))
    assert Goal(task="classify", metric="accuracy", beat=("base", "base")).to_beat == ("base",)


def test_a_bar_is_reached_by_the_low_end_and_not_by_the_value() -> None:
    goal = Goal(task="classify", at_least=0.77)
    assert judge(goal, Evidence(tuned(low=0.77), (), {}))[0] == "ship"
    verdict, reasons = judge(goal, Evidence(tuned(low=0.769), (), {}))
    assert verdict == "hold"
    assert reasons[0].claim == "macro_f1 is at least 0.77"
    assert reasons[0].evidence.startswith("not shown yet: macro_f1 0.800, 95 % interval 0.769 to 0.830 on 300 rows; about ")
    below = judge(goal, Evidence(tuned(value=0.7, low=0.65, high=0.75), (), {}))[1][0]
    assert not below.holds
    assert "not shown yet" not in below.evidence
    assert not judge(goal, Evidence(Estimate(None, None, None, 0, 300, None), (), {}))[1][0].holds


@pytest.mark.parametrize(
    ("difference", "p_holm", "holds"), [(0.1, 0.049, True), (0.1, 0.05, False), (-0.1, 0.001, False), (0.0, 1.0, False)]
)
def test_a_system_is_beaten_by_a_difference_above_zero_and_p_below_five_percent(difference: float, p_holm: float, holds: bool) -> None:
    verdict, reasons = judge(Goal(task="classify", beat=("majority",)), Evidence(tuned(), (against("majority", difference, p_holm),), {}))
    assert reason(reasons, "tuned beats majority").holds is holds
    assert verdict == ("ship" if holds else "hold")


def test_a_lower_loss_beats() -> None:
    goal = Goal(task="pretrain")
    assert judge(goal, Evidence(tuned(2.0, 1.9, 2.1), (against("base", -0.5, 0.001, "loss_nats", False),), {}))[0] == "ship"
    assert judge(goal, Evidence(tuned(2.0, 1.9, 2.1), (against("base", 0.5, 0.001, "loss_nats", False),), {}))[0] == "hold"


def test_a_system_that_was_not_compared_is_not_beaten() -> None:
    verdict, reasons = judge(Goal(task="classify", beat=("base",)), Evidence(tuned(), (), {}))
    assert verdict == "hold"
    assert reasons[0] == Reason("tuned beats base", False, "tuned and base have no judged row in common")


def test_a_classical_baseline_that_is_ahead_is_said_first_and_is_no_bar() -> None:
    comparisons = (against("base", 0.4, 0.001), against("classical", -0.05, 0.001))
    verdict, reasons = judge(Goal(task="classify", at_least=0.5), Evidence(tuned(), comparisons, {}))
    assert verdict == "ship"
    assert reasons[0].claim == "the classical baseline beats tuned"
    vague = judge(Goal(task="classify", at_least=0.5), Evidence(tuned(), (against("classical", -0.05, 0.3),), {}))[1]
    assert vague[0].claim == "the classical baseline is ahead of tuned, though not clearly"
    behind = judge(Goal(task="classify", at_least=0.5), Evidence(tuned(), (against("classical", 0.05, 0.3),), {}))[1]
    assert "classical" not in behind[0].claim


def test_a_proof_that_does_not_hold_holds_the_model_back() -> None:
    proofs = {"stop_token_trained": Proof(False, "2 of 3 rows"), "split_certificate": Proof(True, "0 groups")}
    verdict, reasons = judge(Goal(task="classify", at_least=0.5), Evidence(tuned(), (), proofs))
    assert verdict == "hold"
    assert [(one.claim, one.evidence) for one in reasons if not one.holds] == [("proof: stop token trained", "2 of 3 rows")]


def test_a_second_look_is_held_to_half_the_error() -> None:
    goal, comparisons = Goal(task="classify"), (against("base", 0.3, 0.03),)
    assert judge(goal, Evidence(tuned(), comparisons, {}, looks=1))[0] == "ship"
    verdict, reasons = judge(goal, Evidence(tuned(), comparisons, {}, looks=2))
    assert verdict == "hold"
    assert "look 2 at this test set: held to p < 0.025 and 97.5 % intervals" in reasons[0].evidence


def test_silence_is_named_and_where_no_worst_value_exists_it_is_a_failure() -> None:
    goal = Goal(task="classify", at_least=0.5)
    counted = judge(goal, Evidence(tuned(), (), {}, n_silent=7))
    assert counted[0] == "ship"
    assert "not judged on 7 rows" in reason(counted[1], "silence gains nothing").evidence
    loss = Evidence(tuned(), (against("base", -0.5, 0.001, "loss_nats", False),), {}, n_silent=7, silent_fail=False)
    assert judge(Goal(task="pretrain"), loss)[0] == "hold"


def test_four_times_the_rows_halve_an_interval() -> None:
    """At 50 % power instead of 80 %, showing a gap of half the half-width would take just four times the rows."""
    factor = ((1.959964 + 0.841621) / 1.959964) ** 2
    assert rows_to_show(100, 0.05, 0.1, 0.05) == pytest.approx(400 * factor, abs=1)
    assert rows_to_show(100, 0.1, 0.05, 0.05) == 101
    assert rows_to_show(100, 0.05, 0.1, 0.05, n_tests=3) > rows_to_show(100, 0.05, 0.1, 0.05)
    assert rows_to_show(100, 1e-12, 0.1, 0.05) == 10_000_000


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('metric = "acuracy"', 'recipe.toml [goal] metric: is "acuracy", which is not a metric. did you mean "accuracy"?'),
        ('metric = "chrf"', 'is "chrf", which is not a metric of the task classify'),
        ("at_least = 75", "is 75, and macro_f1 runs from 0 to 1. write 0.75."),
        ("at_least = 0.0", "is 0, and macro_f1 runs from 0 to 1"),
        ('beat = ["base", "gpt"]', 'names "gpt", which is not compared by macro_f1 here. choose from base, few_shot, majority, classical'),
        ('beat = ["few-shot"]', 'names "few-shot"'),
    ],
)
def test_a_goal_that_cannot_be_judged_is_refused_with_its_place(lines: str, told: str) -> None:
    with pytest.raises(LuthierError) as caught:
        loads(Recipe, f'[goal]\ntask = "classify"\n{lines}\n')
    assert told in str(caught.value)


def test_a_bar_for_a_loss_is_refused_and_so_is_a_rival_without_a_likelihood() -> None:
    with pytest.raises(LuthierErrors) as caught:
        loads(Recipe, '[goal]\ntask = "answer"\nmetric = "loss_nats"\nat_least = 2.0\nbeat = ["classical"]\n')
    assert "lower is better" in str(caught.value)
    assert 'names "classical"' in str(caught.value)


def test_a_sound_goal_is_read_as_written() -> None:
    goal = loads(Recipe, '[goal]\ntask = "classify"\nmetric = "accuracy"\nat_least = 0.9\nbeat = ["base", "classical"]\n').goal
    assert goal.as_dict() == {
        "task": "classify", "about": "", "metric": "accuracy", "at_least": 0.9, "beat": ["base", "classical"], "defaulted": [],
    }  # fmt: skip
