"""What micro-batches cost is measured on the model itself, and nothing of it is left behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.tiny import VOCABULARY, tiny_network

from luthier.methods import Full, LoRA
from luthier.objectives import Classify, Imitate
from luthier.text.batching import FEATURES, KNEE, Costs, CutPlan, Layout
from luthier.train import costs
from luthier.train.costs import BEYOND, Memory, Shape, bytes_of_a_pair, fit_costs, fit_memory, measure, shape_of, shapes, thin_bytes

FOREST = CutPlan("forest", 8192, 0)
BUDGET = 1e10


@pytest.mark.parametrize("context", [2, 7, 100, 4096])
@pytest.mark.parametrize("most", [1, 600, 10_000])
def test_made_up_rows_are_no_longer_than_the_models_and_no_batch_larger_than_the_runs(context: int, most: int) -> None:
    found = shapes(context, most)
    assert len(found) >= 2
    for i, shape in enumerate(found):
        rows = shape.rows(VOCABULARY)
        assert len(rows) == shape.n_rows > 0
        assert all(row.n_tokens <= context and 0 < row.n_supervised < row.n_tokens for row in rows)
        assert i < 2 or FOREST.features(rows)[1] <= most


def test_the_made_up_batches_tell_every_cost_apart() -> None:
    features = np.array([FOREST.features(shape.rows(8000)) for shape in shapes(4096, 10_000)])[:, :-1]
    assert np.linalg.matrix_rank(features / features.max(0)) == len(FEATURES) - 1


def test_costs_that_made_the_measurements_are_found_again() -> None:
    made = Costs(0.05, 4e-4, 2e-7, 3e-5, 2e-3, 1.1e-4)  # of the largest, 128 rows of 32 tokens, half of them sources, a node costs 4.4e-4
    features = np.array([FOREST.features(shape.rows(8000)) for shape in shapes(4096, 10_000)])
    found = fit_costs({"features": features.tolist(), "seconds": made.seconds(features).tolist()}, beyond=0.25)
    other = np.array([[1, 900, 90_000, 300, 11, 0], [1, 5500, 1_000_000, 100, 3, 5500 - KNEE]])
    np.testing.assert_allclose(found.seconds(other), made.seconds(other), rtol=0.1)
    np.testing.assert_allclose(found.seconds(features), made.seconds(features), rtol=0.05)


def test_a_node_beyond_the_knee_costs_more_by_a_share_of_all_that_hangs_on_one() -> None:
    made = Costs(call=0.05, node=1e-4, source=1e-3)  # of the largest, every other node is a source
    features = np.array([FOREST.features(shape.rows(8000)) for shape in shapes(4096, 4096)])
    found = fit_costs({"features": features.tolist(), "seconds": made.seconds(features).tolist()}, beyond=0.5)
    assert found.over == pytest.approx(0.5 * (1e-4 + 0.5 * 1e-3), rel=0.1)


def test_costs_are_never_below_zero_and_few_measurements_are_laid_to_calls_and_nodes() -> None:
    features = np.array([FOREST.features(shape.rows(8000)) for shape in shapes(4096, 10_000)])[:3]
    found = fit_costs({"features": features.tolist(), "seconds": (0.1 + 1e-3 * features[:, 1]).tolist()}, 0.0)
    assert found.call == pytest.approx(0.1, rel=0.02) and found.node == pytest.approx(1e-3, rel=0.02) and found.over == 0
    falling = fit_costs({"features": features.tolist(), "seconds": [3.0, 2.0, 1.0]}, BEYOND)
    assert (falling.weights >= 0).all() and falling.call > 0


def test_whatever_noise_was_measured_rows_that_fit_before_the_knee_stand_in_one_micro_batch() -> None:
    features = [FOREST.features(shape.rows(8000)).tolist() for shape in shapes(4096, 4096)]
    rows = Shape(20, 3, 150, 75).rows(8000)
    for seed in range(20):
        seconds = np.array(features)[:, 1] * np.random.default_rng(seed).uniform(0.5, 2.0, len(features))
        plan = replace(FOREST, costs=fit_costs({"features": features, "seconds": seconds.tolist()}, BEYOND))
        assert [len(part) for part in plan.cut(rows)] == [20]


def test_memory_is_a_line_through_the_half_and_the_whole_with_gaps_and_holds_the_optimizers_states() -> None:
    network = tiny_network()
    LoRA(rank=2).attach(network, 0)
    network.attention_kernel = "flash"
    states = 2 * sum(one.numel() * 8 for one in network.parameters() if one.requires_grad)
    sizes = [[1, n, 0, 0, 0, 0] for n in (32, 256, 512, 512, 1024, 1024)]
    grown = [n * 100_000 for n in (50, 300, 700, 900, 1300, 1900)]
    found = {"features": sizes, "grown_bytes": grown, "alternating_bytes": 1800 * 100_000}
    memory = fit_memory(found, network, "forest")
    assert memory == Memory(fixed=0, per_node=round(1.08 * 1e8 / 512, 1), states=states)
    assert memory.peak(100) == states + 21_093_750
    assert memory.most_nodes(states + 21_093_750) == 100 and memory.most_nodes(0) == 0
    assert Memory(10, 2, 5, thin=1.0).peak(100, recomputed=True) == 115
    gaps = fit_memory({**found, "alternating_bytes": 2850 * 100_000}, network, "forest")  # half as much again as the 1900
    assert gaps == Memory(fixed=0, per_node=round(1.5 * 1e8 / 512, 1), states=states)


@pytest.mark.parametrize(
    ("grown", "alternating", "gaps"), [(0, 2**20, 1.08), (16 * 2**20, 2**40, 1.08), (17 * 2**20, 2**40, 2.0), (2**30, 2**29, 1.08)]
)
def test_gaps_at_most_double_what_was_measured_and_are_not_told_from_next_to_nothing(grown: int, alternating: int, gaps: float) -> None:
    network = tiny_network()
    network.attention_kernel = "products"
    found = {"features": [[1, 1024, 1e9, 0, 0, 0]], "grown_bytes": [grown], "alternating_bytes": alternating}
    assert fit_memory(found, network, "forest").per_pair == gaps * bytes_of_a_pair(network, "forest")


def test_the_weights_of_pairs_are_kept_by_products_and_foreseen_apart() -> None:
    network = tiny_network()
    heads = network.decoder.config.num_hidden_layers * network.decoder.config.num_attention_heads
    network.attention_kernel = "products"
    assert bytes_of_a_pair(network, "forest") == bytes_of_a_pair(network, "packed") == heads * network.compute_dtype.itemsize
    assert bytes_of_a_pair(network, "padded") == 0
    weights = int(bytes_of_a_pair(network, "forest"))
    sizes = [[1, n, pairs, 0, 0, 0] for n, pairs in ((100, 50), (200, 900))]
    found = {"features": sizes, "grown_bytes": [1000 + 50 * weights, 2000 + 900 * weights], "alternating_bytes": 0}
    memory = fit_memory(found, network, "forest")
    assert memory == Memory(0, 10.8, memory.states, per_pair=1.08 * weights)
    assert memory.peak(10, n_pairs=7) == pytest.approx(memory.states + 1.08 * (100 + 7 * weights))
    assert memory.peak(10, recomputed=True, n_pairs=7) == memory.states + 108
    assert memory.most_nodes(memory.states + 8.001 * 1.08 * (10 + 3 * weights), pairs_per_node=3.0) == 8


@pytest.mark.parametrize("objective", [Imitate(), Classify(("a", "b"))], ids=["imitate", "classify"])
@pytest.mark.parametrize("layout", ["forest", "packed", "padded"])
def test_measuring_leaves_the_network_as_it_was(layout: Layout, objective: Imitate | Classify) -> None:
    network = tiny_network(n_scores=2 if isinstance(objective, Classify) else 0)
    LoRA(rank=2, dropout=0.5).attach(network, 0)
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn = torch.get_rng_state()
    found = measure(network, objective, CutPlan(layout, 8192, 0), 30, 300, BUDGET)
    assert len(found["features"]) == len(found["seconds"]) == len(found["grown_bytes"]) >= 2
    assert all(seconds > 0 for seconds in found["seconds"])
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.training and network.n_recomputed == 0
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_measuring_stops_before_a_batch_that_would_not_fit() -> None:
    network = tiny_network()
    Full().attach(network, 0)
    assert len(measure(network, Imitate(), FOREST, 30, 5000, budget=-1.0)["features"]) == 2
    assert len(measure(network, Imitate(), FOREST, 30, 5000, BUDGET)["features"]) > 4


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ([32, 100, 300, 600], [32, 100, 600]),  # the largest has time of its own
        ([32, 100, 400, 500, 2000], [32, 100, 500]),  # where it goes too far, the next smaller one
        ([32, 100, 300, 5000, 5001], [32, 100, 300]),
        ([32, 100, 101], [32, 100, 101]),
        ([32, 100, 5000, 5001], [32, 100]),
        ([32, 60, 80, 90], [32, 60, 80, 90]),  # after two turns of 32 and of 60, 1.66 s are left
        ([32, 60, 84, 600], [32, 60, 600]),
    ],
)
def test_the_largest_micro_batch_that_can_be_had_is_measured(wanted: list[int], taken: list[int]) -> None:
    """By a clock that takes a second for each 100 nodes."""
    had: list[int] = []

    def take(n: int, left_s: float) -> bool:
        goes = 2 * n / 100 <= left_s
        had.extend([n] * goes)
        return goes

    costs.take_in_time(wanted, take, lambda: sum(had) / 100, float)
    assert had == taken


@pytest.mark.parametrize("most", [600, 1100, 1500, 5000])
@pytest.mark.parametrize("context", [30, 64, 128, 200, 512, 2048])
@pytest.mark.parametrize("layout", ["forest", "packed", "padded"])
def test_what_is_measured_is_in_order_of_size_and_tells_what_a_node_takes(layout: Layout, context: int, most: int) -> None:
    """Where memory grows by 100 kB a node, it is foreseen to, with the least of gaps."""
    plan = CutPlan(layout, 8192, 0)
    nodes = [int(plan.features(rows)[1]) for rows in costs.made_up(plan, context, most, VOCABULARY)]
    assert nodes == sorted(nodes) and nodes[-1] <= most and len(nodes) > 2
    network = tiny_network()
    network.attention_kernel = "flash"
    largest = np.maximum.accumulate(nodes)
    found = {"features": [[1, n, 0, 0, 0, 0] for n in nodes], "grown_bytes": (100_000 * largest).tolist(), "alternating_bytes": 0}
    assert fit_memory(found, network, layout).per_node == pytest.approx(1.08 * 100_000, rel=1e-6)


def test_every_micro_batch_is_measured_where_there_is_time() -> None:
    network = tiny_network()
    Full().attach(network, 0)
    for most in (600, 1500):
        assert len(measure(network, Imitate(), FOREST, 30, most, BUDGET)["features"]) == len(shapes(30, most))


def test_recomputing_is_measured_and_switched_off_again() -> None:
    network = tiny_network()
    Full().attach(network, 0)
    assert thin_bytes(network, Imitate(), FOREST, 30) >= 0
    assert network.n_recomputed == 0


def test_a_shape_is_another_where_other_tensors_are_trained() -> None:
    lora, full = tiny_network(torch.float32), tiny_network(torch.float32)
    LoRA(rank=2).attach(lora, 0)
    Full().attach(full, 0)
    assert shape_of(lora, Imitate()) != shape_of(full, Imitate())
    assert shape_of(full, Imitate()) == shape_of(full, Imitate()) != shape_of(full, Classify(("a", "b")))
