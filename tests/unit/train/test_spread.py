"""The standard error of a validation loss: by hand, by the jackknife over examples trained apart, and by simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.special import stdtrit
from tests.tiny import tiny_network, tiny_rows

from luthier.methods import Full
from luthier.models.outputs import Outputs
from luthier.objectives import AnyObjective, Classify, Imitate, LossSum
from luthier.text.batching import Batch, CutPlan
from luthier.text.rows import Row
from luthier.train import TrainState, begin
from luthier.train.listeners import evaluate
from luthier.train.optim import AdamW
from luthier.train.spread import Spread, remembered, spread_over

CUTS = [CutPlan("forest", 50, 0), CutPlan("packed", 50, 0), CutPlan("padded", 90, 0)]
OBJECTIVES: list[AnyObjective] = [Imitate(), Classify(("a", "b", "c"), 0.1)]


def state_of(objective: AnyObjective) -> TrainState:
    network = tiny_network(torch.float64, n_scores=objective.n_scores)
    if network.head is not None:
        torch.nn.init.normal_(network.head.linear.weight)
    Full().attach(network, 0)
    return begin(network, AdamW(weight_decay=0.01), "one")


def examples(n: int) -> list[list[Row]]:
    """Examples of one, two or three rows, of which those of a few classify alike."""
    found: list[list[Row]] = []
    for i, row in enumerate(tiny_rows(2 * n, n_classes=3)):
        if i % 2 == 0:
            found.append([replace(row, id=f"example {i // 2}")])
        elif i % 3:
            found[-1].append(replace(row, id=f"example {i // 2}"))
    return found


def alone(state: TrainState, objective: AnyObjective, rows: Sequence[Row]) -> tuple[float, float]:
    """Total and weight of some rows, each computed in a forward pass of its own."""
    total = weight = 0.0
    with torch.no_grad():
        for row in rows:
            batch = CUTS[0].make([row])
            total += float(objective.loss(state.network(batch), batch).totals["loss_nats"])
            weight += objective.count(batch)["loss_nats"]
    return total, weight


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.kind)
@pytest.mark.parametrize("cuts", CUTS, ids=lambda one: one.layout)
def test_the_standard_error_is_that_of_the_examples_computed_one_by_one(cuts: CutPlan, objective: AnyObjective) -> None:
    state, units = state_of(objective), examples(20)
    found = evaluate(state, objective, [row for unit in units for row in unit], cuts)
    totals, weights = (np.array(one) for one in zip(*(alone(state, objective, unit) for unit in units), strict=True))
    ratio = totals.sum() / weights.sum()
    wanted = math.sqrt(20 / 19 * ((totals - ratio * weights) ** 2).sum()) / weights.sum()
    assert found["loss_nats"] == pytest.approx(ratio, abs=1e-10)
    assert found["loss_se"] == pytest.approx(wanted, abs=1e-10)
    assert found["n_examples"] == 20
    assert found["n_effective"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), abs=1e-10)


def test_it_is_near_the_jackknife_that_leaves_one_example_out() -> None:
    state, units = state_of(Imitate()), examples(40)
    found = evaluate(state, Imitate(), [row for unit in units for row in unit], CUTS[0])
    totals, weights = (np.array(one) for one in zip(*(alone(state, Imitate(), unit) for unit in units), strict=True))
    left_out = (totals.sum() - totals) / (weights.sum() - weights)
    assert found["loss_se"] == pytest.approx(math.sqrt(39 / 40 * ((left_out - left_out.mean()) ** 2).sum()), rel=0.05)


def test_a_mean_over_equal_weights_has_the_standard_error_of_a_mean() -> None:
    """Losses 1, 2, 3 and 6: their mean is 3, their variance 14 / 3, and √(14 / 3 / 4) = 1.0801."""
    sums = {name: {"loss_nats": (loss, 1.0)} for name, loss in zip("abcd", (1.0, 2.0, 3.0, 6.0), strict=True)}
    found = Spread(Imitate(), frozenset("abcd"), 4, sums).as_fields({"loss_nats": 12.0}, {"loss_nats": 4.0})
    assert found == {"n_examples": 4, "n_effective": 4.0, "loss_se": pytest.approx(1.0801, abs=1e-4)}


def test_some_examples_stand_for_all_that_were_measured() -> None:
    """Losses 1 and 3 of two examples that stand for eight: their standard deviation is √2, and √2 / √8 = 0.5."""
    sums = {"a": {"loss_nats": (1.0, 1.0)}, "b": {"loss_nats": (3.0, 1.0)}}
    found = Spread(Imitate(), frozenset("ab"), 8, sums).as_fields({"loss_nats": 16.0}, {"loss_nats": 8.0})
    assert found == {"n_examples": 8, "n_effective": pytest.approx(8.0), "loss_se": pytest.approx(0.5)}


def test_of_two_terms_the_errors_of_one_example_add_up() -> None:
    sums = {name: {"x": (one, 1.0), "y": (-one, 2.0)} for name, one in zip("ab", (1.0, 3.0), strict=True)}
    # x differs from its mean 2 by −1 and 1, y / 2 from −1 by 1/2 and −1/2: off by −1/2 and 1/2 each of two.
    found = Spread(Imitate(), frozenset("ab"), 2, sums).as_fields({"x": 4.0, "y": -4.0}, {"x": 2.0, "y": 4.0})
    assert found["loss_se"] == pytest.approx(math.sqrt(2) * math.sqrt(2 * 0.25**2))


def test_one_example_has_no_spread_and_a_term_that_counts_nothing_adds_none() -> None:
    one = {"a": {"x": (1.0, 1.0), "y": (0.0, 0.0)}}
    assert Spread(Imitate(), frozenset("a"), 1, one).as_fields({"x": 1.0}, {"x": 1.0}) == {"n_examples": 1}
    two = {**one, "b": {"x": (3.0, 1.0)}}
    assert Spread(Imitate(), frozenset("ab"), 2, two).as_fields({"x": 4.0, "y": 0.0}, {"x": 2.0, "y": 0.0})["loss_se"] == pytest.approx(1.0)


def test_of_many_examples_evenly_spaced_ones_stand_for_all() -> None:
    rows = [row for unit in examples(30) for row in unit]
    assert spread_over(Imitate(), rows, most=30).chosen == {row.id for row in rows}
    few = spread_over(Imitate(), rows, most=29)
    assert few.chosen == {f"example {i}" for i in range(0, 30, 2)} and few.n_examples == 30
    state = state_of(Imitate())
    for cuts in CUTS:
        every, some = (spread_over(Imitate(), rows, most) for most in (30, 10))
        totals = counts = 0.0
        with torch.no_grad():
            for part in cuts.cut(rows):
                batch = cuts.make(part)
                read = remembered(state.network(batch))
                totals += float(Imitate().loss(read, batch).totals["loss_nats"])
                counts += Imitate().count(batch)["loss_nats"]
                every.add(read, batch, part)
                some.add(read, batch, part)
        assert {name: every.sums[name] for name in some.sums} == some.sums and len(some.sums) == 10
        assert sum(total for one in every.sums.values() for total, _ in one.values()) == pytest.approx(totals)
        both = [one.as_fields({"loss_nats": totals}, {"loss_nats": counts}) for one in (every, some)]
        assert both[0]["n_examples"] == both[1]["n_examples"] == 30
        assert 0.5 < both[1]["loss_se"] / both[0]["loss_se"] < 2


@dataclass(frozen=True)
class Counting(Imitate):
    """Imitates, and its total has a channel of the tokens and one of the row in it."""

    scope: Literal["row"] = "row"  # type: ignore[assignment]

    def loss(self, outputs: Outputs, batch: Batch) -> LossSum:
        logps = outputs.token_logps(batch)
        total = (batch.channels["token"].to(logps.dtype) * logps).sum() + batch.channels["row"].to(logps.dtype).sum()
        return LossSum({"loss_nats": total})


def test_channels_of_tokens_and_of_rows_are_cut_with_their_row() -> None:
    state, draw = state_of(Imitate()), np.random.default_rng(0)
    rows = [
        replace(row, channels={"token": draw.random(row.n_tokens).astype(np.float32), "row": float(i)})
        for i, row in enumerate(tiny_rows(6))
    ]  # fmt: skip
    spread, objective = spread_over(Counting(), rows), Counting()
    batch = CUTS[0].make(rows)
    with torch.no_grad():
        read = remembered(state.network(batch))
        whole = float(objective.loss(read, batch).totals["loss_nats"])
        spread.add(read, batch, rows)
        for row in rows:
            single = CUTS[0].make([row])
            wanted = float(objective.loss(state.network(single), single).totals["loss_nats"])
            assert spread.sums[row.id]["loss_nats"][0] == pytest.approx(wanted, abs=1e-10)
    assert sum(one["loss_nats"][0] for one in spread.sums.values()) == pytest.approx(whole, abs=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_single_rows_are_read_out_of_the_batch_without_running_the_output_layer_again(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = Imitate(smoothing=smoothing)
    state, rows = state_of(objective), tiny_rows(6)
    batch = CUTS[0].make(rows)
    wanted = []
    for row in rows:
        single = CUTS[0].make([row])
        wanted.append(float(objective.loss(state.network(single), single).totals["loss_nats"].detach()))
    with torch.no_grad():
        read, spread = remembered(state.network(batch)), spread_over(objective, rows)
        objective.loss(read, batch)
        monkeypatch.setattr(state.network, "logits", None)
        spread.add(read, batch, rows)
    assert [spread.sums[row.id]["loss_nats"][0] for row in rows] == pytest.approx(wanted, abs=1e-10)


@dataclass(frozen=True)
class Seeing(Imitate):
    """An objective that keeps each batch that it is asked about."""

    seen: list[Batch] = field(default_factory=list)

    def loss(self, outputs: Outputs, batch: Batch) -> LossSum:
        self.seen.append(batch)
        return super().loss(outputs, batch)


@pytest.mark.parametrize("cuts", CUTS, ids=lambda one: one.layout)
def test_a_single_row_is_a_batch_of_all_that_is_its_own(cuts: CutPlan) -> None:
    objective, rows = Seeing(), tiny_rows(6, n_classes=3)
    state = state_of(Imitate())
    batch = replace(cuts, max_nodes=500).make(rows)
    with torch.no_grad():
        read, spread = remembered(state.network(batch)), spread_over(Imitate(), rows)
        Imitate().loss(read, batch)
        replace(spread, objective=objective).add(read, batch, rows)
    assert len(objective.seen) == len(rows)
    for i, one in enumerate(objective.seen):
        mine, path = batch.row_S == i, batch.path_row_P == i
        for name in ("source_S", "target_S", "weight_S"):
            assert torch.equal(getattr(one, name), getattr(batch, name)[mine])
        assert torch.equal(one.path_P, batch.path_P[path]) and int(path.sum()) == rows[i].n_tokens
        assert not one.row_S.any() and not one.path_row_P.any()
        for name in ("pool_R", "target_R", "group_R", "ids"):
            assert list(getattr(one, name)) == [getattr(batch, name)[i]]


def test_what_is_remembered_of_one_smoothing_is_not_said_of_another_and_rows_are_read_in_float64() -> None:
    state, batch = state_of(Imitate()), CUTS[0].make(tiny_rows(3))
    with torch.no_grad():
        read = remembered(state.network(batch))
        for smoothing in (0.0, 0.2, 0.0):
            assert torch.equal(read.token_logps(batch, smoothing), state.network(batch).token_logps(batch, smoothing))
        assert not torch.equal(read.token_logps(batch), read.token_logps(batch, 0.2))
    half = replace(read, said={"row_scores": torch.ones(2, 3, dtype=torch.bfloat16)})
    assert half.rows([(slice(0, 1), slice(0, 0))])[0].row_scores(batch).dtype == torch.float64


@dataclass(frozen=True)
class Together(Imitate):
    """An objective whose rows cannot be told apart."""

    scope: Literal["batch"] = "batch"  # type: ignore[assignment]


def test_an_objective_over_whole_batches_has_no_examples_to_tell_apart() -> None:
    found = evaluate(state_of(Imitate()), Together(), tiny_rows(6), CUTS[0])
    assert found["n_examples"] == 6 and "loss_se" not in found


def test_single_rows_are_read_without_running_anything_again() -> None:
    state, rows = state_of(Imitate()), tiny_rows(6)
    seen: list[int] = []
    for module in (state.network, state.network.decoder.get_output_embeddings()):
        module.register_forward_hook(lambda module, given, out: seen.append(1))
    evaluate(state, Imitate(), rows, CUTS[0])
    assert len(seen) == 2 * len(CUTS[0].cut(rows)) < 2 * len(rows)


def test_the_interval_from_it_holds_the_true_loss_about_as_often_as_it_says() -> None:
    """Losses of examples of 1 to 40 tokens, gamma distributed with a mean of 2 nats a token: 60 examples, 1,000 times."""
    draw = np.random.default_rng(0)
    n_held = 0
    for _ in range(1_000):
        weights = draw.integers(1, 41, 60).astype(np.float64)
        totals = draw.gamma(2.0, weights)
        sums = {str(i): {"loss_nats": (float(totals[i]), float(weights[i]))} for i in range(60)}
        found = Spread(Imitate(), frozenset(sums), 60, sums).as_fields({"loss_nats": totals.sum()}, {"loss_nats": weights.sum()})
        n_held += abs(totals.sum() / weights.sum() - 2.0) <= stdtrit(found["n_effective"] - 1, 0.975) * found["loss_se"]
    assert 930 <= n_held <= 970
