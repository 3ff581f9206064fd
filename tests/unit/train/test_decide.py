"""A plan is made of measurements, the same one each time; little memory means more cuts and recomputation, and the same gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows

from luthier.core.errors import LuthierError
from luthier.methods import Full
from luthier.models.network import Network
from luthier.models.probe import probe
from luthier.objectives import Imitate
from luthier.text.batching import KNEE, Costs, CutPlan
from luthier.text.rows import Row, make_row
from luthier.train import costs, decide
from luthier.train.costs import Memory
from luthier.train.decide import SLACK, Subject, budget_bytes, choose_kernel, keeper_for, some_steps, total_bytes
from luthier.train.loop import accumulate
from luthier.train.optim import trained_parameters
from luthier.train.plan import Foreseen, Plan, make_plan, settle_plan
from luthier.train.precision import Precision

CPU = torch.device("cpu")
WHOLE = CutPlan("forest", 8192, 0)
PRECISION = Precision("float64", "a test")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LUTHIER_MEMORY_MB", raising=False)


def full_network() -> Network:
    network = tiny_network()
    probe(network, 0)
    Full().attach(network, 0)
    network.train()
    return network


def plan_for(network: Network, steps: Sequence[Sequence[Row]]) -> Plan:
    longest = max(row.n_tokens for rows in steps for row in rows)
    return decide.decide(Subject(network, Imitate(), longest), WHOLE, steps, PRECISION)


def gradients(network: Network, rows: Sequence[Row], cuts: CutPlan) -> dict[str, torch.Tensor]:
    accumulate(network, Imitate(), list(cuts.batches(rows)), rows=rows, cuts=cuts)
    found = {name: one.grad for name, one in trained_parameters(network).items() if one.grad is not None}
    network.zero_grad(set_to_none=True)
    return found


def test_a_second_plan_is_the_same_and_nothing_is_measured_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [tiny_rows(8, seed) for seed in range(3)]
    first = plan_for(full_network(), steps)
    assert first.memory is not None and first.memory.n_nodes <= first.cuts.max_nodes
    assert first.cuts.costs != Costs() and first.kernel in ("flash", "products")

    def never(*_: object, **__: object) -> dict[str, object]:
        raise AssertionError("it was measured before")

    for name in ("measure", "measure_kernels"):
        monkeypatch.setattr(decide, name, never)
    assert plan_for(full_network(), steps) == first


def test_without_a_folder_to_remember_in_it_is_planned_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file" / "cache"))
    assert plan_for(full_network(), [tiny_rows(8)]).memory is not None


def test_a_plan_is_written_whole_and_read_back(tmp_path: Path) -> None:
    made = plan_for(full_network(), [tiny_rows(8)])
    settle_plan(tmp_path / "plan.json", "one", lambda: made, CPU)
    assert settle_plan(tmp_path / "plan.json", "one", lambda: pytest.fail("it was decided"), CPU)[0] == made


def measured(per_node: float, thin: float | None = None) -> costs.Memory:
    return costs.Memory(fixed=0, per_node=per_node, states=0, thin=thin)


@pytest.mark.parametrize("fits", [60, 30, 1])
def test_little_memory_means_more_cuts_then_recomputation_and_the_same_gradient(fits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tiny_rows(12, seed=3)
    longest = max(row.n_tokens for row in rows)
    network = full_network()
    wanted = gradients(network, rows, WHOLE)
    per_node = 2**20 / fits
    monkeypatch.setenv("LUTHIER_MEMORY_MB", "1")
    monkeypatch.setattr(decide, "fit_memory", lambda found, network, layout: measured(per_node / decide.SLACK * (1 - 1e-9)))
    plan = plan_for(network, [rows])
    parts = plan.cuts.cut(rows)
    assert plan.cuts.max_nodes == fits and len(parts) > 12 * 10 / (fits + longest)
    assert (plan.cuts.recompute_over is not None) is (longest > fits)
    recomputed = [plan.cuts.recomputes(batch) for batch in plan.cuts.batches(rows)]
    assert recomputed == [len(part) == 1 and part[0].n_tokens > fits for part in parts]
    assert any(recomputed) is (longest > fits)
    found = gradients(network, rows, plan.cuts)
    for name, gradient in wanted.items():
        assert (found[name] - gradient).norm() <= 1e-10 * gradient.norm().clamp_min(1e-12), name


def test_recomputing_is_on_for_the_large_micro_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    network = full_network()
    seen: list[tuple[int, int]] = []
    plain = Network.forward
    monkeypatch.setattr(Network, "forward", lambda self, batch: (seen.append((batch.n_nodes, self.n_recomputed)), plain(self, batch))[1])
    gradients(network, tiny_rows(12, seed=3), CutPlan("forest", 12, 0, recompute_over=12))
    assert len(seen) > 3
    assert {n > 12 for n, _ in seen} == {True, False}
    assert all(depth == (2 if n > 12 else 0) for n, depth in seen)


def test_rows_are_cut_as_the_measured_costs_say_within_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tiny_rows(800, seed=1, shared=1)
    assert CutPlan("forest", 8192, 0).features(rows)[1] > KNEE
    for over, n_parts in ((0.0, 1), (1.0, 2)):
        fitted = Costs(call=1.0, node=1e-3, over=over)
        monkeypatch.setattr(decide, "fit_costs", lambda found, beyond, fitted=fitted: fitted)
        assert len(plan_for(full_network(), [rows]).cuts.cut(rows)) == n_parts


def test_a_very_large_micro_batch_is_dearer_where_caches_matter() -> None:
    assert decide.beyond_on(CPU) > 0 == decide.beyond_on(torch.device("cuda"))


def test_the_budget_is_what_is_said_or_a_share_of_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    assert 64 * 2**20 <= budget_bytes(network) < total_bytes(CPU)
    monkeypatch.setenv("LUTHIER_MEMORY_MB", "300")
    assert budget_bytes(network) == 300 * 2**20
    for wrong in ("many", "-5", "0", "1.5"):
        monkeypatch.setenv("LUTHIER_MEMORY_MB", wrong)
        with pytest.raises(LuthierError, match="LUTHIER_MEMORY_MB"):
            budget_bytes(network)


def test_the_kernel_that_was_faster_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for i, (flash, products, wanted) in enumerate([(1.0, 2.0, "flash"), (2.0, 1.0, "products")]):
        monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / str(i)))
        times = {"flash": flash, "products": products}
        monkeypatch.setattr(decide, "measure_kernels", lambda *_, times=times: times)
        assert choose_kernel(tiny_network(), "forest") == wanted


def test_fewer_steps_are_looked_at_where_they_have_many_rows() -> None:
    assert some_steps(5, 16) == range(5)
    assert some_steps(1000, 16) == range(64)
    assert some_steps(1000, 1024) == range(2)
    assert some_steps(1000, 10**6) == range(1)


def test_pairs_of_rows_that_are_too_long_for_their_weights_to_be_kept_take_no_memory() -> None:
    cuts = CutPlan("packed", 10_000, 0)
    short, long = make_row(list(range(1, 11)), [0] + [1] * 9), make_row([1] * 1102, [0] + [1] * 1101)
    assert decide._kept_pairs(cuts, [short]) == decide._kept_pairs(cuts, [short, long]) == cuts.features([short])[2] > 0
    assert decide._kept_pairs(cuts, [long]) == 0


def test_the_memory_foreseen_is_that_of_the_dearest_micro_batch() -> None:
    memory, mb = Memory(fixed=4 * 2**20, per_node=2**20, states=3 * 2**20, per_pair=2**19), 2**20
    parts = [(10, 0.0), (4, 20.0), (5, 1.0)]
    assert decide._foreseen(memory, WHOLE, parts, 5.0, 100.0 * mb) == Foreseen(21, 100, 10, round(3.5 * mb))
    thin = dataclasses.replace(memory, thin=2.0**18)
    some = dataclasses.replace(WHOLE, recompute_over=4)
    assert decide._foreseen(thin, some, parts, 5.0, 100.0 * mb) == Foreseen(21, 100, 10, round(3.5 * mb), 2**18)
    assert decide._foreseen(thin, some, parts[::2], 5.0, 100.0 * mb).peak_mb == round(7 + 10 / 4)


def test_a_keeper_goes_by_what_the_process_held_before_and_what_was_foreseen_above_it() -> None:
    plan = make_plan(WHOLE, PRECISION, CPU)
    assert keeper_for(plan, 10**9) is None
    keeper = keeper_for(dataclasses.replace(plan, memory=Foreseen(200, 1000, 10, 1)), 10**9)
    assert keeper is not None and keeper.most_bytes == 10**9 + round(SLACK * 200 * 2**20)
