"""A forest computes what padded rows compute: the laws of packing, on random decoders of each family in float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.small import FAMILIES, N_VOCABULARY, network_of, random_row
from torch import Tensor

from luthier.models.attention import seam
from luthier.models.heads import RowHead
from luthier.models.network import Network
from luthier.objectives import Classify, Imitate
from luthier.text.batching import Batch, CutPlan
from luthier.text.forest import Forest, make_forest, visible
from luthier.text.padded import make_padded
from luthier.text.rows import Row, make_row

EXACT = 1e-10
EXACT_FAMILIES = [
    kind for kind in FAMILIES if kind != "cohere"
]  # Cohere's code rounds queries and keys to float32; the probe's tests have it


def shared_system_prompt(draw: np.random.Generator) -> list[Row]:
    system = draw.integers(3, N_VOCABULARY, 12).tolist()
    return [random_row(draw, system, int(draw.integers(1, 6)), int(draw.integers(1, 5))) for _ in range(5)]


def random_system_prompts(draw: np.random.Generator) -> list[Row]:
    systems = [draw.integers(3, N_VOCABULARY, int(n)).tolist() for n in (4, 9, 11)]
    systems.append([*systems[2], *draw.integers(3, N_VOCABULARY, 3).tolist()])
    return [random_row(draw, systems[int(draw.integers(4))], int(draw.integers(0, 4)), int(draw.integers(1, 6))) for _ in range(8)]


def nothing_shared(draw: np.random.Generator) -> list[Row]:
    return [random_row(draw, [3 + r], int(draw.integers(1, 12)), int(draw.integers(1, 6))) for r in range(4)]


def identical_rows(draw: np.random.Generator) -> list[Row]:
    row = random_row(draw, [5, 6, 7], 3, 4)
    other = make_row(row.tokens.tolist(), [0.0] * 9 + [3.0])
    return [row, other, row]


def one_token_rows(draw: np.random.Generator) -> list[Row]:
    return [make_row([5]), make_row([9]), make_row([5]), random_row(draw, [5], 4, 2)]


def a_row_that_begins_another(draw: np.random.Generator) -> list[Row]:
    long = draw.integers(3, N_VOCABULARY, 17).tolist()
    return [make_row(long[:n], [0.0, *([0.0] * (n - 3)), 1.0, 0.5][:n]) for n in (17, 6, 11, 3)]


def prompts_longer_than_any_window(draw: np.random.Generator) -> list[Row]:
    system = draw.integers(3, N_VOCABULARY, 23).tolist()
    branch = [*system, *draw.integers(3, N_VOCABULARY, 5).tolist()]
    return [random_row(draw, before, n, 4) for before, n in ((system, 0), (branch, 1), (branch, 9), (system, 14))]


SETS = (
    shared_system_prompt, random_system_prompts, nothing_shared, identical_rows, one_token_rows,
    a_row_that_begins_another, prompts_longer_than_any_window,
)  # fmt: skip


def loss_of(network: Network, batch: Batch) -> Tensor:
    return Imitate().loss(network(batch), batch).totals["loss_nats"]


def loss_and_gradients(network: Network, batches: Sequence[Batch]) -> tuple[float, dict[str, Tensor]]:
    network.zero_grad(set_to_none=True)
    total = 0.0
    for batch in batches:
        loss = loss_of(network, batch)
        loss.backward()
        total += float(loss.detach())
    found = {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}
    return total, found


def assert_equal(found: tuple[float, dict[str, Tensor]], wanted: tuple[float, dict[str, Tensor]]) -> None:
    assert found[0] == pytest.approx(wanted[0], rel=EXACT, abs=EXACT)
    assert found[1].keys() == wanted[1].keys()
    for name, gradient in wanted[1].items():
        assert float((found[1][name] - gradient).norm()) <= EXACT * max(1.0, float(gradient.norm())), name


def logits_of(network: Network, batch: Batch) -> list[Tensor]:
    """The logits of each row's tokens, in the order in which the rows were given."""
    with torch.no_grad():
        logits = network.logits(network(batch).at(batch.path_P))
    return list(logits.split(torch.bincount(batch.path_row_P).tolist()))


@pytest.mark.parametrize("rows_of", SETS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("kind", EXACT_FAMILIES)
def test_a_forest_gives_the_loss_and_every_gradient_of_padded_rows(kind: str, rows_of) -> None:
    network = network_of(kind)
    rows = rows_of(np.random.default_rng(1))
    forest, padded = make_forest(rows), make_padded(rows, 0)
    wanted = loss_and_gradients(network, [padded])
    assert all(float(gradient.norm()) > 0 for name, gradient in wanted[1].items() if "bias" not in name and "wpe" not in name)
    assert_equal(loss_and_gradients(network, [forest]), wanted)
    for one, other in zip(logits_of(network, forest), logits_of(network, padded), strict=True):
        torch.testing.assert_close(one, other, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "mistral_window"])
def test_rows_packed_without_sharing_give_the_same(kind: str) -> None:
    network = network_of(kind)
    rows = shared_system_prompt(np.random.default_rng(2))
    packed = make_forest(rows, share=False)
    assert packed.n_nodes == sum(row.n_tokens for row in rows)
    assert len(packed.borders) == len(rows) + 1
    assert_equal(loss_and_gradients(network, [packed]), loss_and_gradients(network, [make_padded(rows, 0)]))


def test_the_filling_of_padded_rows_does_not_matter() -> None:
    network = network_of("llama")
    rows = nothing_shared(np.random.default_rng(2))
    assert_equal(loss_and_gradients(network, [make_padded(rows, 0)]), loss_and_gradients(network, [make_padded(rows, 41)]))


@pytest.mark.parametrize("kind", ["llama", "qwen2_window", "gemma2"])
@pytest.mark.parametrize("layout", ["forest", "packed", "padded"])
def test_any_cut_and_any_order_give_the_same_loss_and_gradients(kind: str, layout) -> None:
    network = network_of(kind)
    rows = random_system_prompts(np.random.default_rng(4))
    wanted = loss_and_gradients(network, [make_padded([row], 0) for row in rows])
    for max_nodes, seed in itertools.product((1, 17, 40, 10_000), (0, 1)):
        mixed = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        assert_equal(loss_and_gradients(network, list(CutPlan(layout, max_nodes, 0).batches(mixed))), wanted)


@pytest.mark.parametrize("kind", ["llama", "mistral_window", "gpt2", "gemma2"])
def test_no_token_sees_another_row_or_a_later_token(kind: str) -> None:
    network = network_of(kind)
    stem = [7, 8, 9, 10, 11]
    rows = [[*stem, 20, 21, 22], [*stem, 20, 31], [*stem, 40, 41, 42, 43], [50, 51]]
    before = logits_of(network, make_forest([make_row(row) for row in rows]))
    for r, row in enumerate(rows):
        for t in range(len(row)):
            changed = [list(one) for one in rows]
            changed[r][t] = 60
            after = logits_of(network, make_forest([make_row(one) for one in changed]))
            for other in range(len(rows)):
                if other != r:
                    torch.testing.assert_close(after[other], before[other], rtol=0, atol=1e-12)
            torch.testing.assert_close(after[r][:t], before[r][:t], rtol=0, atol=1e-12)
            assert float((after[r][t] - before[r][t]).abs().max()) > 1e-6


token_lists = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=7), min_size=1, max_size=9)


def row_paths(forest: Forest) -> list[list[int]]:
    return [path.tolist() for path in forest.path_P.split(torch.bincount(forest.path_row_P).tolist())]


@given(token_lists)
def test_there_is_one_node_for_each_distinct_prefix(lists: list[list[int]]) -> None:
    rows = [make_row(one) for one in lists]
    forest = make_forest(rows)
    prefixes = {tuple(one[: n + 1]) for one in lists for n in range(len(one))}
    assert forest.n_nodes == len(prefixes)
    owned = {tuple(one[: t + 1]): node for one, path in zip(lists, row_paths(forest), strict=True) for t, node in enumerate(path)}
    assert len(set(owned.values())) == len(prefixes)
    for prefix, node in owned.items():
        assert forest.tokens_N[node] == prefix[-1]
        assert forest.depth_N[node] == len(prefix) - 1


@given(token_lists, st.booleans())
def test_a_node_sees_its_ancestors_and_itself_and_nothing_else(lists: list[list[int]], share: bool) -> None:
    forest = make_forest([make_row(one) for one in lists], share)
    wanted = torch.zeros(forest.n_nodes, forest.n_nodes, dtype=torch.bool)
    for path in row_paths(forest):
        for t, node in enumerate(path):
            wanted[node, path[: t + 1]] = True
    assert torch.equal(visible(forest.leave_N), wanted)


@given(token_lists, st.booleans())
def test_trees_stand_between_their_borders(lists: list[list[int]], share: bool) -> None:
    forest = make_forest([make_row(one) for one in lists], share)
    assert list(forest.borders) == [*(forest.depth_N == 0).nonzero()[:, 0].tolist(), forest.n_nodes]
    assert len(forest.borders) - 1 == (len({one[0] for one in lists}) if share else len(lists))
    spans = list(itertools.pairwise(forest.borders))
    for path in row_paths(forest):
        assert any(start <= path[0] and path[-1] < stop for start, stop in spans)


@given(token_lists, st.data())
def test_part_of_the_mask_is_that_part_of_the_whole(lists: list[list[int]], data: st.DataObject) -> None:
    forest = make_forest([make_row(one) for one in lists])
    first, start, stop = sorted(data.draw(st.integers(0, forest.n_nodes)) for _ in range(3))
    assert torch.equal(visible(forest.leave_N, start, stop, first), visible(forest.leave_N)[start:stop, first:stop])


@pytest.mark.parametrize("dense_nodes", [1, 3, 7, 16])
@pytest.mark.parametrize("kind", ["llama", "mistral_window", "gemma2"])
def test_trees_too_large_for_one_mask_give_the_same(kind: str, dense_nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(kind)
    rows = [*prompts_longer_than_any_window(np.random.default_rng(3)), make_row(list(range(3, 40)), [0.0] * 30 + [1.0] * 7)]
    wanted = loss_and_gradients(network, [make_padded(rows, 0)])
    monkeypatch.setattr(seam, "DENSE_NODES", dense_nodes)
    assert_equal(loss_and_gradients(network, [make_forest(rows)]), wanted)
    assert_equal(loss_and_gradients(network, [make_forest(rows, share=False)]), wanted)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_forest_that_is_filled_up_gives_the_same(kind: str) -> None:
    network = network_of(kind)
    rows = [*shared_system_prompt(np.random.default_rng(2)), make_row(list(range(3, 38)), [0.0] * 30 + [1.0] * 5)]
    filled = make_forest(rows, most_nodes=10**6)
    assert filled.n_nodes > make_forest(rows).n_nodes
    assert_equal(loss_and_gradients(network, [filled]), loss_and_gradients(network, [make_forest(rows)]))


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_head_on_pooled_states_gives_the_same_gradients(pooling, smoothing: float) -> None:
    network = network_of("llama")
    torch.manual_seed(5)
    network.head = RowHead(16, 3, pooling).double()
    torch.nn.init.normal_(network.head.linear.weight)
    objective = Classify(("a", "b", "c"), smoothing)
    lists = [[5, 6, 7, 8], [5, 6, 7], [5, 6, 9, 9, 9, 9], [5, 6, 7, 8], [30]]
    rows = [make_row(tokens, target=target) for tokens, target in zip(lists, (0, 1, 2, None, 1), strict=True)]

    def run(batches: Sequence[Batch]) -> tuple[float, dict[str, Tensor]]:
        network.zero_grad(set_to_none=True)
        total = 0.0
        for batch in batches:
            loss = objective.loss(network(batch), batch).totals["loss_nats"]
            loss.backward()
            total += float(loss.detach())
        return total, {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}

    wanted = run([make_padded([row], 0) for row in rows])
    assert float(wanted[1]["head.linear.weight"].norm()) > 0
    for batches in (
        [make_forest(rows)],
        [make_forest(rows, share=False)],
        [make_padded(rows, 0)],
        [make_forest(rows[:2]), make_forest(rows[2:])],
    ):
        assert_equal(run(batches), wanted)


@settings(max_examples=25, deadline=None)
@given(token_lists)
def test_random_forests_give_the_logits_of_rows_alone(lists: list[list[int]]) -> None:
    network = NETWORKS["mistral_window"]
    found = logits_of(network, make_forest([make_row(one) for one in lists]))
    for one, logits in zip(lists, found, strict=True):
        torch.testing.assert_close(logits, logits_of(network, make_padded([make_row(one)], 0))[0], rtol=EXACT, atol=EXACT)


NETWORKS = {"mistral_window": network_of("mistral_window", sliding_window=3)}
