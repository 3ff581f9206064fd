"""The laws of every objective: additive over cuts, deaf to weight 0, honest, and worth what a hand computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest
import torch
from tests.small import network_of, tokenizer_of
from torch import Tensor

from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.messages import Message
from luthier.models.heads import RowHead
from luthier.models.network import Network
from luthier.objectives import AnyObjective, Classify, Imitate
from luthier.text.batching import Batch, CutPlan
from luthier.text.renderer import Renderer
from luthier.text.rows import Row, make_row

RENDERER = Renderer(tokenizer_of("chatml"))
LABELS = ("good", "bad", "neither")


@dataclass(frozen=True)
class Case:
    """An objective, examples for it, and the margin by which it should come to prefer what it is told."""

    objective: AnyObjective
    examples: tuple[AnyExample, ...]
    margin: Callable[[Network], float]


def pair_margin(network: Network) -> float:
    """log p(wanted) − log p(unwanted) of the replies to one prompt."""
    rows = [row for answer in ("Paris", "a cat") for row in Imitate().rows(Pair("", "What is the capital of France?", answer), RENDERER)]
    batch = CutPlan("forest", 10_000, 0).make(rows)
    with torch.no_grad():
        logps = network(batch).token_logps(batch)
    return float(logps[batch.row_S == 0].sum() - logps[batch.row_S == 1].sum())


def label_margin(network: Network) -> float:
    """The wanted label's score above the best other one's."""
    batch = CutPlan("forest", 10_000, 0).make(Classify(LABELS).rows(Labelled("", "the cat sat", "bad"), RENDERER))
    with torch.no_grad():
        scores = network(batch).row_scores(batch)[0]
    return float(scores[1] - scores[[0, 2]].max())


def chats() -> tuple[AnyExample, ...]:
    system = Message("system", "You are welcome")
    question = Message("user", "What is the capital of France?")
    return (
        Pair("a", "What is the capital of France?", "Paris"),
        Chat("b", (system, question, Message("assistant", "Paris"))),
        Chat(
            "c",
            (system, question, Message("assistant", "of course", weight=0.5), Message("user", "hello"), Message("assistant", "the dog")),
        ),
        Pair("d", "hello hello", ""),
        Pair("e", "What is the capital of France?", "Paris"),
    )


TEXTS = (("the cat sat", "bad"), ("the cat sat on the mat", "good"), ("hello", "neither"), ("the cat", None), ("the dog", "good"))
CASES: Mapping[str, Case] = {
    "imitate": Case(Imitate(), chats(), pair_margin),
    "imitate, smoothed": Case(Imitate(smoothing=0.1), chats(), pair_margin),
    "classify": Case(Classify(LABELS), tuple(Labelled(str(i), *one) for i, one in enumerate(TEXTS)), label_margin),
    "classify, smoothed": Case(Classify(LABELS, 0.1), tuple(Labelled(str(i), *one) for i, one in enumerate(TEXTS)), label_margin),
}


def network_for(case: Case, dtype: torch.dtype = torch.float64) -> Network:
    network = network_of("llama", dtype, vocab_size=RENDERER.tokenizer.n_vocabulary)
    if case.objective.n_scores:
        torch.manual_seed(3)
        network.head = RowHead(network.width, case.objective.n_scores, "mean").to(dtype)
        torch.nn.init.normal_(network.head.linear.weight, std=0.1)
    return network


def rows_of(case: Case) -> list[Row]:
    return [row for example in case.examples for row in case.objective.rows(example, RENDERER)]


def step(network: Network, objective: AnyObjective, batches: list[Batch]) -> tuple[dict[str, float], dict[str, float], list[Tensor]]:
    """Totals, counts and gradients, summed over micro-batches."""
    network.zero_grad(set_to_none=True)
    totals: dict[str, float] = {}
    counts: dict[str, float] = {}
    for batch in batches:
        found = objective.loss(network(batch), batch)
        assert found.totals.keys() == objective.count(batch).keys()
        sum(found.totals.values()).backward()
        for name, total in found.totals.items():
            totals[name] = totals.get(name, 0.0) + float(total.detach())
            counts[name] = counts.get(name, 0.0) + objective.count(batch)[name]
        for name, metric in found.metrics.items():
            totals[name] = totals.get(name, 0.0) + float(metric)
    return totals, counts, [p.grad.clone() for p in network.parameters() if p.grad is not None]


@pytest.fixture(params=CASES, ids=lambda name: name)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_there_is_a_case_for_each_objective() -> None:
    assert {type(one.objective) for one in CASES.values()} == set(get_args(AnyObjective))


@pytest.mark.parametrize("layout", ["forest", "packed", "padded"])
def test_sums_add_up_over_any_cut(case: Case, layout) -> None:
    network, rows = network_for(case), rows_of(case)
    wanted = step(network, case.objective, [CutPlan("padded", 10_000, 0).make(rows)])
    assert any(float(gradient.norm()) > 0 for gradient in wanted[2])
    for max_nodes in (1, 40, 100):
        totals, counts, gradients = step(network, case.objective, list(CutPlan(layout, max_nodes, 0).batches(rows)))
        assert totals == pytest.approx(wanted[0], rel=1e-10) and counts == pytest.approx(wanted[1], rel=1e-6)
        for one, other in zip(gradients, wanted[2], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_what_weighs_nothing_does_not_matter(case: Case) -> None:
    """A row without trained tokens or label adds nothing; tokens after the last trained one neither."""
    network, rows = network_for(case), rows_of(case)
    wanted = step(network, case.objective, [CutPlan("forest", 10_000, 0).make(rows)])
    silent = [make_row([20, 21, 22, 23]), make_row(rows[0].tokens.tolist())]
    found = step(network, case.objective, [CutPlan("forest", 10_000, 0).make([silent[0], *rows, silent[1]])])
    assert found[0] == pytest.approx(wanted[0], rel=1e-12) and found[1] == wanted[1]
    for one, other in zip(found[2], wanted[2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    if case.objective.n_scores == 0:
        longer = [dataclasses.replace(row, tokens=np.r_[row.tokens, 33], weights=np.r_[row.weights, np.float32(0)]) for row in rows]
        found = step(network, case.objective, [CutPlan("forest", 10_000, 0).make(longer)])
        assert found[0] == pytest.approx(wanted[0], rel=1e-12) and found[1] == wanted[1]


def test_a_batch_of_which_nothing_is_learnt_costs_nothing(case: Case) -> None:
    network = network_for(case)
    batch = CutPlan("forest", 100, 0).make([make_row([20, 21])])
    found = case.objective.loss(network(batch), batch)
    assert case.objective.count(batch) == dict.fromkeys(found.totals, 0.0)
    assert all(float(total.detach()) == 0 for total in found.totals.values())


def test_fifty_steps_make_the_wanted_likelier_than_the_unwanted(case: Case) -> None:
    network, rows = network_for(case, torch.float32), rows_of(case)
    before = case.margin(network)
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    batch = CutPlan("forest", 10_000, 0).make(rows)
    for _ in range(50):
        optimizer.zero_grad(set_to_none=True)
        (case.objective.loss(network(batch), batch).totals["loss_nats"] / case.objective.count(batch)["loss_nats"]).backward()
        optimizer.step()
    network.eval()
    assert case.margin(network) > max(before, 0.0) + 1.0


def test_loss_has_its_unit_in_its_name(case: Case) -> None:
    batch = CutPlan("forest", 10_000, 0).make(rows_of(case))
    assert set(case.objective.count(batch)) == {"loss_nats"}
    assert case.objective.count(batch)["loss_nats"] > 0


def test_rows_carry_the_name_of_their_example_and_never_train_their_first_token(case: Case) -> None:
    for example in case.examples:
        rows = case.objective.rows(example, RENDERER)
        assert rows and all(row.id == example.id and row.weights[0] == 0 for row in rows)
