from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows

from luthier.core.proofs import NotApplicable, Proof
from luthier.methods import AnyMethod, Full, LoRA
from luthier.models.blocks import Blocks
from luthier.models.blocks.gate import gated
from luthier.models.network import Network
from luthier.objectives import Classify, Imitate
from luthier.prove import gradients
from luthier.prove.gradients import (
    Gap,
    Step,
    Subject,
    any_cut_same_gradient,
    ask_for_gradients,
    exact,
    forest_equals_padded,
    relative_gap,
    step_of,
)  # fmt: skip
from luthier.text.batching import CutPlan
from luthier.text.forest import Forest
from luthier.text.rows import Row
from luthier.train import begin, take_step
from luthier.train.optim import AdamW, trained_parameters

CUTS = CutPlan("forest", 400, 0)
ROWS = tiny_rows(8, seed=3)


def trained(method: AnyMethod, n_scores: int = 0, n_steps: int = 5, rate: float = 0.01) -> tuple[Network, Imitate | Classify]:
    """A network after some steps, as a bundle gives it back: no tensor asks for a gradient."""
    network = tiny_network(torch.float32, n_scores=n_scores, pooling="mean")
    method.attach(network, 0)
    objective = Classify(("a", "b", "c")) if n_scores else Imitate()
    state = begin(network, AdamW(weight_decay=0.01), "")
    for _ in range(n_steps):
        take_step(state, objective, rows_for(n_scores), CUTS, rate, 1.0)
    network.eval().requires_grad_(False)
    return network, objective


def rows_for(n_scores: int) -> list[Row]:
    return tiny_rows(8, seed=3, n_classes=n_scores) if n_scores else ROWS


@pytest.mark.parametrize("n_scores", [0, 3])
@pytest.mark.parametrize("method", [Full(), LoRA(rank=4)], ids=lambda method: method.kind)
def test_a_tuned_network_passes_both_proofs(method: AnyMethod, n_scores: int) -> None:
    network, objective = trained(method, n_scores)
    ask_for_gradients(network)
    subject = Subject(network, objective, CUTS, 0)
    for found in (forest_equals_padded(subject, rows_for(n_scores)), any_cut_same_gradient(subject, rows_for(n_scores))):
        assert isinstance(found, Proof)
        assert found.holds, found.detail
        assert "the bound is 1e-05" in found.detail and "float64" not in found.detail


@pytest.mark.parametrize("method", [Full(), LoRA(rank=4)], ids=lambda method: method.kind)
def test_the_tensors_that_ask_for_a_gradient_are_those_that_were_trained(method: AnyMethod) -> None:
    wanted = tiny_network(torch.float32, n_scores=3)
    method.attach(wanted, 0)
    network, _ = trained(method, n_scores=3)
    assert not trained_parameters(network)
    ask_for_gradients(network)
    assert trained_parameters(network).keys() == trained_parameters(wanted).keys()


def test_a_gap_is_relative_to_the_second_over_all_tensors_as_one_vector() -> None:
    one = Step(2.5, {"a": torch.tensor([3.0, 0.0]).double(), "b": torch.tensor([4.0]).double()}, 1, 1)
    other = Step(2.0, {"a": torch.tensor([0.0, 0.0]).double(), "b": torch.tensor([4.0]).double()}, 1, 1)
    assert relative_gap(one, other) == Gap(0.25, 0.75)
    assert relative_gap(other, one) == Gap(0.2, 0.6)
    assert relative_gap(one, one).holds
    far = Step(2.0, {"a": torch.tensor([0.0, 0.0]).double(), "b": torch.tensor([8.0]).double()}, 1, 1)
    assert relative_gap(far, one) == Gap(0.2, 1.0), "√(3² + 4²) of √(3² + 4²)"
    spoilt = Step(math.nan, {"a": torch.tensor([math.nan, 0.0]).double(), "b": torch.tensor([4.0]).double()}, 1, 1)
    assert relative_gap(spoilt, one) == Gap(math.inf, math.inf)
    assert not Gap(1.1e-5, 0.0).holds and not Gap(0.0, 1.1e-5).holds and Gap(1e-5, 1e-5).holds
    assert Gap(1.0, 2.0).worse(Gap(2.0, 1.0)) == Gap(2.0, 2.0)


def test_where_rounding_exceeds_the_bound_float64_decides_by_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    network, objective = trained(LoRA(rank=4))
    ask_for_gradients(network)
    subject = Subject(network, objective, CUTS, 0)
    monkeypatch.setattr(gradients, "BOUND", 5e-8)
    found = forest_equals_padded(subject, ROWS)
    assert isinstance(found, Proof)
    assert found.holds, found.detail
    assert found.detail.endswith("so it is rounding")
    right = Forest.to

    def cousin_visible(batch: Forest, device: torch.device) -> Forest:
        return right(replace(batch, leave_N=torch.full_like(batch.leave_N, batch.n_nodes)), device)

    monkeypatch.setattr(Forest, "to", cousin_visible)
    found = forest_equals_padded(subject, ROWS)
    assert isinstance(found, Proof)
    assert not found.holds
    assert "so it is not rounding" in found.detail


def test_what_training_computed_by_is_compared_with_the_familys_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    network, objective = trained(LoRA(rank=4))
    network.blocks = Blocks(network.body)
    ask_for_gradients(network)
    subject = Subject(network, objective, CUTS, 0)
    found = forest_equals_padded(subject, ROWS)
    assert isinstance(found, Proof) and found.holds and network.blocks is not None, found
    with monkeypatch.context() as patch:
        patch.setattr(gradients, "BOUND", 2e-6)
        found = forest_equals_padded(subject, ROWS)
        assert isinstance(found, Proof) and found.holds, found
    # 1e-3 of the gate is no rounding: it is seen although forest and padded rows have the same fault.
    monkeypatch.setattr("luthier.models.blocks.run.gated", lambda gate, up: gated(gate, up) * 1.001)
    found = forest_equals_padded(subject, ROWS)
    assert isinstance(found, Proof)
    assert not found.holds and "so it is not rounding" in found.detail


def test_the_network_is_as_it_was_after_it_was_exact() -> None:
    network, _ = trained(LoRA(rank=2), n_scores=3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with exact(network):
        assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float64}
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert network.compute_dtype == torch.float32


def test_nothing_is_left_behind_by_a_step_that_is_only_looked_at() -> None:
    network, objective = trained(LoRA(rank=2))
    ask_for_gradients(network)
    found = step_of(Subject(network, objective, CUTS, 0), ROWS, CUTS)
    assert found.n_batches == 1 and set(found.gradient) == set(trained_parameters(network))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_padded_rows_have_no_forest_to_be_compared_with() -> None:
    network, objective = trained(Full(), n_steps=1)
    ask_for_gradients(network)
    subject = Subject(network, objective, replace(CUTS, layout="padded"), 0)
    assert forest_equals_padded(subject, ROWS, "it has a window") == NotApplicable("rows were padded: it has a window")
    found = any_cut_same_gradient(subject, ROWS)
    assert isinstance(found, Proof) and found.holds


def test_one_row_cannot_be_cut_and_long_ones_are_left_out() -> None:
    network, objective = trained(Full(), n_steps=1)
    ask_for_gradients(network)
    subject = Subject(network, objective, replace(CUTS, max_nodes=45), 0)
    assert isinstance(any_cut_same_gradient(subject, ROWS[:1]), NotApplicable)
    found = any_cut_same_gradient(subject, ROWS)
    assert isinstance(found, Proof) and found.holds
    n_rows = int(found.detail.split(" rows")[0].rsplit(" ", 1)[1])
    assert 2 <= n_rows < len(ROWS)
